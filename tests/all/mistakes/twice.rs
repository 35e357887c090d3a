//! Two endpoints at one place.

use weft_sdk::prelude::*;

#[get("/home")]
async fn home() -> String {
    String::new()
}

#[get("/home")]
async fn start() -> String {
    String::new()
}

weft_sdk::plugin!(home, start);
