//! Bodies where there are none.

use weft_sdk::prelude::*;

#[post("/films")]
async fn create(Json(name): Json<String>, caller: Identity) -> String {
    format!("{name} by {}", caller.subject())
}

#[get("/films")]
async fn list(Json(name): Json<String>) -> String {
    name
}

weft_sdk::plugin!(create, list);
