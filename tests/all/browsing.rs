//! Pages in a real browser.

use serde_json::json;
use weft_tests::{
    browser,
    site::{Page, Site},
};

/// The testkit's own promise: what a page does wrong is seen.
#[tokio::test]
async fn a_page_is_shown_and_what_is_wrong_with_it_is_told() {
    let site = Site::start().await;
    let html =
        "<!doctype html><title>Hello</title><h1>Hello</h1><img src=\"data:image/gif;base64,R0lGODlhAQABAAAAACw=\">";
    site.otherwise(move |_| {
        let policy = "default-src 'none'; img-src data:; connect-src *";
        Page::status(200, html).header("content-type", "text/html").header("content-security-policy", policy)
    });
    let input = json!({ "url": site.url("/") });
    let Some(shown) = browser::run("tests/all/browsing/hello.mjs", &input).await else { return };
    assert_eq!(shown.value["heading"], "Hello");
    assert_eq!((&shown.value["inline"], &shown.value["named"]), (&json!(false), &json!(200)), "{shown:?}");
    assert_eq!(shown.value["stranger"], "refused");
    assert_eq!(shown.strangers, ["http://example.com/"]);
    assert!(shown.complaints.iter().any(|text| text.contains("Content Security Policy")), "{shown:?}");
    let found = shown.value["axe"].as_array().unwrap();
    assert!(found.contains(&json!("image-alt")) && found.contains(&json!("html-has-lang")), "{found:?}");
}
