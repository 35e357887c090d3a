//! A hundred calls are a handful: batched, coalesced, cached, and proven by the services' own counters.

use crate::support::{
    BATCH_GET_FILMS, BATCH_GET_PEOPLE, GET_FILM, GET_PERSON, LIST_REVIEWS, PEOPLE_IN_BATCHES, RATE_FILM, film,
    knows_all, probe, rule,
};
use demo_services::proto::people::v1::BatchGetPeopleRequest;
use futures_util::future::join_all;
use serde_json::{Value, json};
use weft_tests::{
    demo::Demo,
    raw::abandon,
    setup::Setup,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_100_reviews_by_10_authors_is_2_upstream_calls_cold_and_0_warm() {
    let demo = Demo::generated(50, 30, 1_000).await;
    let host = demo.long_lived().plugin("probe.wasm", &probe()).start().await;

    let cold = host.get("/test/page").send().await.ok();
    assert_eq!((demo.count(LIST_REVIEWS), demo.count(BATCH_GET_PEOPLE), demo.total()), (1, 1, 2));
    let timing = cold.header("server-timing").unwrap().to_owned();
    assert!(timing.contains("101 made, 2 upstream, 0 cached, depth 2"), "{timing}");
    let lines = cold.json();
    assert_eq!(lines.as_array().unwrap().len(), 100);
    let mut authors: Vec<_> = lines.as_array().unwrap().iter().map(|line| line["author"].to_string()).collect();
    authors.sort();
    authors.dedup();
    assert_eq!(authors.len(), 10);

    demo.reset();
    let warm = host.get("/test/page").bearer(&token("ann")).send().await.ok();
    assert_eq!(demo.total(), 0);
    assert_eq!(warm.body, cold.body);
    let scrape = host.metrics().await;
    assert_eq!(scrape.sum("weft_calls_total", &[("origin", "cache")]), 101.0);
    assert_eq!(scrape.sum("weft_upstream_calls_total", &[]), 2.0);
    assert_eq!(scrape.sum("weft_amplification_ratio_sum", &[("endpoint", "GET /page")]), 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_take_one_place_in_a_batch() {
    let upstream = knows_all().await;
    let setup = Setup::new().one_backend(upstream.address(), &rule(GET_PERSON, &public(PEOPLE_IN_BATCHES)));
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    let names = host.get("/people?ids=3,1,3,2,1,3").send().await.ok().json();
    let expected = [3, 1, 3, 2, 1, 3].map(|id| format!("Person {id}"));
    assert_eq!(names, json!(expected));
    let batches = upstream.calls(BATCH_GET_PEOPLE);
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].decoded::<BatchGetPeopleRequest>().ids, [3, 1, 2]);
    assert_eq!(upstream.total(), 1);
}

fn public(rule: &str) -> String {
    format!("{rule}\nscope = \"public\"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_item_is_not_found_for_its_caller_alone() {
    let demo = Demo::start().await;
    let host = demo.setup().plugin("probe.wasm", &probe()).start().await;
    let people = host.get("/test/people?ids=9001,777777,9002").send().await.ok().json();
    assert!(people[0].is_string() && people[2].is_string());
    assert_eq!(people[1], "NOT_FOUND");
    assert_ne!(people[0], people[2]);
    assert_eq!((demo.count(BATCH_GET_PEOPLE), demo.total()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_atomic_batch_that_fails_for_one_item_is_tried_in_halves() {
    let demo = Demo::start().await;
    let host = demo.setup().plugin("probe.wasm", &probe()).start().await;
    let films = host.get("/test/films?ids=1,2,3,4,5,6,777777,8").send().await.ok().json();
    let codes: Vec<bool> = films.as_array().unwrap().iter().map(|title| title == "NOT_FOUND").collect();
    assert_eq!(codes, [false, false, false, false, false, false, true, false]);
    // Of eight: all, both halves, both halves of the bad one, and then its two singly.
    assert_eq!((demo.count(BATCH_GET_FILMS), demo.count(GET_FILM)), (5, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_equal_ratings_in_one_exchange_are_two_upstream_calls() {
    let demo = Demo::start().await;
    let host = demo.setup().plugin("probe.wasm", &probe()).start().await;
    let rate = || host.post("/test/films/1/two-ratings").bearer(&token("ann")).send();
    assert_eq!(rate().await.ok().json(), json!([1, 2]));
    assert_eq!(rate().await.ok().json(), json!([3, 4]));
    assert_eq!((demo.count(RATE_FILM), demo.total()), (4, 4));
}

/// Films are shared by all and slow to come; people tell the requests apart.
async fn with_held_film(gate: &Gate) -> (FakeUpstream, Setup) {
    let upstream = knows_all().await;
    let gate = gate.clone();
    upstream.on(GET_FILM, move |_| Answer::message(&film(1)).held(&gate));
    let rules = rule(GET_FILM, "scope = \"public\"\ntimeout = \"30s\"");
    let setup = Setup::new().one_backend(upstream.address(), &rules).plugin("probe.wasm", &probe());
    (upstream, setup)
}

fn origin(outcome: &Value) -> String {
    assert_eq!(outcome["film"]["reply"], "Film 1", "{outcome}");
    outcome["film"]["origin"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_calls_of_five_requests_are_one_upstream_call() {
    let gate = Gate::new();
    let (upstream, setup) = with_held_film(&gate).await;
    let host = setup.start().await;
    let requests = (1..=5).map(|person| host.get(&format!("/outcome?film=1&person={person}")).send());
    let all = tokio::spawn(join_all(requests.collect::<Vec<_>>()));
    // The film is asked for in the same exchange as the person, so by now all five have asked for it.
    upstream.arrived(GET_PERSON, 5).await;
    gate.open();
    let mut origins: Vec<_> = all.await.unwrap().into_iter().map(|reply| origin(&reply.ok().json())).collect();
    origins.sort();
    assert_eq!(origins, ["Coalesced", "Coalesced", "Coalesced", "Coalesced", "Upstream"]);
    assert_eq!(upstream.count(GET_FILM), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_started_a_shared_load_may_go_away() {
    let gate = Gate::new();
    let (upstream, setup) = with_held_film(&gate).await;
    let host = setup.start().await;
    let (up, web, address) = (&upstream, host.web().clone(), host.address());
    let mut kept = None;
    let follower = async {
        upstream.arrived(GET_PERSON, 1).await;
        kept = Some(tokio::spawn(web.get("/outcome?film=1&person=2").send()));
        upstream.arrived(GET_PERSON, 2).await;
    };
    let request = b"GET /outcome?film=1&person=1 HTTP/1.1\r\nhost: test\r\n\r\n";
    abandon(address, request, follower).await;
    host.until_plugins("the leader to be gone", |plugins| plugins["requests_under_way"] == 1).await;
    gate.open();
    assert_eq!(origin(&kept.unwrap().await.unwrap().ok().json()), "Coalesced");
    assert_eq!(up.count(GET_FILM), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_nobody_waits_for_is_cancelled() {
    let gate = Gate::new();
    let (upstream, setup) = with_held_film(&gate).await;
    let host = setup.start().await;
    let request = b"GET /outcome?film=1&person=1 HTTP/1.1\r\nhost: test\r\n\r\n";
    abandon(host.address(), request, upstream.arrived(GET_FILM, 1)).await;
    // The gate stays shut, so the call can only end by being cancelled.
    upstream.idle().await;
    host.until_plugins("all loads to end", |plugins| plugins["loads_under_way"] == 0).await;
}
