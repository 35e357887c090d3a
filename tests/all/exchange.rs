//! Tokens exchanged for backends (RFC 8693): each backend gets one that is meant for it, nobody's own token leaves the host, and
//! one that can't be exchanged fails the calls that need it.

use crate::support::{BATCH_GET_PEOPLE, FOR_USER, GET_FILM, GET_PERSON, PEOPLE_IN_BATCHES, knows_all, probe};
use demo_services::proto::recommend::v1::ForUserResponse;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;
use weft_tests::{
    host::TestHost,
    setup::Setup,
    site::{Asked, Page, Site},
    tokens::{AUDIENCE, ISSUER, token},
    upstream::{Answer, FakeUpstream},
    wait::until,
};

/// What the token endpoint gives for a token: the caller and the audience can be read in it.
fn exchanged(asked: &Asked, expires_in: f64) -> Page {
    let subject_token = asked.field("subject_token");
    let caller = subject_token.split('.').nth(1).unwrap_or_default();
    let token = format!("{}-for-{}", &caller[caller.len().saturating_sub(60)..], asked.field("audience"));
    Page::json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in }).to_string())
}

/// What a backend is sent instead of this caller's token.
fn sent(token: &str, audience: &str) -> String {
    let caller = token.split('.').nth(1).unwrap();
    format!("Bearer {}-for-{audience}", &caller[caller.len().saturating_sub(60)..])
}

/// Films and people are two backends; the second has an audience of its own.
async fn host(films: &FakeUpstream, people: &FakeUpstream, site: &Site, rules: &str) -> TestHost {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret/&\n").unwrap();
    let jwks = weft_tests::repository().join("examples/identity/jwks.json");
    let identity = format!(
        "[identity]\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\nalgorithms = [\"EdDSA\"]\njwks = {jwks:?}\n\
         [identity.exchange]\nurl = \"{}\"\nclient-id = \"weft\"\nsecret = \"file:{}\"\ntimeout = \"1s\"\n\
         [identity.exchange.audience]\npeople = \"people-api\"\n",
        site.url("/token"),
        secret.path().display()
    );
    let services = ["catalog.v1.Films", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let setup = Setup::new().identity_tables(&identity).backend("films", &services, films.address(), "");
    let setup = setup.backend("people", &["people.v1.People"], people.address(), "").more(rules);
    setup.plugin("probe.wasm", &probe()).start().await
}

async fn outcome(host: &TestHost, token: &str) -> Value {
    host.get("/outcome?film=1&person=2").bearer(token).send().await.ok().json()
}

fn authorizations(upstream: &FakeUpstream, method: &str) -> Vec<Option<String>> {
    upstream.calls(method).iter().map(|call| call.meta("authorization").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_backend_gets_a_token_of_its_own_and_nobody_gets_the_callers() {
    let (films, people, site) = (knows_all().await, knows_all().await, Site::start().await);
    site.on("/token", |asked| exchanged(asked, 600.0));
    let host = host(&films, &people, &site, "").await;
    let (ann, bob) = (token("ann"), token("bob"));
    for caller in [&ann, &bob, &ann, &bob] {
        let outcome = outcome(&host, caller).await;
        assert_eq!((&outcome["film"]["code"], &outcome["person"]["code"]), (&"OK".into(), &"OK".into()));
    }
    let expected = |audience: &str| [&ann, &bob, &ann, &bob].map(|caller| Some(sent(caller, audience)));
    assert_eq!(authorizations(&films, GET_FILM), expected("films"));
    assert_eq!(authorizations(&people, GET_PERSON), expected("people-api"));
    assert_eq!(site.count(), 4, "one for each caller and backend, then kept");
    let asked = &site.asked()[0];
    assert_eq!(asked.header("authorization"), Some("Basic d2VmdDpzM2NyZXQlMkYlMjY="), "weft:s3cret%2F%26");
    assert_eq!(asked.field("grant_type"), "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange");
    assert_eq!(asked.field("subject_token_type"), "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token");
    // Without a caller there is nothing to exchange.
    host.get("/outcome?film=1&person=2").send().await.ok();
    assert_eq!((authorizations(&films, GET_FILM).pop(), site.count()), (Some(None), 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_need_one_exchange() {
    let (films, people, site) = (knows_all().await, knows_all().await, Site::start().await);
    let (open, gate) = watch::channel(false);
    site.on("/token", move |asked| Page::Held(gate.clone(), Box::new(exchanged(asked, 600.0))));
    let rules = format!("[backend.people.method.\"{GET_PERSON}\"]\n{PEOPLE_IN_BATCHES}\ntimeout = \"30s\"\n");
    let host = host(&films, &people, &site, &rules).await;
    let ann = token("ann");
    let asking = join_all((0..10).map(|n| {
        let path = format!("/my-people?ids={n},{}", n + 1);
        host.get(&path).bearer(&ann).send()
    }));
    let opened = async {
        site.arrived(1).await;
        open.send_replace(true);
    };
    let (replies, ()) = tokio::join!(asking, opened);
    for reply in replies {
        reply.ok();
    }
    assert_eq!(site.count(), 1);
    let told = authorizations(&people, BATCH_GET_PEOPLE);
    assert!(!told.is_empty() && told.iter().all(|told| *told == Some(sent(&ann, "people-api"))), "{told:?}");
}

/// What the token endpoint may answer, and how the call ends then.
fn refusals() -> Vec<(Page, &'static str, &'static str)> {
    let good = |token: &str, kind: &str| Page::json(json!({ "access_token": token, "token_type": kind }).to_string());
    vec![
        (Page::status(400, r#"{"error":"invalid_grant"}"#), "UNAUTHENTICATED", "refuses it: invalid_grant"),
        (Page::status(400, r#"{"error":"invalid_target"}"#), "UNAUTHENTICATED", "refuses it: invalid_target"),
        (Page::status(401, r#"{"error":"invalid_client"}"#), "UNAVAILABLE", "HTTP 401 invalid_client"),
        (Page::status(400, r#"{"error":"<script>"}"#), "UNAVAILABLE", "HTTP 400"),
        (Page::status(503, "<html>"), "UNAVAILABLE", "HTTP 503"),
        (Page::status(307, "").header("location", "/elsewhere"), "UNAVAILABLE", "HTTP 307"),
        (Page::json("{}"), "UNAVAILABLE", "has no token"),
        (Page::json("[".repeat(10_000)), "UNAVAILABLE", "has no token"),
        (Page::json(vec![b' '; 70 << 10]), "UNAVAILABLE", "larger than"),
        (good("t", "N_A"), "UNAVAILABLE", "no bearer token"),
        (good("a\nb", "Bearer"), "UNAVAILABLE", "can't stand in a header"),
        (Page::Silence, "UNAVAILABLE", "did not answer in time"),
        (Page::Drip, "UNAVAILABLE", "did not answer in time"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_cannot_be_exchanged_fails_the_call_and_is_not_sent_itself() {
    let (films, people, site) = (knows_all().await, knows_all().await, Site::start().await);
    let rules = format!(
        "[backend.films.method.\"{GET_FILM}\"]\ntimeout = \"5s\"\n[backend.people.method.\"{GET_PERSON}\"]\ntimeout = \"5s\"\n"
    );
    let host = host(&films, &people, &site, &rules).await;
    for (n, (page, code, reason)) in refusals().into_iter().enumerate() {
        site.has("/token", page).on("/elsewhere", |asked| exchanged(asked, 600.0));
        let outcome = outcome(&host, &token(&format!("caller {n}"))).await;
        for part in ["film", "person"] {
            assert_eq!(outcome[part]["code"], code, "{reason}: {outcome}");
            assert!(outcome[part]["message"].as_str().unwrap().contains(reason), "{reason}: {outcome}");
        }
    }
    assert_eq!((films.total(), people.total()), (0, 0));
    // A failure is the answer for a moment only.
    site.on("/token", |asked| exchanged(asked, 600.0));
    let again = token("caller 0");
    until("the next try", async || {
        Some(outcome(&host, &again).await).filter(|outcome| outcome["film"]["code"] == "OK")
    })
    .await;
    let calls = [films.calls(GET_FILM), people.calls(GET_PERSON)].concat();
    assert!(calls.iter().all(|call| !call.meta("authorization").unwrap().contains(&again)), "{calls:?}");
    let gone = site.stop().await;
    let refused = outcome(&host, &token("late")).await;
    assert_eq!(refused["film"]["code"], "UNAVAILABLE", "{gone}: {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cached_for_a_caller_outlives_the_exchanged_token_and_is_nobody_elses() {
    let (films, people, site) = (knows_all().await, knows_all().await, Site::start().await);
    // Used for 0.8 seconds.
    site.on("/token", |asked| exchanged(asked, 1.0));
    films.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    let rules = format!("[backend.films.method.\"{FOR_USER}\"]\ncache = {{ ttl = \"10m\" }}\n");
    let host = host(&films, &people, &site, &rules).await;
    let (ann, bob) = (token("ann"), token("bob"));
    host.get("/for-you").bearer(&ann).send().await.ok();
    let before = site.count();
    until("the exchanged token to end", async || {
        outcome(&host, &ann).await;
        (site.count() >= before + 3).then_some(())
    })
    .await;
    host.get("/for-you").bearer(&ann).send().await.ok();
    assert_eq!(films.count(FOR_USER), 1, "from the cache, whatever has become of the token that it was loaded with");
    host.get("/for-you").bearer(&bob).send().await.ok();
    assert_eq!(authorizations(&films, FOR_USER), [Some(sent(&ann, "films")), Some(sent(&bob, "films"))]);
}
