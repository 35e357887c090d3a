//! An endpoint that the plugin doesn't name: the compiler warns.

use weft_sdk::prelude::*;

#[get("/home")]
async fn home() -> String {
    String::new()
}

#[get("/forgotten")]
async fn forgotten() -> String {
    String::new()
}

weft_sdk::plugin!(home);
