//! Checks films, people and reviews against each other and builds the indexes of [`Data`].

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Data, DataError, Tally};
use crate::proto::catalog::v1::Film;
use crate::proto::people::v1::Person;
use crate::proto::reviews::v1::Review;

impl Data {
    pub(super) fn assemble(films: Vec<Film>, people: Vec<Person>, reviews: Vec<Review>) -> Result<Self, DataError> {
        let mut data = Self { films, people, reviews, ..Self::default() };
        data.films.sort_by_key(|film| Reverse((film.year, film.id)));
        data.people.sort_by_key(|person| person.id);
        let newest = |review: &Review| Reverse((review.written_at, review.id));
        data.reviews.sort_by_key(newest);

        data.film_at = unique("film", data.films.iter().map(|film| film.id))?;
        data.person_at = unique("person", data.people.iter().map(|person| person.id))?;
        unique("review", data.reviews.iter().map(|review| review.id))?;
        data.check()?;
        data.index_reviews();
        data.index_films();
        data.index_texts();
        Ok(data)
    }

    fn check(&self) -> Result<(), DataError> {
        for film in &self.films {
            if let Some(person) = everybody(film).find(|id| !self.person_at.contains_key(id)) {
                return Err(DataError::Inconsistent(format!(
                    "film {} names person {person}, who does not exist",
                    film.id
                )));
            }
        }
        for review in &self.reviews {
            let known = self.film_at.contains_key(&review.film_id) && self.person_at.contains_key(&review.author_id);
            if !known || !(1..=5).contains(&review.stars) {
                return Err(DataError::Inconsistent(format!(
                    "review {} has a film, an author or a number of stars that does not exist",
                    review.id
                )));
            }
        }
        Ok(())
    }

    fn index_reviews(&mut self) {
        for (place, review) in self.reviews.iter().enumerate() {
            let of_film = self.reviews_of_film.entry(review.film_id);
            of_film.or_default().push(place);
            let tally = self.tallies.entry(review.film_id).or_default();
            *tally = tally.plus(Tally::of(review.stars));
        }
    }

    fn index_films(&mut self) {
        let mut ranked: Vec<usize> = (0..self.films.len()).collect();
        let love = |place: &usize| {
            let film = self.films.get(*place);
            Reverse(film.map(|film| love(self.tallies.get(&film.id).copied())))
        };
        ranked.sort_by_key(love);
        for place in &ranked {
            for genre in self.films.get(*place).into_iter().flat_map(|f| &f.genres) {
                let films = self.genres.entry(genre.clone()).or_default();
                films.push(*place);
            }
        }
        self.popular = ranked;
        for (place, film) in self.films.iter().enumerate() {
            for genre in &film.genres {
                let films = self.films_of_genre.entry(genre.to_lowercase());
                films.or_default().push(place);
            }
            for person in everybody(film) {
                let films = self.films_with_person.entry(person).or_default();
                // Who directs and plays is named twice.
                if films.last() != Some(&place) {
                    films.push(place);
                }
            }
        }
    }

    fn index_texts(&mut self) {
        let titles = self.films.iter().map(|film| film.title.to_lowercase());
        self.titles = titles.zip(0..).collect();
        self.titles.sort();
        let names = self.people.iter().map(|person| person.name.to_lowercase());
        self.names = names.zip(0..).collect();
        self.names.sort();
    }
}

/// A film's rank in thousandths of a star: its average, drawn to 3 where ratings are few.
fn love(tally: Option<Tally>) -> u64 {
    const DOUBT: u64 = 5;
    let tally = tally.unwrap_or_default();
    (tally.stars + 3 * DOUBT) * 1000 / (u64::from(tally.count) + DOUBT)
}

fn everybody(film: &Film) -> impl Iterator<Item = u32> {
    let cast = film.cast.iter().map(|role| role.person_id);
    film.director_ids.iter().copied().chain(cast)
}

fn unique(what: &str, ids: impl Iterator<Item = u32>) -> Result<HashMap<u32, usize>, DataError> {
    let mut places = HashMap::new();
    for (place, id) in ids.enumerate() {
        if id == 0 || places.insert(id, place).is_some() {
            return Err(DataError::Inconsistent(format!("the id {id} of a {what} is 0 or used twice")));
        }
    }
    Ok(places)
}
