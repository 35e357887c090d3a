//! What can't be answered with.

use weft_sdk::prelude::*;

pub struct Film {
    pub title: String,
}

#[get("/plain")]
async fn plain() -> Film {
    Film { title: String::new() }
}

#[get("/json")]
async fn json() -> Result<Json<Film>> {
    Ok(Json(Film { title: String::new() }))
}

weft_sdk::plugin!(plain, json);
