//! Problems that are none.

use weft_sdk::prelude::*;

#[problem(status = 200, detail = "all is well")]
struct Fine;

#[problem(status = 404, detail = "none", kind = "urn:weft:problem:not-found")]
struct Taken;

#[problem(status = 404, detail = "none", title = "No such film")]
struct Untyped;

#[problem(status = 404, detail = "there is no {title}")]
struct Reserved {
    title: String,
}

#[problem(status = 404, detial = "there is no film")]
struct Misspelt;

#[get("/films/{id}", problems(Undeclared))]
async fn film(Path(id): Path<u32>) -> String {
    id.to_string()
}

struct Undeclared;

weft_sdk::plugin!(film);
