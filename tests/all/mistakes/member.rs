//! A problem whose text names a member that it does not have.

use weft_sdk::prelude::*;

#[problem(status = 404, detail = "there is no film {id}")]
struct NoSuchFilm {
    film: u32,
}

#[get("/films/{id}", problems(NoSuchFilm))]
async fn film(Path(id): Path<u32>) -> Result<String> {
    Err(NoSuchFilm { film: id }.into())
}

weft_sdk::plugin!(film);
