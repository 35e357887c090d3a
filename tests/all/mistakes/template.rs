//! Paths that are none, and paths that don't fit what is taken.

use weft_sdk::prelude::*;

#[get("films")]
async fn relative() {}

#[get("/films/")]
async fn trailing() {}

#[get("/films/{filmId}")]
async fn camel(Path(id): Path<u32>) {
    drop(id);
}

#[get("/films/{id}.json")]
async fn partial(Path(id): Path<u32>) {
    drop(id);
}

#[get("/search?q={text}")]
async fn query(Path(text): Path<String>) {
    drop(text);
}

#[get("/cafés")]
async fn accented() {}

#[get("/films/{id}/cast/{person}")]
async fn too_few(Path(id): Path<u32>) {
    drop(id);
}

#[get("/films")]
async fn none(Path(id): Path<u32>) {
    drop(id);
}

#[get]
async fn missing() {}

#[get("/films/{id}", problem(NoSuchFilm))]
async fn misspelt(Path(id): Path<u32>) {
    drop(id);
}

weft_sdk::plugin!(relative, trailing, camel, partial, query, accented, too_few, none, missing, misspelt);
