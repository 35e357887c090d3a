//! How far the gateway is trusted: its word alone counts from itself alone; and without trust, backends are reached by mutual TLS
//! with tokens of their own.

use crate::support::{FOR_USER, SUBJECT, knows_all, probe, rule};
use demo_services::proto::recommend::v1::ForUserResponse;
use weft_tests::{
    host::TestHost,
    setup::Setup,
    tokens::{AUDIENCE, ISSUER, Token, token},
    upstream::{Answer, FakeUpstream},
};

async fn trusting(upstream: &FakeUpstream, peers: &str, more: &str) -> TestHost {
    let identity = format!(
        "[identity]\ntrust = \"full\"\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\ntrusted-peers = {peers}\n{more}\n\
         [identity.forward]\nsubject = \"{SUBJECT}\"\n"
    );
    let setup = Setup::new().identity_tables(&identity).one_backend(upstream.address(), &rule(FOR_USER, ""));
    setup.plugin("probe.wasm", &probe()).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateways_word_is_taken_and_passed_on_to_backends() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    let host = trusting(&upstream, "[\"10.0.0.0/8\", \"127.0.0.1\"]", "").await;
    let ann = Token::of("ann").claim("plan", "gold").claim("scope", "films.read");
    let me = host.get("/me").header("x-jwt-payload", &ann.payload()).send().await.ok().json();
    assert_eq!((&me["subject"], &me["claims"]["plan"]), (&"ann".into(), &"gold".into()));
    host.get("/for-you").header("x-jwt-payload", &ann.payload()).send().await.ok();
    assert_eq!(upstream.calls(FOR_USER)[0].meta(SUBJECT), Some("ann"));

    // A token is nobody's word here, however good it is.
    let nobody = host.get("/me").bearer(&token("ann")).send().await.problem(401);
    assert_eq!(nobody["detail"], "this endpoint needs a caller, and the gateway names none");
    assert_eq!(host.get("/maybe").bearer(&token("ann")).send().await.ok().text(), "nobody");
    for (bad, reason) in [
        (Token::of("ann").expires_in(-60), "the token has expired"),
        (Token::of("ann").claim("exp", ()), "the token has no `exp`"),
        (Token::of("ann").claim("aud", "other"), "the token is for another audience"),
        (Token::of("ann").claim("iss", "https://evil.example"), "the token is from another issuer"),
        (Token::of(""), "the token has no `sub`"),
    ] {
        let reply = host.get("/me").header("x-jwt-payload", &bad.payload()).send().await;
        assert_eq!(reply.problem(401)["detail"], reason);
    }
    for rubbish in ["rubbish!", "e30", "bnVsbA", ""] {
        host.get("/me").header("x-jwt-payload", rubbish).send().await.problem(401);
    }
    let twice = host.get("/me").header("x-jwt-payload", &ann.payload()).header("x-jwt-payload", &ann.payload());
    twice.send().await.problem(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_word_from_anybody_else_is_a_401() {
    let upstream = knows_all().await;
    for peers in ["[\"10.0.0.0/8\"]", "[\"127.0.0.2\"]", "[\"::1\"]"] {
        let host = trusting(&upstream, peers, "gateway-certificate = true").await;
        let claim = || host.get("/maybe").header("x-jwt-payload", &Token::of("ann").payload());
        // What a header says about where it comes from changes nothing.
        for request in [claim(), claim().header("x-forwarded-for", "10.0.0.1").header("forwarded", "for=10.0.0.1")] {
            let problem = request.send().await.problem(401);
            assert!(problem["detail"].as_str().unwrap().contains("not the gateway"), "{problem}");
        }
        assert_eq!(host.get("/maybe").send().await.ok().text(), "nobody");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tokens_are_verified_a_payload_without_one_is_nothing() {
    let upstream = knows_all().await;
    let host =
        Setup::new().identity("").one_backend(upstream.address(), "").plugin("probe.wasm", &probe()).start().await;
    let payload = Token::of("ann").payload();
    host.get("/me").header("x-jwt-payload", &payload).send().await.problem(401);
    assert_eq!(host.get("/maybe").header("x-jwt-payload", &payload).send().await.ok().text(), "nobody");
    let both = host.get("/maybe").header("x-jwt-payload", &payload).bearer(&token("bob"));
    assert_eq!(both.send().await.ok().text(), "bob");
}
