//! What the tests share: the command under test, the plugins, and backends that know everybody.

use bytes::Bytes;
use demo_services::proto::{
    catalog::v1::{BatchGetFilmsRequest, BatchGetFilmsResponse, Film, GetFilmRequest},
    people::v1::{BatchGetPeopleRequest, BatchGetPeopleResponse, GetPersonRequest, Person},
    reviews::v1::Rating,
};
use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};
use weft_tests::{
    artifacts,
    upstream::{Answer, FakeUpstream, Gate},
};

pub(crate) const GET_FILM: &str = "catalog.v1.Films/GetFilm";
pub(crate) const BATCH_GET_FILMS: &str = "catalog.v1.Films/BatchGetFilms";
pub(crate) const LIST_FILMS: &str = "catalog.v1.Films/ListFilms";
pub(crate) const GET_PERSON: &str = "people.v1.People/GetPerson";
pub(crate) const BATCH_GET_PEOPLE: &str = "people.v1.People/BatchGetPeople";
pub(crate) const LIST_REVIEWS: &str = "reviews.v1.Reviews/ListReviews";
pub(crate) const RATE_FILM: &str = "reviews.v1.Reviews/RateFilm";
pub(crate) const FOR_USER: &str = "recommend.v1.Recommend/ForUser";

/// The metadata key under which the demo's backends are told who calls.
pub(crate) const SUBJECT: &str = demo_services::SUBJECT;

/// The real command.
pub(crate) fn weft() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_weft-under-test"))
}

/// The plugin with an endpoint for everything.
pub(crate) fn probe() -> Bytes {
    artifacts::built(weft(), "tests/guests/probe")
}

/// The plugin without the SDK.
pub(crate) fn raw() -> Bytes {
    artifacts::assembled("tests/guests/raw", &raw::METHODS)
}

pub(crate) fn film(id: u32) -> Film {
    Film { id, title: format!("Film {id}"), ..Film::default() }
}

pub(crate) fn person(id: u32) -> Person {
    Person { id, name: format!("Person {id}"), ..Person::default() }
}

/// A backend that has every film and every person, singly and in batches.
pub(crate) async fn knows_all() -> FakeUpstream {
    let upstream = FakeUpstream::start().await;
    upstream
        .on(GET_FILM, |call| Answer::message(&film(call.decoded::<GetFilmRequest>().id)))
        .on(GET_PERSON, |call| Answer::message(&person(call.decoded::<GetPersonRequest>().id)))
        .on(BATCH_GET_FILMS, |call| {
            let ids = call.decoded::<BatchGetFilmsRequest>().ids;
            Answer::message(&BatchGetFilmsResponse { films: ids.into_iter().map(film).collect() })
        })
        .on(BATCH_GET_PEOPLE, |call| {
            let ids = call.decoded::<BatchGetPeopleRequest>().ids;
            Answer::message(&BatchGetPeopleResponse { people: ids.into_iter().map(person).collect() })
        });
    upstream
}

/// A backend that counts ratings, and answers them once the gate is open.
pub(crate) async fn ratings(gate: &Gate) -> FakeUpstream {
    let upstream = knows_all().await;
    let (shut, count) = (gate.clone(), AtomicU32::new(0));
    upstream.on(RATE_FILM, move |_| {
        let your_ratings = count.fetch_add(1, SeqCst) + 1;
        Answer::message(&Rating { your_ratings, ..Rating::default() }).held(&shut)
    });
    upstream
}

/// From now on the upstream's answer, this person for all, comes through the gate.
pub(crate) fn hold_people(upstream: &FakeUpstream, gate: &Gate, id: u32) {
    let shut = gate.clone();
    upstream.on(GET_PERSON, move |_| Answer::message(&person(id)).held(&shut));
}

/// Lines of a backend's table: no call is given up only because the machine is busy.
pub(crate) const PATIENT: &str = "timeout = \"300s\"\nconnect-timeout = \"60s\"";

/// `[backend.fake.method."…"]` with these lines.
pub(crate) fn rule(method: &str, lines: &str) -> String {
    format!("[backend.fake.method.\"{method}\"]\n{lines}\n")
}

/// Batches people as the demo does.
pub(crate) const PEOPLE_IN_BATCHES: &str =
    r#"batch = { via = "BatchGetPeople", key = "id", keys = "ids", items = "people", item-key = "id" }"#;
