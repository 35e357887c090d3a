//! A name that is spelled otherwise, a function that is no endpoint, and an endpoint that the plugin doesn't name.

use weft_sdk::prelude::*;

#[get("/home")]
async fn home() -> String {
    helper()
}

#[get("/forgotten")]
async fn forgotten() -> String {
    helper()
}

fn helper() -> String {
    String::new()
}

weft_sdk::plugin!(hoem, helper);
