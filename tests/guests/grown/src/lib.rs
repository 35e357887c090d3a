//! Endpoints with the mistakes that `weft test` finds, and some that look alike and have none.

use std::{cell::RefCell, time::Duration};
use weft_sdk::prelude::*;

weft_sdk::clients!();

use crate::catalog::v1::{Film, Films, GetFilmRequest, ListFilmsRequest};
use crate::people::v1::{GetPersonRequest, People, SearchPeopleRequest};
use crate::recommend::v1::{ForUserRequest, Recommend};
use crate::reviews::v1::{GetSummaryRequest, ListReviewsRequest, Reviews};

async fn films() -> Result<Vec<Film>> {
    Ok(Films::list_films(ListFilmsRequest { page_size: 20, ..Default::default() }).await?.films)
}

/// One call for each film, and no batch of them.
async fn reviewed(films: &[Film]) -> Result<usize> {
    let lists = films.iter().map(|film| Reviews::list_reviews(ListReviewsRequest { film_id: film.id, page_size: 3 }));
    Ok(try_join_all(lists).await?.iter().map(|list| list.reviews.len()).sum())
}

/// A loop without a rule.
#[get("/loop")]
async fn looped() -> Result<Json<usize>> {
    Ok(Json(reviewed(&films().await?).await?))
}

/// A loop that could be batched, each round of which waits for the one before.
#[get("/awaited")]
async fn awaited() -> Result<Json<Vec<String>>> {
    let mut titles = Vec::new();
    for film in films().await? {
        titles.push(Films::get_film(GetFilmRequest { id: film.id }).await?.title);
    }
    Ok(Json(titles))
}

/// One call for each film, behind a `join` with something else.
#[get("/joined")]
async fn joined() -> Result<Json<usize>> {
    let reviewed = async { reviewed(&films().await?).await };
    let (liked, reviewed) = join!(Recommend::for_user(ForUserRequest { limit: 3 }).or_default(), reviewed);
    Ok(Json(liked?.films.len() + reviewed?))
}

/// One call for each role of each film.
#[get("/nested")]
async fn nested() -> Result<Json<usize>> {
    let films = films().await?;
    let roles = films.iter().flat_map(|film| &film.cast);
    let found = roles
        .map(|role| People::search_people(SearchPeopleRequest { query: format!("{}", role.person_id), page_size: 1 }));
    Ok(Json(try_join_all(found).await?.len()))
}

/// A loop that is batched.
#[get("/batched")]
async fn batched() -> Result<Json<Vec<String>>> {
    let films = films().await?.into_iter().map(|film| Films::get_film(GetFilmRequest { id: film.id }));
    Ok(Json(try_join_all(films).await?.into_iter().map(|film| film.title).collect()))
}

/// Lists inside lists, all of them batched.
#[get("/batched-nested")]
async fn batched_nested() -> Result<Json<Vec<Vec<String>>>> {
    let names = async |ids: Vec<u32>| -> Result<Vec<String>> {
        let people = ids.into_iter().map(|id| People::get_person(GetPersonRequest { id }));
        Ok(try_join_all(people).await?.into_iter().map(|person| person.name).collect())
    };
    let films = films().await?.into_iter().map(async |film| {
        let (summary, names) =
            join!(Reviews::get_summary(GetSummaryRequest { film_id: film.id }), names(film.director_ids));
        summary?;
        names
    });
    Ok(Json(try_join_all(films).await?))
}

/// What it calls has no list.
#[get("/scalar/{id}")]
async fn scalar(Path(id): Path<u32>) -> Result<Json<f64>> {
    Ok(Json(Reviews::get_summary(GetSummaryRequest { film_id: id }).await?.average))
}

/// It calls nothing.
#[get("/still")]
async fn still() -> Json<u32> {
    Json(7)
}

/// It never ends, and computes meanwhile.
#[get("/endless")]
async fn endless() -> Json<u64> {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
        if number == 2 {
            return Json(number);
        }
    }
}

/// It never ends, and waits meanwhile.
#[get("/asleep")]
async fn asleep() -> Json<u32> {
    sleep(Duration::from_secs(600)).await;
    Json(7)
}

#[data]
struct Aged {
    #[schemars(range(max = 1950))]
    year: u32,
    title: String,
}

/// It breaks what its schema says.
#[get("/broken/{id}")]
async fn broken(Path(id): Path<u32>) -> Result<Json<Aged>> {
    let film = Films::get_film(GetFilmRequest { id }).await?;
    Ok(Json(Aged { year: film.year, title: film.title }))
}

/// It is nearly as large as it may be.
#[get("/large")]
async fn large() -> Json<String> {
    Json("x".repeat(60 << 10))
}

/// Its optional part is none.
#[get("/brittle")]
async fn brittle() -> Result<Json<String>> {
    let liked = Recommend::for_user(ForUserRequest { limit: 3 }).await?;
    let first = liked.films.first().ok_or_else(|| Problem::internal("nothing is liked"))?;
    Ok(Json(first.reason.clone()))
}

/// Its optional part is one, and so is another backend that it needs.
#[get("/robust")]
async fn robust() -> Result<Json<usize>> {
    let liked = Recommend::for_user(ForUserRequest { limit: 3 }).await?;
    Ok(Json(liked.films.len() + films().await?.len()))
}

/// What a module keeps stays for the next caller, where instances are used again.
#[get("/kept")]
async fn kept(caller: Identity) -> Json<Vec<String>> {
    thread_local!(static CALLERS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });
    let callers = CALLERS.with_borrow_mut(|callers| {
        callers.push(caller.subject().to_owned());
        callers.clone()
    });
    Json(callers)
}

#[data]
struct Me {
    subject: String,
    plan: String,
}

/// Who calls.
#[get("/me")]
async fn me(caller: Identity) -> Result<Json<Me>> {
    let plan = caller.claim::<String>("plan").unwrap_or_default();
    Ok(Json(Me { subject: caller.subject().to_owned(), plan }))
}

weft_sdk::plugin!(
    looped,
    awaited,
    joined,
    nested,
    batched,
    batched_nested,
    scalar,
    still,
    endless,
    asleep,
    broken,
    large,
    brittle,
    robust,
    kept,
    me
);
