//! What is not taken from a request.

use weft_sdk::prelude::*;

struct Search {
    q: String,
}

#[get("/films/{id}")]
async fn film(id: u32) -> String {
    id.to_string()
}

#[get("/search")]
async fn search(Query(search): Query<Search>) -> String {
    search.q
}

#[post("/search")]
async fn keep(Json(search): Json<Search>) -> String {
    search.q
}

weft_sdk::plugin!(film, search, keep);
