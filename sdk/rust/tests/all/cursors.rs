//! Cursors: what is written into one page is read by the next, and by nothing else.

use weft_sdk::prelude::*;
use weft_sdk::test::{App, TestResponse};
use weft_sdk::{Cursor, Plugin};

use crate::support::METHODS;

#[data]
struct Place {
    films: Option<String>,
    seen: u32,
}

#[data]
struct Other {
    films: Option<String>,
    seen: u32,
}

#[data(input)]
struct Wanted {
    after: Option<Cursor<Place>>,
}

#[data(output)]
struct Page {
    from: u32,
    next: Cursor<Place>,
}

#[get("/pages")]
async fn pages(Query(wanted): Query<Wanted>) -> Result<Json<Page>> {
    let from = wanted.after.map_or(0, |cursor| cursor.0.seen);
    Ok(Json(Page { from, next: Cursor(Place { films: Some("f/+?".to_owned()), seen: from + 10 }) }))
}

#[get("/others")]
async fn others() -> Result<Json<Cursor<Other>>> {
    Ok(Json(Cursor(Other { films: None, seen: 7 })))
}

const KEY: &str = "0123456789abcdef";

fn app(keys: &str) -> App {
    let endpoints = const { &[weft_endpoint_pages::ENDPOINT, weft_endpoint_others::ENDPOINT] };
    App::new(Plugin::new(endpoints, METHODS, &[])).config("cursor-key", keys)
}

fn after(app: &App, cursor: &str) -> TestResponse {
    app.get(&format!("/pages?after={cursor}")).send()
}

fn next(response: &TestResponse) -> String {
    response.json::<serde_json::Value>()["next"].as_str().unwrap().to_owned()
}

#[test]
fn a_list_goes_on_where_its_cursor_says() {
    let app = app(KEY);
    let mut cursor = next(&app.get("/pages").send());
    for from in [10, 20, 30] {
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cursor}");
        let page = after(&app, &cursor);
        assert_eq!(page.json::<serde_json::Value>()["from"], from);
        cursor = next(&page);
    }
}

#[test]
fn what_was_not_signed_for_this_list_is_refused_by_name() {
    let app = app(KEY);
    let cursor = next(&app.get("/pages").send());
    let other: String = app.get("/others").send().json();
    let mut forged: Vec<String> = (0..cursor.len() - 1)
        .map(|place| {
            let letter = if cursor.as_bytes()[place] == b'A' { 'B' } else { 'A' };
            format!("{}{letter}{}", &cursor[..place], &cursor[place + 1..])
        })
        .collect();
    forged.extend([
        other,
        String::new(),
        "A".to_owned(),
        cursor[..20].to_owned(),
        "A".repeat(5000),
        "%F0%9F%8E%AC".into(),
    ]);
    for forged in forged {
        let refused = after(&app, &forged);
        let problem = refused.problem();
        let told = (problem.status(), problem.extension("field"), problem.detail());
        let wanted = "query.after: is no cursor of this list; begin at its first page";
        assert_eq!(told, (Status::BAD_REQUEST, Some("query.after"), wanted), "{forged}");
    }
}

#[test]
fn keys_change_while_cursors_are_out() {
    let (new, old) = ("fedcba9876543210", app(KEY));
    let cursor = next(&old.get("/pages").send());
    assert_eq!(after(&app(&format!("{new}, {KEY}")), &cursor).status(), Status::OK);
    assert_eq!(after(&app(new), &cursor).status(), Status::BAD_REQUEST);
    let newer = next(&app(&format!("{new}, {KEY}")).get("/pages").send());
    assert_eq!(after(&app(new), &newer).status(), Status::OK);
}

#[test]
fn without_a_key_there_is_none() {
    for keys in ["", "short"] {
        let response = app(keys).get("/pages").send();
        assert_eq!(response.status(), Status::INTERNAL_SERVER_ERROR, "{keys:?}");
    }
}
