//! Calls that are not awaited, or whose failure nobody looks at.

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Films, GetFilmRequest};

#[get("/films/{id}")]
async fn film(Path(id): Path<u32>) -> Result<String> {
    Films::get_film(GetFilmRequest { id });
    let film = Films::get_film(GetFilmRequest { id }).await;
    Ok(film.title)
}

weft_sdk::plugin!(film);
