//! The plugin as its clients see it, run natively.

use @MODULE@::Greeting;
use weft_sdk::test::App;

#[test]
fn greets_by_name() {
    let app = App::new(@MODULE@::plugin());
    let response = app.get("/greetings/ann").send();
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Greeting>().text, "Hello, ann!");
}
