//! A method that plugin.toml does not grant, and a message of another one.

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Films, GetFilmRequest, SearchFilmsRequest};

#[get("/search/{text}")]
async fn search(Path(text): Path<String>) -> Result<String> {
    let found = Films::search_films(SearchFilmsRequest { query: text, page_size: 1 }).await?;
    Ok(found.films.len().to_string())
}

#[get("/films/{id}")]
async fn film(Path(id): Path<u32>) -> Result<String> {
    Ok(Films::get_film(SearchFilmsRequest { query: id.to_string(), page_size: 1 }).await?.title)
}

/// This one is fine.
#[get("/titles/{id}")]
async fn title(Path(id): Path<u32>) -> Result<String> {
    Ok(Films::get_film(GetFilmRequest { id }).await?.title)
}

weft_sdk::plugin!(search, film, title);
