//! What the entity cache keeps, for how long, and what makes it forget.

use crate::{
    fan::{film as shown, invalidate, setup},
    support::{GET_FILM, RATE_FILM, film, rule},
};
use demo_services::proto::{catalog::v1::Film, reviews::v1::Rating};
use serde_json::json;
use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};
use weft_tests::{
    host::TestHost,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
};

fn titled(title: &str) -> Answer {
    Answer::message(&Film { title: title.to_owned(), ..film(1) })
}

/// A host whose films are shared by all, and kept as `cache` says; retries would only blur what is counted.
async fn host(upstream: &FakeUpstream, cache: &str) -> TestHost {
    let films = rule(GET_FILM, &format!("scope = \"public\"\ncache = {cache}"));
    let ratings = rule(RATE_FILM, "invalidates = [\"film:{film_id}\"]");
    let lines = format!("timeout = \"30s\"\nretry = {{ attempts = 1 }}\nbreaker = {{ k = 0 }}\n{films}{ratings}");
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    std::fs::write(&secret, "s3cret").unwrap();
    setup(&[upstream.address()], &lines).admin(&format!("token = \"file:{}\"", secret.display())).start().await
}

/// A film as it is seen: title and origin.
fn seen(title: &str, origin: &str) -> (String, String) {
    (title.to_owned(), origin.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_kept_for_its_time_and_then_loaded_anew() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| titled("Alien"));
    let long = host(&upstream, "{ ttl = \"10m\" }").await;
    assert_eq!(shown(&long, "/film/1").await, seen("Alien", "Upstream"));
    for _ in 0..5 {
        assert_eq!(shown(&long, "/film/1").await, seen("Alien", "Cache"));
    }
    assert_eq!(shown(&long, "/film/2").await.1, "Upstream", "each item has its own entry");
    assert_eq!(upstream.count(GET_FILM), 2);

    let short = host(&upstream, "{ ttl = \"100ms\" }").await;
    until("the entry to end", async || {
        shown(&short, "/film/1").await;
        (upstream.count(GET_FILM) >= 4).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_not_asked_for_again_and_what_failed_is() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| Answer::fails(5, "no film 1"));
    let forgetful = host(&upstream, "{ ttl = \"10m\" }").await;
    let short = host(&upstream, "{ ttl = \"10m\", negative-ttl = \"100ms\" }").await;
    let long = host(&upstream, "{ ttl = \"10m\", negative-ttl = \"10m\" }").await;
    for (host, calls) in [(&forgetful, 3), (&long, 1)] {
        let before = upstream.count(GET_FILM);
        for _ in 0..3 {
            assert_eq!(host.get("/film/1").send().await.problem(404)["code"], "NOT_FOUND");
        }
        assert_eq!(upstream.count(GET_FILM) - before, calls);
    }
    let before = upstream.count(GET_FILM);
    until("the host to look again", async || {
        short.get("/film/1").send().await.problem(404);
        (upstream.count(GET_FILM) - before >= 2).then_some(())
    })
    .await;

    for (code, status) in [(14, 503), (13, 502), (3, 400), (7, 403)] {
        upstream.on(GET_FILM, move |_| Answer::fails(code, "no"));
        let before = upstream.count(GET_FILM);
        for _ in 0..2 {
            long.get("/film/2").send().await.problem(status);
        }
        assert_eq!(upstream.count(GET_FILM) - before, 2, "a failure is never kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_all_the_time_is_loaded_anew_before_it_ends() {
    let upstream = FakeUpstream::start().await;
    let loads = AtomicUsize::new(0);
    // A load takes a fifth of the lifetime: dear enough to begin the next one early, and done long before the end.
    upstream.on(GET_FILM, move |_| titled(&format!("cut {}", loads.fetch_add(1, SeqCst))).slow(Duration::from_secs(3)));
    let host = host(&upstream, "{ ttl = \"15s\" }").await;
    assert_eq!(shown(&host, "/film/1").await, seen("cut 0", "Upstream"));
    for cut in 1..=2 {
        let title = format!("cut {cut}");
        until(&title, async || {
            let (title, origin) = shown(&host, "/film/1").await;
            assert_eq!(origin, "Cache", "nobody waits for a load, and nobody sees what is too old");
            assert!(upstream.count(GET_FILM) <= cut + 1 + usize::from(title == format!("cut {cut}")), "one at a time");
            (title == format!("cut {cut}")).then_some(())
        })
        .await;
    }
    let scrape = host.metrics().await;
    let lookups = |result| scrape.sum("weft_cache_lookups_total", &[("method", GET_FILM), ("result", result)]);
    assert_eq!(["miss", "stale"].map(lookups), [1.0, 0.0], "but for the first time it was always there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_reply_is_served_while_one_refresh_runs() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| titled("first cut"));
    let host = host(&upstream, "{ ttl = \"100ms\", stale-while-revalidate = \"10m\" }").await;
    assert_eq!(shown(&host, "/film/1").await, seen("first cut", "Upstream"));
    let gate = Gate::new();
    let shut = gate.clone();
    upstream.on(GET_FILM, move |_| titled("director's cut").held(&shut));
    until("the entry to be old", async || {
        let (title, origin) = shown(&host, "/film/1").await;
        assert_eq!(title, "first cut", "nobody waits for the refresh");
        (origin == "Stale").then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(shown(&host, "/film/1").await, seen("first cut", "Stale"));
    }
    upstream.arrived(GET_FILM, 2).await;
    assert_eq!(upstream.count(GET_FILM), 2, "one refresh for all");
    let reply = host.get("/film/1").send().await.ok();
    assert_eq!(reply.header("x-weft-degraded"), None, "as configured, so it is nothing less");
    gate.open();
    until("the refresh", async || (shown(&host, "/film/1").await.0 == "director's cut").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_reply_stands_in_for_a_failure_but_not_for_a_no() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| titled("Alien"));
    let host = host(&upstream, "{ ttl = \"100ms\", stale-if-error = \"10m\" }").await;
    assert_eq!(shown(&host, "/film/1").await, seen("Alien", "Upstream"));
    upstream.on(GET_FILM, |_| Answer::fails(14, "down"));
    let degraded = until("the entry to be old", async || {
        let reply = host.get("/film/1").send().await.ok();
        (reply.json()["origin"] == "Stale").then_some(reply)
    })
    .await;
    assert_eq!(degraded.json()["title"], "Alien");
    assert_eq!(degraded.header("x-weft-degraded"), Some("catalog.v1.Films/GetFilm;how=stale"));
    let before = upstream.count(GET_FILM);
    for _ in 0..3 {
        assert_eq!(shown(&host, "/film/1").await, seen("Alien", "Stale"));
    }
    assert_eq!(upstream.count(GET_FILM) - before, 3, "the backend is asked first, each time");
    host.get("/film/2").send().await.problem(503);
    upstream.on(GET_FILM, |_| Answer::fails(5, "gone"));
    host.get("/film/1").send().await.problem(404);
    upstream.on(GET_FILM, |_| titled("Aliens"));
    until("films to come again", async || (shown(&host, "/film/1").await.0 == "Aliens").then_some(())).await;
}

/// Films 1 and 2 are cached, and carry a tag each.
const TAGGED: &str = "{ ttl = \"10m\", tags = [\"film:{id}\"] }";

/// Which of the films 1 and 2 were still there; afterwards both are.
async fn kept(host: &TestHost) -> [bool; 2] {
    let mut kept = [false; 2];
    for (place, path) in ["/film/1", "/film/2"].into_iter().enumerate() {
        kept[place] = shown(host, path).await.1 == "Cache";
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_went_well_makes_the_host_forget_what_it_changed() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| titled("Alien")).on(RATE_FILM, |_| Answer::message(&Rating::default()));
    let host = host(&upstream, TAGGED).await;
    let rate = || host.post("/film/1/rating").bearer(&token("ann")).send();
    assert_eq!(kept(&host).await, [false, false]);
    assert_eq!(kept(&host).await, [true, true]);
    rate().await.ok();
    assert_eq!(kept(&host).await, [false, true]);
    upstream.on(RATE_FILM, |_| Answer::fails(3, "no stars"));
    rate().await.problem(400);
    assert_eq!(kept(&host).await, [true, true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_makes_the_host_forget_what_its_manifest_says_and_nothing_else() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| titled("Alien"));
    let host = host(&upstream, TAGGED).await;
    kept(&host).await;
    for (tag, kept_then) in [("film:1", [false, true]), ("film:3", [true, true]), (GET_FILM, [true, true])] {
        let path = format!("/tags/{}", tag.replace('/', "%2F"));
        assert_eq!(host.web().request("DELETE", &path).send().await.status, 204);
        assert_eq!(kept(&host).await, kept_then, "{tag}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_makes_the_host_forget_by_tag_or_everything() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| titled("Alien"));
    let host = host(&upstream, TAGGED).await;
    kept(&host).await;
    let one = json!({ "tags": ["film:1"] });
    for (token, what, status, kept_then) in [
        (None, &one, 401, [true, true]),
        (Some("guessed"), &one, 401, [true, true]),
        (Some("s3cret"), &json!({ "tag": "film:1" }), 400, [true, true]),
        (Some("s3cret"), &one, 200, [false, true]),
        (Some("s3cret"), &json!({ "tags": [GET_FILM] }), 200, [false, false]),
        (Some("s3cret"), &json!({ "all": true }), 200, [false, false]),
    ] {
        assert_eq!(invalidate(&host, token, what).await, status, "{what}");
        assert_eq!(kept(&host).await, kept_then, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_when_it_changed_is_answered_and_not_kept() {
    let upstream = FakeUpstream::start().await;
    let gate = Gate::new();
    let shut = gate.clone();
    upstream.on(GET_FILM, move |_| titled("before").held(&shut));
    let host = host(&upstream, TAGGED).await;
    let early = tokio::spawn(host.get("/film/1").send());
    upstream.arrived(GET_FILM, 1).await;
    assert_eq!(invalidate(&host, Some("s3cret"), &json!({ "tags": ["film:1"] })).await, 200);
    upstream.on(GET_FILM, |_| titled("after"));
    gate.open();
    assert_eq!(early.await.unwrap().ok().json()["title"], "before");
    assert_eq!(shown(&host, "/film/1").await, seen("after", "Upstream"));
    assert_eq!(shown(&host, "/film/1").await, seen("after", "Cache"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_method_counts_what_the_cache_had_for_it() {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |call| {
        let id = call.decoded::<demo_services::proto::catalog::v1::GetFilmRequest>().id;
        if id == 1 { titled("Alien") } else { Answer::fails(5, "no such film") }
    });
    let host = host(&upstream, "{ ttl = \"10m\", negative-ttl = \"10m\" }").await;
    for path in ["/film/1", "/film/1", "/film/1", "/film/2", "/film/2"] {
        host.get(path).send().await;
    }
    let scrape = host.metrics().await;
    let lookups = |result| scrape.sum("weft_cache_lookups_total", &[("method", GET_FILM), ("result", result)]);
    assert_eq!(["miss", "hit", "negative", "stale"].map(lookups), [2.0, 2.0, 1.0, 0.0]);
    assert_eq!(scrape.sum("weft_cache_lookups_total", &[("method", RATE_FILM)]), 0.0, "a write asks no cache");
    let calls = |origin| scrape.sum("weft_calls_total", &[("method", GET_FILM), ("origin", origin)]);
    assert_eq!(["upstream", "cache", "stale"].map(calls), [2.0, 3.0, 0.0]);
}
