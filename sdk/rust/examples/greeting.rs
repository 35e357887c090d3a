//! A plugin of one endpoint, and a request to it without a host: `cargo run --example greeting`.

use weft_sdk::prelude::*;
use weft_sdk::test::App;

#[data]
pub struct Greeting {
    pub text: String,
}

/// Greets the one who is named in the path.
#[get("/greetings/{name}")]
async fn greet(Path(name): Path<String>) -> Result<Json<Greeting>> {
    Ok(Json(Greeting { text: format!("Hello, {name}!") }))
}

weft_sdk::plugin!(greet);

fn main() {
    let response = App::new(plugin()).get("/greetings/ann").send();
    assert_eq!(response.json::<Greeting>().text, "Hello, ann!");
}
