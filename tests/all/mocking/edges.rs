//! Starts that are broken off, schemas that no value fits or that need themselves, and members that are chosen before there is code.

use super::Begun;
use crate::support::weft;
use serde_json::{Value, json};
use std::fs;
use weft_tests::{mock::MockProcess, process::run_in, wait::until};

/// However early it is stopped, nothing of it is left.
#[tokio::test]
async fn a_start_that_is_broken_off_leaves_nothing_behind() {
    let begun = Begun::new().await;
    let temporary = tempfile::tempdir().unwrap();
    let is_empty = || fs::read_dir(temporary.path()).unwrap().next().is_none();
    for _ in 0..5 {
        let mock = MockProcess::begin(weft(), begun.0.path(), &["greeter"], &[("TMPDIR", temporary.path())]);
        until("its folder", async || (!is_empty()).then_some(())).await;
        let (code, lines) = mock.interrupt().await;
        assert_eq!((code, is_empty()), (0, true), "{lines:#?}");
    }
}

#[tokio::test]
async fn schemas_that_no_value_fits_are_refused_by_their_place() {
    let begun = Begun::new().await;
    let range = json!({ "type": "integer", "minimum": 5, "maximum": 1 });
    let response = json!({ "type": "object", "properties": { "stars": range }, "required": ["stars"] });
    begun.write("contract/mood.json", &json!({ "endpoint": "GET /mood", "response": response }).to_string());
    let told = begun.refused().await;
    let line = "error: greeter/contract/mood.json: response.properties.stars: no whole number has both `minimum` 5 and `maximum` 1";
    assert!(told.code == 2 && told.err.contains(line), "{told:?}");
}

/// What may be chosen of an answer is known before there is code.
#[tokio::test]
async fn members_are_chosen_in_front_of_a_mock_as_well() {
    let begun = Begun::new().await;
    begun.replace(
        "plugin.toml",
        "[endpoint.\"GET /greetings/{name}\"]",
        "[endpoint.\"GET /greetings/{name}\"]\nfields = true",
    );
    let mock = begun.mock().await;
    let get = |query: &str| mock.web().get(&format!("/greetings/ann?{query}")).send();
    assert_eq!(get("fields=text").await.ok().json(), json!({ "text": "Hello, ann!" }));
    let unknown = get("fields=txt").await.problem(400);
    assert_eq!(unknown["type"], "urn:weft:problem:bad-fields");
    let told = run_in(weft(), begun.0.path(), &["openapi", "--artifact", "greeter"]).await;
    assert!(told.out.contains("\"Greeting.Partial\"") && told.out.contains("x-weft-fields"), "{told:?}");
    // What it shows is the contract of what it stands for.
    let (printed, served) =
        (serde_json::from_str::<Value>(&told.out).unwrap(), mock.web().get("/openapi.json").send().await.ok().json());
    assert_eq!((&served["paths"], &served["components"]), (&printed["paths"], &printed["components"]));
    mock.until_line("Its contract: http://").await;
}

/// A type that holds itself is served as long as it can end.
#[tokio::test]
async fn types_that_hold_themselves_are_made_as_far_as_they_end() {
    let begun = Begun::new().await;
    let of = |name: &str, needed: &str| {
        json!({
            "endpoint": format!("GET /{name}"),
            "response": {"$ref": "#/$defs/Node"},
            "$defs": {"Node": {
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}, "next": {"$ref": "#/$defs/Node"}},
                "required": [needed],
            }},
        })
        .to_string()
    };
    begun.write("contract/tree.json", &of("tree", "children"));
    begun.write("contract/chain.json", &of("chain", "next"));
    let more = "[endpoint.\"GET /tree\"]\nauth = \"none\"\n[endpoint.\"GET /chain\"]\nauth = \"none\"\n";
    begun.write("plugin.toml", &(fs::read_to_string(begun.file("plugin.toml")).unwrap() + more));
    let mock = begun.mock().await;
    let tree = mock.web().get("/tree").send().await.ok();
    assert!(tree.json()["children"].is_array() && tree.body.len() < 1 << 20);
    let problem = mock.web().get("/chain").send().await.problem(501);
    assert!(problem["detail"].as_str().unwrap().contains("write an example for it"), "{problem}");
}
