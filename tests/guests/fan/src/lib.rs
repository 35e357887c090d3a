//! The plugin that the tests of the fan-out engine drive: one endpoint for each way to call a backend.

use weft_sdk::{List, cache, prelude::*};

weft_sdk::clients!();

use crate::catalog::v1::{Film, Films, GetFilmRequest};
use crate::feed::v1::{Event, Feed, ListEventsRequest};
use crate::recommend::v1::{ForUserRequest, Recommend};
use crate::reviews::v1::{RateFilmRequest, Reviews};

/// A film, and where the host had it from.
#[data]
pub(crate) struct Shown {
    title: String,
    origin: String,
    age_ms: u64,
}

fn shown(reply: weft_sdk::Reply<Film>) -> Json<Shown> {
    let (origin, age_ms) = (format!("{:?}", reply.origin), reply.age.as_millis() as u64);
    Json(Shown { title: reply.message.title, origin, age_ms })
}

/// A failure goes to the caller as it comes.
#[get("/film/{id}")]
async fn film(Path(id): Path<u32>) -> Result<Json<Shown>> {
    Ok(shown(Films::get_film(GetFilmRequest { id }).with_meta().await?))
}

#[data]
pub(crate) struct Ids {
    /// `1,2,3`
    ids: String,
}

/// How each of several calls at once ended: the film's title, or the code.
#[get("/films")]
async fn films(Query(Ids { ids }): Query<Ids>) -> Json<Vec<String>> {
    let ids = ids.split(',').filter_map(|id| id.parse().ok());
    let calls = join_all(ids.map(|id| Films::get_film(GetFilmRequest { id }))).await;
    Json(calls.into_iter().map(|call| call.map_or_else(|error| error.code().to_string(), |film| film.title)).collect())
}

/// Rather an old film than none.
#[get("/film/{id}/old")]
async fn old(Path(id): Path<u32>) -> Result<Json<Shown>> {
    Ok(shown(Films::get_film(GetFilmRequest { id }).or_stale().with_meta().await?))
}

/// Rather a film without a title than none.
#[get("/film/{id}/empty")]
async fn empty(Path(id): Path<u32>) -> Result<Json<Shown>> {
    Ok(shown(Films::get_film(GetFilmRequest { id }).or_default().with_meta().await?))
}

/// It can do without.
#[get("/film/{id}/maybe")]
async fn maybe(Path(id): Path<u32>) -> Result<String> {
    let film = Films::get_film(GetFilmRequest { id }).await.optional()?;
    Ok(film.map_or("nothing".to_owned(), |film| film.title))
}

/// What `plugin.toml` has a fallback for.
#[get("/recommended")]
async fn recommended(_caller: Identity) -> Result<Json<Vec<String>>> {
    let list = Recommend::for_user(ForUserRequest { limit: 5 }).await?;
    Ok(Json(list.films.into_iter().map(|hint| format!("{} {}", hint.film_id, hint.reason)).collect()))
}

/// One rating; how many there are of this caller now.
#[post("/film/{id}/rating")]
async fn rate(Path(id): Path<u32>, _caller: Identity) -> Result<Json<u32>> {
    Ok(Json(Reviews::rate_film(RateFilmRequest { film_id: id, stars: 4 }).await?.your_ratings))
}

/// The entities that carry the tag are true no more.
#[delete("/tags/{tag}")]
async fn forget(Path(tag): Path<String>) {
    cache::invalidate_tag(&tag);
}

/// The numbers of the events that came.
#[get("/events/{topic}")]
async fn events(Path(topic): Path<String>) -> Result<Json<Vec<u32>>> {
    let List { items } = Feed::list_events(ListEventsRequest { topic }).await?;
    Ok(Json(items.into_iter().map(|event: Event| event.number).collect()))
}

weft_sdk::plugin!(film, films, old, empty, maybe, recommended, rate, forget, events);
