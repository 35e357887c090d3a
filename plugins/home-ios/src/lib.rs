//! The iOS app's screens: light and flat, ready to be bound to views. Nothing that the app doesn't show travels.

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Film, Films, GetFilmRequest, ListFilmsRequest, SearchFilmsRequest};
use people::v1::{GetPersonRequest, People};
use recommend::v1::{ForUserRequest, Recommend};
use reviews::v1::{GetSummaryRequest, ListReviewsRequest, RateFilmRequest, Reviews};

#[data]
struct Cell {
    id: u32,
    title: String,
    /// `1999 · 136 min`
    subtitle: String,
    image: String,
    stars: f64,
}

#[data]
struct HomeScreen {
    greeting: String,
    films: Vec<Cell>,
    suggestions: Vec<u32>,
}

#[data]
struct FilmScreen {
    #[serde(flatten)]
    cell: Cell,
    about: String,
    starring: String,
    directed_by: String,
    latest_review: Option<String>,
}

#[data]
struct PersonScreen {
    name: String,
    image: String,
    films: Vec<Cell>,
}

#[data]
struct Results {
    films: Vec<Cell>,
}

#[data]
struct Search {
    q: String,
    /// At most 20.
    limit: Option<u32>,
}

#[data]
struct NewRating {
    #[schemars(range(min = 1, max = 5))]
    stars: u32,
}

/// The start screen.
#[get("/home")]
async fn home(caller: Option<Identity>) -> Result<Json<HomeScreen>> {
    let newest = async {
        let list = Films::list_films(ListFilmsRequest { page_size: 20, ..Default::default() }).await?;
        cells(list.films).await
    };
    let (films, hints) = join!(newest, Recommend::for_user(ForUserRequest { limit: 5 }).or_default());
    let suggestions = hints?.films.iter().map(|hint| hint.film_id).collect();
    let greeting = caller.map_or("Welcome".to_owned(), |caller| format!("Hi, {}", caller.subject()));
    Ok(Json(HomeScreen { greeting, films: films?, suggestions }))
}

/// One film, on one screen.
#[get("/films/{id}")]
async fn film(Path(id): Path<u32>) -> Result<Json<FilmScreen>> {
    let film = Films::get_film(GetFilmRequest { id }).await.or_not_found("film", id)?;
    let starring = names(film.cast.iter().take(3).map(|role| role.person_id).collect());
    let directors = names(film.director_ids.clone());
    let review = Reviews::list_reviews(ListReviewsRequest { film_id: id, page_size: 1 });
    let (about, starring, directed_by, review) = (film.synopsis.clone(), starring, directors, review);
    let (cell, starring, directed_by, review) = join!(cell(film), starring, directed_by, review);
    let latest_review = review?.reviews.into_iter().next().map(|review| review.text);
    Ok(Json(FilmScreen { cell: cell?, about, starring: starring?, directed_by: directed_by?, latest_review }))
}

/// One person and their films.
#[get("/people/{id}")]
async fn person(Path(id): Path<u32>) -> Result<Json<PersonScreen>> {
    let list = ListFilmsRequest { person_id: id, page_size: 20, ..Default::default() };
    let (person, list) = join!(People::get_person(GetPersonRequest { id }), Films::list_films(list));
    let person = person.or_not_found("person", id)?;
    Ok(Json(PersonScreen { name: person.name, image: person.portrait_url, films: cells(list?.films).await? }))
}

/// Films whose title contains the query.
#[get("/search")]
async fn search(Query(Search { q, limit }): Query<Search>) -> Result<Json<Results>> {
    let page_size = limit.unwrap_or(10).min(20);
    let found = Films::search_films(SearchFilmsRequest { query: q, page_size }).await?;
    Ok(Json(Results { films: cells(found.films).await? }))
}

/// Rates a film with one to five stars.
#[post("/films/{id}/rating")]
async fn rate(Path(id): Path<u32>, _caller: Identity, Json(NewRating { stars }): Json<NewRating>) -> Result<NoContent> {
    if !(1..=5).contains(&stars) {
        return Err(Problem::invalid("body.stars", "is not between 1 and 5"));
    }
    Reviews::rate_film(RateFilmRequest { film_id: id, stars }).await.or_not_found("film", id)?;
    Ok(NoContent)
}

async fn cells(films: Vec<Film>) -> Result<Vec<Cell>> {
    try_join_all(films.into_iter().map(cell)).await
}

async fn cell(film: Film) -> Result<Cell> {
    let summary = Reviews::get_summary(GetSummaryRequest { film_id: film.id }).await?;
    Ok(Cell {
        id: film.id,
        subtitle: format!("{} · {} min", film.year, film.minutes),
        title: film.title,
        image: film.poster_url,
        stars: (summary.average * 2.0).round() / 2.0,
    })
}

/// `Keanu Reeves, Carrie-Anne Moss`
async fn names(ids: Vec<u32>) -> Result<String> {
    let people = People::get_person_all(ids).await.all()?;
    Ok(people.into_iter().map(|person| person.name).collect::<Vec<_>>().join(", "))
}

weft_sdk::plugin!(home, film, person, search, rate);
