//! `weft diff`, as frontend teams and pipelines run it.

use crate::support::weft;
use serde_json::{Value, json};
use weft_tests::{
    artifacts,
    process::{Ended, run, run_in},
    repository,
    site::{Page, Site},
};

fn text(name: &str) -> String {
    std::fs::read_to_string(repository().join("tests/all/compatibility").join(name)).unwrap()
}

async fn diff(arguments: &[&str]) -> Ended {
    let folder = repository().join("tests/all/compatibility");
    run_in(weft(), &folder, &[&["diff"], arguments].concat()).await
}

#[tokio::test]
async fn the_page_shows_what_the_command_tells() {
    let told = diff(&["old.json", "new.json"]).await;
    assert_eq!((told.code, told.err.as_str()), (1, ""), "{}", told.out);
    let page = std::fs::read_to_string(repository().join("docs/frontends/compatibility.md")).unwrap();
    assert!(
        page.contains(&format!("```\n{}```\n", told.out)),
        "docs/frontends/compatibility.md should show:\n{}",
        told.out
    );
}

#[tokio::test]
async fn the_exit_code_says_whether_apps_break() {
    let same = diff(&["old.json", "old.json"]).await;
    assert_eq!((same.code, same.out.as_str()), (0, "no changes for frontends\n"));
    // Only what is new, on the way from one to the other, is safe.
    let folder = tempfile::tempdir().unwrap();
    let more = folder.path().join("more.json");
    let mut document: Value = serde_json::from_str(&text("old.json")).unwrap();
    document["paths"]["/people"] = json!({ "get": { "responses": {} } });
    std::fs::write(&more, document.to_string()).unwrap();
    let added = diff(&["--json", "old.json", more.to_str().unwrap()]).await;
    let told: Value = serde_json::from_str(&added.out).unwrap();
    assert_eq!((added.code, &told["breaking"], &told["changes"][0]["rule"]), (0, &json!(0), &json!("endpoint-added")));
    let removed = diff(&["--json", more.to_str().unwrap(), "old.json"]).await;
    let told: Value = serde_json::from_str(&removed.out).unwrap();
    assert_eq!((removed.code, &told["breaking"]), (1, &json!(1)));
    let change = &told["changes"][0];
    assert_eq!((&change["rule"], &change["endpoint"]), (&json!("endpoint-removed"), &json!("GET /people")));
    let hidden = diff(&["--breaking", "old.json", more.to_str().unwrap()]).await;
    assert_eq!((hidden.code, hidden.out.as_str()), (0, "no changes for frontends\n"));
}

/// Each with a sentence that says which of the two it is, and what to do.
#[tokio::test]
async fn what_cannot_be_read_is_named_and_is_another_exit_code() {
    let site = Site::start().await;
    site.on("/here", |asked| match asked.headers.get("authorization").and_then(|value| value.to_str().ok()) {
        Some("Bearer t") => Page::json(text("old.json")),
        _ => Page::status(401, ""),
    });
    site.on("/elsewhere", |_| Page::status(302, "").header("location", "/here"));
    site.on("/endless", |_| Page::Drip);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (old, yaml) = (file("2.json", br#"{"swagger":"2.0"}"#), file("a.yaml", b"openapi: 3.1.0\n"));
    let wasm = file("a.wasm", b"\0asm\x01\0\0\0");
    for (source, said) in [
        ("nowhere.json".to_owned(), vec!["nowhere.json can't be read", "No such file"]),
        (old, vec!["2.json", "it is of OpenAPI 2.0, and only 3.1 is read"]),
        (yaml, vec!["a.yaml", "it is no JSON"]),
        (wasm, vec!["a.wasm: it is no artifact"]),
        ("ftp://a/b".to_owned(), vec!["ftp is not spoken"]),
        (site.url("/here"), vec!["/here answered 401", "WEFT_TOKEN"]),
        (site.url("/nowhere"), vec!["/nowhere answered 404", "openapi = true"]),
        (site.url("/elsewhere"), vec!["answered 302"]),
        (site.url("/endless"), vec!["gave no answer within 10s"]),
        ("http://127.0.0.1:1/".to_owned(), vec!["http://127.0.0.1:1/", "no connection"]),
    ] {
        let told = diff(&["old.json", &source]).await;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{source}: {}", told.err);
        for said in said {
            assert!(told.err.contains(said), "no {said:?} in {}", told.err);
        }
    }
    let mut command = tokio::process::Command::new(weft());
    command.args(["diff", &site.url("/here"), &site.url("/here")]).env("WEFT_TOKEN", "t");
    let told = weft_tests::process::ended(&mut command).await;
    assert_eq!((told.code, told.out.as_str()), (0, "no changes for frontends\n"), "{}", told.err);
}

#[tokio::test]
async fn the_help_teaches() {
    let help = run(weft(), &["diff", "--help"]).await.out;
    for text in ["built\nagainst OLD", "http(s)://", "WEFT_TOKEN", "Exit code: 0 nothing breaks"] {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat(&help).contains(&flat(text)), "no {text:?} in\n{help}");
    }
}

/// What a host serves beside what is to be deployed: the plugin's endpoints, and what its manifest says of them.
#[tokio::test]
async fn an_artifact_is_compared_with_its_own_plugins_endpoints() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let plugin = artifacts::built(weft(), "plugins/home-web");
    let stricter = artifacts::with_manifest(&plugin, |manifest| {
        manifest["endpoint"]["GET /search"].as_table_mut().unwrap().insert("auth".to_owned(), "required".into());
    });
    let other = artifacts::renamed(&artifacts::built(weft(), "plugins/home-ios"), "other-web", "web");
    let (served, next) = (write("web.wasm", &plugin), write("next.wasm", &stricter));
    let document = run(weft(), &["openapi", "--artifact", &served]).await.out;
    let mut document: Value = serde_json::from_str(&document).unwrap();
    // Another plugin of the client, and where the host has it.
    document["servers"] = json!([{ "url": "/web" }]);
    document["paths"]["/other"] = json!({ "get": { "tags": ["other-web"], "responses": {} } });
    let all = write("all.json", document.to_string().as_bytes());
    let same = diff(&[&all, &served]).await;
    assert_eq!((same.code, same.out.as_str()), (0, "no changes for frontends\n"), "{}", same.err);
    assert!(same.err.contains("the endpoints of its plugin, `home-web`, alone"), "{}", same.err);
    let told = diff(&["--json", "--breaking", &all, &next]).await;
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let changes = told["changes"].as_array().unwrap();
    assert_eq!((&told["breaking"], changes.len()), (&json!(1), 1), "{told:#}");
    assert_eq!((&changes[0]["rule"], &changes[0]["endpoint"]), (&json!("auth-tightened"), &json!("GET /search")));
    // Of two artifacts each is what it is.
    let two = diff(&["--json", &served, &write("other.wasm", &other)]).await;
    assert_eq!(two.code, 1, "{}", two.out);
}
