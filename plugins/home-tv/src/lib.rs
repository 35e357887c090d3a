//! The TV app's screens: rows of posters to move through with four keys.

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Film, Films, GetFilmRequest, ListFilmsRequest, SearchFilmsRequest};
use people::v1::{GetPersonRequest, People, SearchPeopleRequest};
use recommend::v1::{ForUserRequest, Recommend};
use reviews::v1::{GetSummaryRequest, RateFilmRequest, Reviews};

#[data]
struct Poster {
    film: u32,
    title: String,
    image: String,
}

#[data]
struct Row {
    title: String,
    posters: Vec<Poster>,
}

#[data]
struct Screen {
    rows: Vec<Row>,
}

#[data]
struct Hero {
    title: String,
    year: u32,
    image: String,
    /// One line under the title: `4.2 stars · 136 min · Action, Drama`
    line: String,
    text: String,
    rows: Vec<Row>,
}

#[data]
struct Search {
    q: String,
}

#[data]
struct NewRating {
    #[schemars(range(min = 1, max = 5))]
    stars: u32,
}

#[data]
struct Thanks {
    text: String,
}

/// There is no such film.
#[problem(
    status = 404,
    kind = "https://films.example.com/problems/no-such-film",
    title = "No such film",
    detail = "there is no film `{film}`"
)]
struct NoSuchFilm {
    film: u32,
}

/// Rows by genre, as the plugin's configuration lists them; on top, what the caller may like.
#[get("/home")]
async fn home() -> Result<Json<Screen>> {
    let genres = config_or("rows", "Drama,Comedy,Action".to_owned())?;
    let rows = try_join_all(genres.split(',').map(|genre| row(genre.trim(), list(genre.trim(), 0))));
    let (for_you, newest, rows) = join!(for_you(), row("New", list("", 0)), rows);
    let rows = [for_you?, newest?].into_iter().chain(rows?).filter(|row| !row.posters.is_empty()).collect();
    Ok(Json(Screen { rows }))
}

/// A film on the whole screen, and under it the other films of those who made it.
#[get("/films/{id}", problems(NoSuchFilm))]
async fn film(Path(id): Path<u32>) -> Result<Json<Hero>> {
    let film = Films::get_film(GetFilmRequest { id }).await.if_found()?.ok_or(NoSuchFilm { film: id })?;
    let rows = try_join_all(film.director_ids.iter().map(|director| async {
        let person = People::get_person(GetPersonRequest { id: *director }).await;
        let name = person.map_or("the director".to_owned(), |person| person.name);
        let mut row = row(&format!("More by {name}"), list("", *director)).await?;
        row.posters.retain(|poster| poster.film != id);
        Ok::<_, Problem>(row)
    }));
    let (summary, rows) = join!(Reviews::get_summary(GetSummaryRequest { film_id: id }), rows);
    let line = format!("{:.1} stars · {} min · {}", summary?.average, film.minutes, film.genres.join(", "));
    Ok(Json(Hero {
        title: film.title,
        year: film.year,
        image: film.poster_url,
        line,
        text: film.synopsis,
        rows: rows?.into_iter().filter(|row| !row.posters.is_empty()).collect(),
    }))
}

/// The films of one person.
#[get("/people/{id}")]
async fn person(Path(id): Path<u32>) -> Result<Json<Screen>> {
    let person = People::get_person(GetPersonRequest { id }).await.or_not_found("person", id)?;
    Ok(Json(Screen { rows: vec![row(&person.name, list("", id)).await?] }))
}

/// A row of films, and a row for each person found.
#[get("/search")]
async fn search(Query(Search { q }): Query<Search>) -> Result<Json<Screen>> {
    let (films, people) = try_join!(
        Films::search_films(SearchFilmsRequest { query: q.clone(), page_size: 20 }),
        People::search_people(SearchPeopleRequest { query: q.clone(), page_size: 3 }),
    )?;
    let found = Row { title: format!("“{q}”"), posters: films.films.into_iter().map(poster).collect() };
    let by_person = try_join_all(people.people.into_iter().map(|p| async move { row(&p.name, list("", p.id)).await }));
    let rows = [found].into_iter().chain(by_person.await?).filter(|row| !row.posters.is_empty()).collect();
    Ok(Json(Screen { rows }))
}

/// Rates a film with one to five stars.
#[post("/films/{id}/rating", problems(NoSuchFilm))]
async fn rate(Path(id): Path<u32>, caller: Identity, Json(new): Json<NewRating>) -> Result<Json<Thanks>> {
    if !(1..=5).contains(&new.stars) {
        return Err(Problem::invalid("body.stars", "is not between 1 and 5"));
    }
    let rated = Reviews::rate_film(RateFilmRequest { film_id: id, stars: new.stars }).await.if_found()?;
    rated.ok_or(NoSuchFilm { film: id })?;
    Ok(Json(Thanks { text: format!("Thank you, {}.", caller.subject()) }))
}

fn list(genre: &str, person_id: u32) -> ListFilmsRequest {
    ListFilmsRequest { genre: genre.to_owned(), person_id, page_size: 15, ..Default::default() }
}

async fn row(title: &str, films: ListFilmsRequest) -> Result<Row> {
    let list = Films::list_films(films).await?;
    Ok(Row { title: title.to_owned(), posters: list.films.into_iter().map(poster).collect() })
}

/// If the recommendations fail, the manifest's fallback stands in: a few films that everybody likes.
async fn for_you() -> Result<Row> {
    let hints = Recommend::for_user(ForUserRequest { limit: 10 }).await?;
    let films = hints.films.into_iter().map(|hint| Films::get_film(GetFilmRequest { id: hint.film_id }));
    let posters = join_all(films).await.into_iter().flatten().map(poster).collect();
    Ok(Row { title: "For you".to_owned(), posters })
}

fn poster(film: Film) -> Poster {
    Poster { film: film.id, title: film.title, image: film.poster_url }
}

weft_sdk::plugin!(home, film, person, search, rate);
