//! Two plugins in one native binary: each keeps its own endpoints, clients and method table, and can be tested beside the other.

use serde_json::{Value, json};
use weft_sdk::test::{App, TestResponse};

/// Backends in memory for one of the plugins; the types that it generated of the same protos are its own.
macro_rules! app {
    ($plugin:ident) => {{
        use $plugin::{catalog::v1::*, people::v1::*, recommend::v1::*, reviews::v1::*};
        App::new($plugin::plugin())
            .backend(Films::GET_FILM, |request| {
                let film = Film { id: request.id, title: format!("Film {}", request.id), ..Default::default() };
                Ok(Film { director_ids: vec![5], ..film })
            })
            .backend(People::GET_PERSON, |request| {
                Ok(Person { id: request.id, name: format!("Person {}", request.id), ..Default::default() })
            })
            .backend(Reviews::GET_SUMMARY, |request| {
                Ok(Summary { film_id: request.film_id, average: 4.26, ..Default::default() })
            })
            .backend(Reviews::LIST_REVIEWS, |_| Ok(ListReviewsResponse::default()))
            .backend(Films::LIST_FILMS, |_| Ok(ListFilmsResponse::default()))
            .backend(Recommend::FOR_USER, |_| Ok(ForUserResponse::default()))
    }};
}

fn sent(response: &TestResponse) -> Vec<String> {
    let exchanges = response.exchanges().iter().flatten();
    let mut methods: Vec<String> = exchanges.map(|call| call.method().to_owned()).collect();
    methods.sort();
    methods.dedup();
    methods
}

#[test]
fn two_plugins_serve_their_own_pages_side_by_side() {
    let (web, ios) = (app!(home_web), app!(home_ios));
    let (page, screen) = (web.get("/films/7").send(), ios.get("/films/7").send());
    let (wide, flat): (Value, Value) = (page.json(), screen.json());
    assert_eq!((&wide["title"], &wide["average"]), (&json!("Film 7"), &json!(4.3)));
    assert_eq!(wide["directors"][0]["name"], "Person 5");
    assert_eq!((&flat["title"], &flat["stars"]), (&json!("Film 7"), &json!(4.5)));
    assert_eq!((&flat["directed_by"], &flat["directors"]), (&json!("Person 5"), &Value::Null));
    let expected = [
        "catalog.v1.Films/GetFilm",
        "people.v1.People/GetPerson",
        "reviews.v1.Reviews/GetSummary",
        "reviews.v1.Reviews/ListReviews",
    ];
    assert_eq!((sent(&page), sent(&screen)), (expected.map(str::to_owned).into(), expected.map(str::to_owned).into()));
}

#[test]
fn each_has_its_own_endpoints_and_its_own_method_table() {
    let (web, ios) = (home_web::plugin(), home_ios::plugin());
    let name = "people.v1.People/SearchPeople";
    assert!(web.methods().contains(&name) && !ios.methods().contains(&name), "only the web's manifest grants it");
    // The same method has another place in each table, and each client calls by its own.
    let place = |methods: &[&str]| methods.iter().position(|method| *method == "reviews.v1.Reviews/ListReviews");
    assert_ne!(place(web.methods()), place(ios.methods()));
    let names =
        |plugin: &weft_sdk::Plugin| plugin.endpoints().iter().map(|endpoint| endpoint.name()).collect::<Vec<_>>();
    assert_eq!(names(&web), names(&ios), "one path each for the same thing, in whatever shape");
}
