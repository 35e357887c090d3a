//! `weft record`: a case out of a real exchange, and what never reaches the disk.

use super::{Desk, assert_ended, verdict};
use crate::support::{GET_FILM, LIST_FILMS, film};
use demo_services::proto::catalog::v1::{Film, GetFilmRequest, ListFilmsResponse};
use std::{os::unix::fs::PermissionsExt, path::Path};
use weft_tests::{
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
