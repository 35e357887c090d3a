//! `weft record`: a case out of a real exchange, and what never reaches the disk.

use super::{Desk, assert_ended, verdict};
use crate::{
    fan::fan,
    support::{GET_FILM, LIST_FILMS, film},
};
use demo_services::proto::catalog::v1::{Film, GetFilmRequest, ListFilmsResponse};
use serde_json::json;
use std::{os::unix::fs::PermissionsExt, path::Path};
use weft_tests::{
    setup::Setup,
    site::{Page, Site},
    tokens::Token,
    upstream::{Answer, FakeUpstream},
};

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_becomes_a_case_without_what_is_nobodys_business() {
    let upstream = FakeUpstream::start().await;
    upstream
        .on(LIST_FILMS, |_| Answer::message(&ListFilmsResponse { films: vec![film(1), film(2)], ..Default::default() }))
        .on(GET_FILM, |call| {
            let id = call.decoded::<GetFilmRequest>().id;
            Answer::message(&Film { title: format!("{id}, by ann@corp.example"), ..film(id) })
        });
    let desk = Desk::new();
    let backend = format!("catalog.v1.Films={}", upstream.address());
    let record = |name: &str, path: &str, more: &[&str]| {
        let url = format!("http://localhost:8080{path}");
        let arguments =
            ["record", "--artifact", "plugin.wasm", "--backend", &backend, "--case", name, "--", "curl", "-sS", &url];
        tokio::task::block_in_place(|| desk.weft(&[&arguments[..], more].concat()))
    };
    let recorded = record("Two films", "/batched", &[]);
    assert_ended(
        &recorded,
        0,
        &[
            "[\"1, by ann@corp.example\",\"2, by ann@corp.example\"]",
            "tests/two-films.toml: GET /batched 200, 3 calls, mode 0600",
            "replaced: reply of catalog.v1.Films/GetFilm.title, which looks like a mail address",
            "replayed: `weft test` gets the same answer",
        ],
    );
    let text = desk.read("tests/two-films.toml");
    assert!(!text.contains("ann@corp") && text.contains("request = { id = 2 }"), "{text}");
    assert_eq!(mode(&desk.path().join("tests/two-films.toml")), 0o600);

    let token = Token::of("ann").claim("plan", "platinum").claim("email", "ann@corp.example").sign();
    let header = format!("authorization: Bearer {token}");
    let recorded = record("me", "/me?phone=555", &["-H", &header, "-H", "cookie: session=very-secret"]);
    assert_ended(
        &recorded,
        0,
        &[
            "header authorization, which carries a credential",
            "header cookie,",
            "claim plan, which is named in [redact]",
            "query phone,",
        ],
    );
    let text = desk.read("tests/me.toml");
    for secret in [&token, "platinum", "ann@corp", "very-secret", "555", "exp ="] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
    let found = desk.found(&["--only", "me", "--only", "Two films"]);
    assert_eq!(
        (verdict(&found, "case", "me").0, verdict(&found, "case", "Two films").0),
        ("passed".into(), "passed".into())
    );

    assert_ended(&record("me", "/me", &[]), 1, &["tests/me.toml is there already"]);
    assert_ended(&record("none", "/none", &[]), 1, &["the plugin has no endpoint for GET /none; it has: GET /loop"]);
    let silent =
        desk.weft(&["record", "--artifact", "plugin.wasm", "--backend", &backend, "--case", "x", "--", "true"]);
    assert_ended(&silent, 1, &["`true` made no request that came here"]);
    assert!(!desk.path().join("tests/x.toml").exists() && !desk.path().join("tests/none.toml").exists());
}

/// A server that answers films and ratings in JSON.
async fn library() -> Site {
    let site = Site::start().await;
    site.otherwise(|asked| match asked.target.as_str() {
        "GET /v1/films/7" => Page::json(json!({ "id": 7, "title": "Alien" }).to_string()),
        "POST /v1/films/7/ratings" => Page::json(json!({ "yourRatings": 3 }).to_string()),
        _ => Page::status(404, "no such path"),
    });
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_configuration_is_recorded_behind_with_its_rest_backends_by_https_and_bodies_in_chunks() {
    let site = library().await;
    let rest = format!(
        "[backend.rest]\nprotocol = \"rest\"\nservices = [\"catalog.v1.Films\", \"reviews.v1.Reviews\"]\nendpoints = \"static://{}\"\n\
         [backend.rest.method.\"catalog.v1.Films/GetFilm\"]\nhttp = \"GET /v1/films/{{id}}\"\nscope = \"public\"\n\
         [backend.rest.method.\"reviews.v1.Reviews/RateFilm\"]\nhttp = \"POST /v1/films/{{film_id}}/ratings\"\n",
        site.address()
    );
    let folder = Setup::new().identity("token = true").more(&rest).write();
    let desk = Desk::with(&fan());
    let config = folder.config();
    let record = |name: &str, command: &[&str]| {
        let arguments =
            ["record", "--artifact", "plugin.wasm", "--config", config.to_str().unwrap(), "--case", name, "--"];
        tokio::task::block_in_place(|| desk.weft(&[&arguments[..], command].concat()))
    };
    let token = Token::of("ann").claim("email", "ann@corp.example").sign();
    let header = format!("authorization: Bearer {token}");
    let chunked =
        ["-H", "transfer-encoding: chunked", "-d", "{\"why\":\"it is good\"}", "-H", "content-type: application/json"];
    let curl = ["curl", "-sS", "-H", &header];
    let recorded = record("rated", &[&curl[..], &chunked, &["https://api.example.com/film/7/rating"]].concat());
    assert_ended(
        &recorded,
        0,
        &[
            "tests/rated.toml: POST /film/{id}/rating 200, 1 calls, mode 0600",
            "replayed: `weft test` gets the same answer",
        ],
    );
    let text = desk.read("tests/rated.toml");
    assert!(text.contains("body = { why = \"it is good\" }") && text.contains("sub = \"ann\""), "{text}");
    assert!(!text.contains("corp.example") && !text.contains(&token), "{text}");
    let asked = site.asked();
    let asked = asked.iter().find(|asked| asked.target.starts_with("POST")).unwrap();
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {token}").as_str()), "as the host passes it on");

    // By address as well.
    let recorded = record("film", &["curl", "-sS", "https://127.0.0.1:8443/film/7"]);
    assert_ended(&recorded, 0, &["\"title\":\"Alien\"", "tests/film.toml: GET /film/{id} 200, 1 calls"]);
    // Who trusts others is told; a token that has expired is refused, as by a host; and a body may be too large.
    let recorded = record("wary", &["curl", "-sS", "--cacert", "plugin.wasm", "https://api.example.com/film/7"]);
    assert_ended(&recorded, 1, &["does not take api.example.com for what it is told to be", "`curl` made no request"]);
    let stranger = format!("authorization: Bearer {}", Token::of("ann").expires_in(-600).sign());
    let recorded = record("stranger", &["curl", "-sS", "-H", &stranger, "https://api.example.com/film/7"]);
    assert_ended(
        &recorded,
        1,
        &["tests/stranger.toml: GET /film/{id} 401, 0 calls", "replayed, the answer is another one"],
    );
    desk.write("large", &"x".repeat((16 << 20) + 1));
    let large =
        ["-H", "transfer-encoding: chunked", "-T", "large", "-X", "POST", "https://api.example.com/film/7/rating"];
    let recorded = record("large", &[&curl[..], &large].concat());
    assert_ended(&recorded, 1, &["can't be recorded: at most 16777216", "`curl` made no request"]);
}
