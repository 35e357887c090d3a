//! Data that has something inside which is none.

use weft_sdk::prelude::*;

#[data]
pub struct Page {
    pub title: String,
    pub film: Film,
}

pub struct Film {
    pub title: String,
}

#[get("/home")]
async fn home() -> Result<Json<Page>> {
    Err(Problem::not_found("page", "home"))
}

weft_sdk::plugin!(home);
