//! The pages. What they answer is byte for byte what the plugin answers.

use super::{
    App,
    guard::{Caller, problem},
};
use axum::{
    extract::{Extension, Path, State},
    response::{IntoResponse, Response},
};
use demo_services::proto::{catalog::v1::Film, people::v1::Person, reviews::v1::ListReviewsResponse};
use futures_util::future::try_join;
use http::{StatusCode, header};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use tonic::{Code, Status};

type Known<T> = HashMap<u32, Arc<T>>;

#[derive(Serialize)]
struct Page<'a> {
    viewer: &'a str,
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    id: u32,
    film: u32,
    stars: u32,
    text: &'a str,
    written_at: i64,
    author: PersonView<'a>,
}

#[derive(Serialize)]
struct PersonView<'a> {
    id: u32,
    name: &'a str,
    born: u32,
    portrait: &'a str,
}

#[derive(Serialize)]
struct PersonPage<'a> {
    viewer: &'a str,
    person: PersonView<'a>,
}

#[derive(Serialize)]
struct FilmView<'a> {
    id: u32,
    title: &'a str,
    year: u32,
    minutes: u32,
    genres: &'a [String],
    synopsis: &'a str,
    poster: &'a str,
}

#[derive(Serialize)]
struct FilmPage<'a> {
    viewer: &'a str,
    film: FilmView<'a>,
}

#[derive(Serialize)]
struct Levels<'a> {
    viewer: &'a str,
    items: Vec<Level<'a>>,
}

#[derive(Serialize)]
struct Level<'a> {
    id: u32,
    stars: u32,
    author: PersonView<'a>,
    film: FilmView<'a>,
    directors: Vec<PersonView<'a>>,
    reviews: u32,
}

/// A failure of a backend, or an item that is not there.
pub(super) struct Failed(Status);

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.code() {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        problem(status, self.0.message())
    }
}

type Answer = Result<Response, Failed>;

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(items): Path<u32>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    let list = newest(&app, items, &caller).await?;
    let authors = list.reviews.iter().map(|review| review.author_id);
    let people =
        if app.naive { one_by_one(&app, authors, &caller).await? } else { app.people.many(authors, &caller).await? };
    let items = list.reviews.iter().map(|review| {
        Ok(Item {
            id: review.id,
            film: review.film_id,
            stars: review.stars,
            text: &review.text,
            written_at: review.written_at,
            author: view(&people, review.author_id)?,
        })
    });
    json(&Page { viewer: &caller.subject, items: items.collect::<Result<_, Status>>()? })
}

/// As it is written in a hurry: a call for each item, one after the other.
async fn one_by_one(app: &App, ids: impl Iterator<Item = u32>, caller: &Caller) -> Result<Known<Person>, Status> {
    let mut people = Known::new();
    for id in ids {
        people.extend(app.people.one(id, caller).await?.map(|person| (id, person)));
    }
    Ok(people)
}

pub(super) async fn person(
    State(app): State<Arc<App>>,
    Path(id): Path<u32>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    let person = app.people.one(id, &caller).await?.ok_or_else(|| missing("person", id))?;
    json(&PersonPage { viewer: &caller.subject, person: shown(&person) })
}

pub(super) async fn film(
    State(app): State<Arc<App>>,
    Path(id): Path<u32>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    let film = app.films.one(id, &caller).await?.ok_or_else(|| missing("film", id))?;
    json(&FilmPage { viewer: &caller.subject, film: facts(&film) })
}

pub(super) async fn levels(
    State(app): State<Arc<App>>,
    Path(items): Path<u32>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    let list = newest(&app, items, &caller).await?;
    let authors = app.people.many(list.reviews.iter().map(|review| review.author_id), &caller);
    let films = async {
        let films = app.films.many(list.reviews.iter().map(|review| review.film_id), &caller).await?;
        let directors = app.people.many(films.values().flat_map(|film| film.director_ids.iter().copied()), &caller);
        let summaries = app.summaries.many(films.keys().copied(), &caller);
        let (directors, summaries) = try_join(directors, summaries).await?;
        Ok((films, directors, summaries))
    };
    let (authors, (films, directors, summaries)) = try_join(authors, films).await?;
    let items = list.reviews.iter().map(|review| {
        let film = films.get(&review.film_id).ok_or_else(|| missing("film", review.film_id))?;
        Ok(Level {
            id: review.id,
            stars: review.stars,
            author: view(&authors, review.author_id)?,
            film: facts(film),
            directors: film.director_ids.iter().map(|id| view(&directors, *id)).collect::<Result<_, Status>>()?,
            reviews: summaries.get(&film.id).map_or(0, |summary| summary.count),
        })
    });
    json(&Levels { viewer: &caller.subject, items: items.collect::<Result<_, Status>>()? })
}

/// As small as a route of axum can be: what a hit in the response cache is held against.
pub(super) async fn fixed() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::expected::FIXED).into_response()
}

async fn newest(app: &App, items: u32, caller: &Caller) -> Result<Arc<ListReviewsResponse>, Status> {
    app.lists.one(items, caller).await?.ok_or_else(|| missing("list", items))
}

fn view(people: &Known<Person>, id: u32) -> Result<PersonView<'_>, Status> {
    people.get(&id).map(|person| shown(person)).ok_or_else(|| missing("person", id))
}

fn shown(person: &Person) -> PersonView<'_> {
    PersonView { id: person.id, name: &person.name, born: person.born, portrait: &person.portrait_url }
}

fn facts(film: &Film) -> FilmView<'_> {
    FilmView {
        id: film.id,
        title: &film.title,
        year: film.year,
        minutes: film.minutes,
        genres: &film.genres,
        synopsis: &film.synopsis,
        poster: &film.poster_url,
    }
}

fn missing(what: &str, id: u32) -> Status {
    Status::not_found(format!("no {what} has the id {id}"))
}

fn json(value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| Status::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
