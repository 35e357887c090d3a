//! Greets whoever calls.

use weft_sdk::prelude::*;

weft_sdk::clients!();

#[data]
pub struct Greeting {
    pub text: String,
}

/// Greets the one who is named in the path.
#[get("/greetings/{name}")]
async fn greet(Path(name): Path<String>) -> Result<Json<Greeting>> {
    if name.len() > 100 {
        return Err(Problem::invalid("path.name", "is longer than 100 bytes"));
    }
    Ok(Json(Greeting {
        text: format!("Hello, {name}!"),
    }))
}

weft_sdk::plugin!(greet);
