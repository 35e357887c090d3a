//! Who calls: a token that is needed is there and good, and nobody can say for themselves who they are.

use crate::support::{FOR_USER, SUBJECT, knows_all, probe, rule};
use demo_services::proto::recommend::v1::ForUserResponse;
use serde_json::json;
use weft_tests::{
    host::TestHost,
    setup::Setup,
    tokens::{ISSUER, Token, token},
    upstream::{Answer, FakeUpstream},
};

async fn host(upstream: &FakeUpstream) -> TestHost {
    let setup = Setup::new().identity("subject = \"x-md-global-subject\"\nclaims = { plan = \"x-md-global-plan\" }");
    setup.one_backend(upstream.address(), &rule(FOR_USER, "")).plugin("probe.wasm", &probe()).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_sees_the_caller_and_only_the_claims_that_it_asked_for() {
    let host = host(&knows_all().await).await;
    let token = Token::of("ann").claim("plan", "gold").claim("email", "ann@example.org").claim("tenant", "acme");
    let token = token.claim("scope", "films.read films.rate").sign();
    let me = host.get("/me").bearer(&token).send().await.ok().json();
    let expected = json!({
        "issuer": ISSUER, "subject": "ann", "tenant": "acme", "scopes": ["films.read", "films.rate"],
        "claims": { "plan": "gold" },
    });
    assert_eq!(me, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_token_is_a_401_only_where_one_is_needed() {
    let host = host(&knows_all().await).await;
    let missing = host.get("/me").send().await;
    missing.problem(401);
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    assert_eq!(host.get("/maybe").send().await.ok().text(), "nobody");
    assert_eq!(host.get("/maybe").bearer(&token("ann")).send().await.ok().text(), "ann");
    // Where callers don't matter, a token is not even looked at.
    assert_eq!(host.get("/version").bearer("rubbish").send().await.ok().text(), "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authorization_header_of_another_form_is_a_401() {
    let host = host(&knows_all().await).await;
    let good = format!("Bearer {}", token("ann"));
    for values in [vec!["Basic YW5uOnNlY3JldA=="], vec!["Bearer"], vec![""], vec![&good, &good]] {
        let request = values.iter().fold(host.get("/me"), |request, value| request.header("authorization", value));
        let reply = request.send().await;
        reply.problem(401);
        assert!(
            reply.header("www-authenticate").unwrap().starts_with("Bearer error=\"invalid_request\""),
            "{values:?}"
        );
    }
    let lower = host.get("/me").header("authorization", &format!("bearer  {}", token("ann"))).send().await.ok();
    assert_eq!(lower.json()["subject"], "ann", "the scheme's name has no case");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn internal_headers_from_outside_reach_neither_plugin_nor_backend() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    let host = host(&upstream).await;
    let lies = |request: weft_tests::web::Request| {
        let request = request.header(SUBJECT, "eve").header("x-weft-degraded", "eve").header("x-real-ip", "eve");
        request.header("x-md-global-plan", "eve").header("grpc-timeout", "1n").header("x-request-id", "lies-1")
    };
    let echo = lies(host.get("/echo/a")).header("accept-language", "de").send().await.ok().json();
    assert_eq!(echo["headers"], json!([["accept-language", "de"]]), "the others are asked for too, and are not given");

    lies(host.get("/for-you")).bearer(&token("ann")).send().await.ok();
    let calls = upstream.calls(FOR_USER);
    assert_eq!(calls[0].meta(SUBJECT), Some("ann"));
    assert_eq!(calls[0].metadata.get_all(SUBJECT).iter().count(), 1);
    assert_eq!(calls[0].meta("x-md-global-plan"), None, "ann's token has no plan, and the request's word is nothing");
    let told = format!("{:?}", calls[0].metadata);
    assert!(!told.contains("eve"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subjects_that_differ_only_in_what_a_header_cannot_hold_stay_apart() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    let host = host(&upstream).await;
    let subjects = ["a", "a\n", "a%0A", "ä", "a\u{7f}"];
    for subject in subjects {
        host.get("/for-you").bearer(&token(subject)).send().await.ok();
    }
    let mut told: Vec<_> = upstream.calls(FOR_USER).iter().map(|call| call.metadata[SUBJECT].clone()).collect();
    told.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    told.dedup();
    assert_eq!(told.len(), subjects.len(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_identity_says_so_where_a_caller_is_needed() {
    let upstream = knows_all().await;
    let host = Setup::new().one_backend(upstream.address(), "").plugin("probe.wasm", &probe()).start().await;
    let problem = host.get("/me").bearer(&token("ann")).send().await.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("[identity]"), "{problem}");
    assert_eq!(host.get("/maybe").send().await.ok().text(), "nobody");
}
