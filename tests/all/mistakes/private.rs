//! An endpoint of another module, which that keeps for itself.

mod films {
    use weft_sdk::prelude::*;

    #[get("/films/{id}")]
    async fn film(Path(id): Path<u32>) -> String {
        id.to_string()
    }
}

weft_sdk::plugin!(films::film);
