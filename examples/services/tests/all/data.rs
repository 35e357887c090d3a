//! Facts about the data: the real films and the made-up ones.

use std::collections::HashSet;

use demo_services::{Data, Sizes};

use crate::support::DEMO;

fn authors_of_newest(data: &Data, count: usize) -> HashSet<u32> {
    let newest = data.reviews().iter().take(count);
    newest.map(|review| review.author_id).collect()
}

#[test]
fn the_demo_has_many_films_and_says_enough_of_each() {
    assert!(DEMO.films().len() >= 60);
    for film in DEMO.films() {
        assert!((3..=6).contains(&film.cast.len()), "{}", film.title);
        assert!((1..=2).contains(&film.director_ids.len()), "{}", film.title);
        assert!((1..=3).contains(&film.genres.len()), "{}", film.title);
        assert!((1900..=2026).contains(&film.year), "{}", film.title);
        assert!((60..=240).contains(&film.minutes), "{}", film.title);
        assert!(film.synopsis.ends_with('.') && film.synopsis.len() > 40);
        assert!(film.poster_url.ends_with(&format!("/{}.jpg", film.id)));
    }
    let titles: HashSet<&str> = DEMO.films().iter().map(|film| film.title.as_str()).collect();
    assert_eq!(titles.len(), DEMO.films().len());
}

#[test]
fn everybody_whom_a_film_or_a_review_names_exists() {
    for film in DEMO.films() {
        let cast = film.cast.iter().map(|role| role.person_id);
        for id in film.director_ids.iter().copied().chain(cast) {
            let person = DEMO.person(id).unwrap();
            let age = film.year.saturating_sub(person.born);
            let plausible = person.born == 0 || (5..=95).contains(&age);
            assert!(plausible, "{} in {}", person.name, film.title);
        }
    }
    for review in DEMO.reviews() {
        assert!(DEMO.film(review.film_id).is_some());
        assert!(DEMO.person(review.author_id).is_some());
    }
}

#[test]
fn ten_reviewers_wrote_all_and_nobody_repeats_himself() {
    let reviews = DEMO.reviews();
    assert!(reviews.len() >= 150);
    let ten: HashSet<u32> = (9001..=9010).collect();
    assert_eq!(authors_of_newest(&DEMO, reviews.len()), ten);
    assert_eq!(authors_of_newest(&DEMO, 100), ten);
    let pairs: HashSet<_> = reviews.iter().map(|r| (r.film_id, r.author_id)).collect();
    assert_eq!(pairs.len(), reviews.len());
    let texts: HashSet<_> = reviews.iter().map(|r| (r.film_id, &r.text)).collect();
    assert_eq!(texts.len(), reviews.len());
    assert!(reviews.is_sorted_by(|a, b| a.written_at > b.written_at));
    assert!(!reviews.iter().any(|review| review.text.contains('{')));
}

#[test]
fn made_up_data_is_the_same_for_the_same_seed() {
    let sizes: Sizes = "films=300,people=80,reviews=2000".parse().unwrap();
    let one = Data::generate(sizes, 7).unwrap();
    let same = Data::generate(sizes, 7).unwrap();
    let other = Data::generate(sizes, 8).unwrap();
    assert_eq!(one.films(), same.films());
    assert_eq!(one.people(), same.people());
    assert_eq!(one.reviews(), same.reviews());
    assert_ne!(one.films(), other.films());
    let made = (one.films().len(), one.people().len(), one.reviews().len());
    assert_eq!(made, (300, 80, 2000));
}

#[test]
fn a_page_of_made_up_reviews_has_ten_authors_too() {
    for seed in 0..20 {
        let sizes: Sizes = "films=40,people=20,reviews=500".parse().unwrap();
        let data = Data::generate(sizes, seed).unwrap();
        assert_eq!(authors_of_newest(&data, 100).len(), 10);
        assert_eq!(authors_of_newest(&data, 10).len(), 10);
    }
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    for text in ["films", "films=x", "books=3", "films=-1", ""] {
        assert!(text.parse::<Sizes>().is_err(), "{text:?}");
    }
    for text in ["films=0", "people=10", "reviews=4000000000"] {
        let sizes: Sizes = text.parse().unwrap();
        assert!(Data::generate(sizes, 1).is_err(), "{text:?}");
    }
}

#[test]
fn a_file_with_a_misspelt_name_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{
        "films": [{ "id": 1, "title": "One", "year": 2000, "minutes": 90, "genres": ["Drama"],
                    "directors": ["Ann Otter"], "cast": [["Anne Other", "herself"]], "synopsis": "…" }],
        "people": [{ "id": 1, "name": "Ann Otter" }],
        "reviewers": [], "remarks": [], "reviews": 0
    }"#;
    std::fs::write(file.path(), text).unwrap();
    let error = Data::read(file.path()).unwrap_err().to_string();
    assert!(error.contains("\"Anne Other\""), "{error}");
    std::fs::write(file.path(), text.replace("Anne Other", "Ann Otter")).unwrap();
    assert_eq!(Data::read(file.path()).unwrap().films().len(), 1);
}
