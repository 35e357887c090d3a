//! Functions that are no endpoints.

use weft_sdk::prelude::*;

#[get("/sync")]
fn sync() -> String {
    String::new()
}

#[get("/generic")]
async fn generic<T>() -> String {
    String::new()
}

#[get("/unnamed")]
async fn unnamed() -> Result<Json<impl serde::Serialize>> {
    Ok(Json(1))
}

weft_sdk::plugin!(sync, generic, unnamed);
