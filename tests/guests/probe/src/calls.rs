//! Calls of backends, alone and many at once.

use weft_sdk::Method;
use weft_sdk::prelude::*;

use crate::catalog::v1::{Film, Films, GetFilmRequest, ListFilmsRequest};
use crate::people::v1::{GetPersonRequest, People, Person};
use crate::recommend::v1::{ForUserRequest, Recommend};
use crate::reviews::v1::{ListReviewsRequest, RateFilmRequest, Reviews};

#[data]
pub(crate) struct Line {
    film: u32,
    author: String,
}

/// A page of a hundred reviews with the names of their authors.
#[get("/page")]
pub(crate) async fn page() -> Result<Json<Vec<Line>>> {
    let list = Reviews::list_reviews(ListReviewsRequest { film_id: 0, page_size: 100 }).await?;
    let lines = list.reviews.into_iter().map(|review| async move {
        let author = People::get_person(GetPersonRequest { id: review.author_id }).await?;
        Ok::<_, Problem>(Line { film: review.film_id, author: author.name })
    });
    Ok(Json(try_join_all(lines).await?))
}

/// How each of several calls ended: the item's name, or the code.
#[data]
pub(crate) struct Ids {
    /// `1,2,3`
    ids: String,
}

impl Ids {
    fn numbers(&self) -> Vec<u32> {
        self.ids.split(',').filter_map(|id| id.parse().ok()).collect()
    }
}

fn name<T>(result: Result<T, CallError>, name: impl FnOnce(T) -> String) -> String {
    result.map_or_else(|error| error.code().to_string(), name)
}

async fn names(ids: &Ids) -> Json<Vec<String>> {
    let calls = ids.numbers().into_iter().map(|id| People::get_person(GetPersonRequest { id }));
    Json(join_all(calls).await.into_iter().map(|result| name(result, |person: Person| person.name)).collect())
}

#[get("/people")]
pub(crate) async fn people(Query(ids): Query<Ids>) -> Json<Vec<String>> {
    names(&ids).await
}

/// As [`people`], for a caller.
#[get("/my-people")]
pub(crate) async fn my_people(Query(ids): Query<Ids>, _caller: Identity) -> Json<Vec<String>> {
    names(&ids).await
}

#[get("/films")]
pub(crate) async fn films(Query(ids): Query<Ids>) -> Json<Vec<String>> {
    let calls = ids.numbers().into_iter().map(|id| Films::get_film(GetFilmRequest { id }));
    Json(join_all(calls).await.into_iter().map(|result| name(result, |film: Film| film.title)).collect())
}

/// The film's title; a failure goes to the caller as it comes.
#[get("/films/{id}")]
pub(crate) async fn unexcused(Path(id): Path<u32>) -> Result<String> {
    Ok(Films::get_film(GetFilmRequest { id }).await?.title)
}

/// What became of a call for a film and one for a person, side by side.
#[data]
pub(crate) struct Outcomes {
    film: Outcome,
    person: Outcome,
}

#[data]
pub(crate) struct Outcome {
    reply: Option<String>,
    code: String,
    message: String,
    origin: String,
}

#[data]
pub(crate) struct Pair {
    film: u32,
    person: u32,
}

#[get("/outcome")]
pub(crate) async fn outcome(Query(Pair { film, person }): Query<Pair>) -> Json<Outcomes> {
    let (film, person) = join!(
        Films::get_film(GetFilmRequest { id: film }).with_meta(),
        People::get_person(GetPersonRequest { id: person }).with_meta(),
    );
    let film = film.map(|reply| (format!("{:?}", reply.origin), reply.message.title));
    let person = person.map(|reply| (format!("{:?}", reply.origin), reply.message.name));
    Json(Outcomes { film: told(film), person: told(person) })
}

fn told(result: Result<(String, String), CallError>) -> Outcome {
    match result {
        Ok((origin, reply)) => Outcome { reply: Some(reply), code: "OK".to_owned(), message: String::new(), origin },
        Err(error) => Outcome {
            reply: None,
            code: error.code().to_string(),
            message: error.message().to_owned(),
            origin: String::new(),
        },
    }
}

/// Calls by a number that is in no table.
#[get("/films/{id}/ungranted")]
pub(crate) async fn ungranted(Path(id): Path<u32>) -> String {
    let forged: Method<GetFilmRequest, Film> = Method::new(999, "catalog.v1.Films/Forged");
    name(forged.call(GetFilmRequest { id }).await, |film| film.title)
}

#[data]
pub(crate) struct Many {
    calls: u32,
}

/// How many of so many different calls went well, and how the first of the others ended.
#[get("/calls")]
pub(crate) async fn many(Query(Many { calls }): Query<Many>) -> String {
    let results = join_all((1..=calls).map(|id| People::get_person(GetPersonRequest { id }))).await;
    let well = results.iter().filter(|result| result.is_ok()).count();
    let first = results.into_iter().find_map(Result::err);
    format!("{well} {}", first.map_or("OK".to_owned(), |error| error.to_string()))
}

/// Two equal ratings at once: each counts.
#[post("/films/{id}/two-ratings")]
pub(crate) async fn two_ratings(Path(id): Path<u32>, _caller: Identity) -> Result<Json<Vec<u32>>> {
    let rate = || Reviews::rate_film(RateFilmRequest { film_id: id, stars: 4 });
    let (one, other) = try_join!(rate(), rate())?;
    let mut counts = vec![one.your_ratings, other.your_ratings];
    counts.sort_unstable();
    Ok(Json(counts))
}

/// What the backend recommends to this caller.
#[get("/for-you")]
pub(crate) async fn for_you(_caller: Identity) -> Result<Json<Vec<String>>> {
    let list = Recommend::for_user(ForUserRequest { limit: 5 }).await?;
    Ok(Json(list.films.into_iter().map(|hint| format!("{} {}", hint.film_id, hint.reason)).collect()))
}

/// Titles as the backend lists them for this caller.
#[get("/list")]
pub(crate) async fn list(_caller: Identity) -> Result<Json<Vec<String>>> {
    let list = Films::list_films(ListFilmsRequest::default()).await?;
    Ok(Json(list.films.into_iter().map(|film| film.title).collect()))
}
