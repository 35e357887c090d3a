//! The handlers that the bench measures: written once, run as a component (isolated, reuse) and natively (unsandboxed).

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Films, GetFilmRequest};
use people::v1::{GetPersonRequest, People};
use reviews::v1::{GetSummaryRequest, ListReviewsRequest, Review, Reviews};

#[data]
struct Page {
    viewer: String,
    items: Vec<Item>,
}

#[data]
struct Item {
    id: u32,
    film: u32,
    stars: u32,
    text: String,
    written_at: i64,
    author: Person,
}

#[data]
struct Person {
    id: u32,
    name: String,
    born: u32,
    portrait: String,
}

#[data]
struct PersonPage {
    viewer: String,
    person: Person,
}

#[data]
struct FilmPage {
    viewer: String,
    film: Film,
}

#[data]
struct Film {
    id: u32,
    title: String,
    year: u32,
    minutes: u32,
    genres: Vec<String>,
    synopsis: String,
    poster: String,
}

#[data]
struct Levels {
    viewer: String,
    items: Vec<Level>,
}

#[data]
struct Level {
    id: u32,
    stars: u32,
    author: Person,
    film: Film,
    directors: Vec<Person>,
    reviews: u32,
}

#[data]
struct Crowd {
    viewer: String,
    people: usize,
}

/// The newest reviews, each with its author: one call for the list, and one call for each item's author.
#[get("/page/{items}")]
async fn page(Path(items): Path<u32>, caller: Identity) -> Result<Json<Page>> {
    let list = newest(items).await?;
    let items = try_join_all(list.into_iter().map(|review| async move {
        let author = person_of(review.author_id).await?;
        let Review { id, film_id, stars, text, written_at, .. } = review;
        Ok::<_, Problem>(Item { id, film: film_id, stars, text, written_at, author })
    }));
    Ok(Json(Page { viewer: caller.subject().to_owned(), items: items.await? }))
}

/// The smallest thing that can be asked for: one call.
#[get("/people/{id}")]
async fn person(Path(id): Path<u32>, caller: Identity) -> Result<Json<PersonPage>> {
    let person = People::get_person(GetPersonRequest { id }).await.or_not_found("person", id)?;
    Ok(Json(PersonPage { viewer: caller.subject().to_owned(), person: shown(person) }))
}

/// One call, with a wider reply.
#[get("/films/{id}")]
async fn film(Path(id): Path<u32>, caller: Identity) -> Result<Json<FilmPage>> {
    let film = Films::get_film(GetFilmRequest { id }).await.or_not_found("film", id)?;
    Ok(Json(FilmPage { viewer: caller.subject().to_owned(), film: facts(film).0 }))
}

/// Three levels: a list; its items' films and authors; the films' directors and counters.
#[get("/levels/{items}")]
async fn levels(Path(items): Path<u32>, caller: Identity) -> Result<Json<Levels>> {
    let items = try_join_all(newest(items).await?.into_iter().map(|review| async move {
        let film = async {
            let film = Films::get_film(GetFilmRequest { id: review.film_id }).await?;
            let (film, directors) = facts(film);
            let directors = try_join_all(directors.into_iter().map(person_of));
            let summary =
                async { Ok::<_, Problem>(Reviews::get_summary(GetSummaryRequest { film_id: film.id }).await?) };
            let (directors, summary) = try_join!(directors, summary)?;
            Ok::<_, Problem>((film, directors, summary))
        };
        let ((film, directors, summary), author) = try_join!(film, person_of(review.author_id))?;
        Ok::<_, Problem>(Level { id: review.id, stars: review.stars, author, film, directors, reviews: summary.count })
    }));
    Ok(Json(Levels { viewer: caller.subject().to_owned(), items: items.await? }))
}

/// So many persons at once, only counted.
#[get("/crowd/{first}/{count}")]
async fn crowd(Path((first, count)): Path<(u32, u32)>, caller: Identity) -> Result<Json<Crowd>> {
    let people = try_join_all((first..first + count).map(person_of)).await?.len();
    Ok(Json(Crowd { viewer: caller.subject().to_owned(), people }))
}

/// The same for everybody: the host keeps it.
#[get("/static")]
async fn fixed() -> Response {
    Response::new(Status::OK).with_body("application/json", include_str!("../../src/expected/fixed.json"))
}

async fn newest(items: u32) -> Result<Vec<Review>> {
    Ok(Reviews::list_reviews(ListReviewsRequest { film_id: 0, page_size: items }).await?.reviews)
}

async fn person_of(id: u32) -> Result<Person> {
    Ok(shown(People::get_person(GetPersonRequest { id }).await?))
}

fn shown(person: people::v1::Person) -> Person {
    let people::v1::Person { id, name, born, portrait_url } = person;
    Person { id, name, born, portrait: portrait_url }
}

/// What is shown of a film, and who directed it.
fn facts(film: catalog::v1::Film) -> (Film, Vec<u32>) {
    let catalog::v1::Film { id, title, year, minutes, genres, synopsis, poster_url, director_ids, .. } = film;
    (Film { id, title, year, minutes, genres, synopsis, poster: poster_url }, director_ids)
}

weft_sdk::plugin!(page, person, film, levels, crowd, fixed);
