//! Pages that do without what failed, and say so; and the waterfall that shows a request's calls to those who may see it.

use crate::{
    fan::setup,
    support::{BATCH_GET_PEOPLE, FOR_USER, GET_FILM, GET_PERSON, PEOPLE_IN_BATCHES, film, knows_all, probe, rule},
};
use serde_json::{Value, json};
use weft_tests::{
    setup::Setup,
    tokens::{Token, token},
    upstream::Answer,
    wait::until,
    web::Reply,
};

fn degraded(reply: &Reply) -> Option<&str> {
    reply.header("x-weft-degraded")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_for_a_failure_is_marked_and_counted_and_never_kept() {
    let upstream = knows_all().await;
    for method in [GET_FILM, FOR_USER] {
        upstream.on(method, |_| Answer::fails(14, "down"));
    }
    let films = rule(GET_FILM, "scope = \"public\"\ncache = { ttl = \"10m\" }");
    let lines = format!("retry = {{ attempts = 1 }}\nbreaker = {{ k = 0 }}\n{films}");
    let host = setup(&[upstream.address()], &lines).start().await;

    let missing = host.get("/film/1").send().await;
    assert_eq!((missing.status, degraded(&missing)), (503, None), "without a stand-in it is an error");
    for _ in 0..2 {
        let empty = host.get("/film/1/empty").send().await.ok();
        let expected = json!({ "title": "", "origin": "Fallback", "age_ms": 0 });
        assert_eq!((empty.json(), degraded(&empty)), (expected, Some("catalog.v1.Films/GetFilm;how=fallback")));
    }
    let maybe = host.get("/film/1/maybe").send().await.ok();
    assert_eq!((maybe.text().as_str(), degraded(&maybe)), ("nothing", Some("catalog.v1.Films/GetFilm;how=failed")));
    let recommended = host.get("/recommended").bearer(&token("ann")).send().await.ok();
    assert_eq!(recommended.json(), json!(["7 everybody likes it"]));
    assert_eq!(degraded(&recommended), Some("recommend.v1.Recommend/ForUser;how=fallback"));
    assert_eq!(upstream.count(GET_FILM), 4, "no stand-in is kept");

    upstream.on(GET_FILM, |_| Answer::message(&film(1)));
    let whole = host.get("/film/1/empty").send().await.ok();
    assert_eq!((&whole.json()["title"], degraded(&whole)), (&"Film 1".into(), None));
    upstream.on(GET_FILM, |_| Answer::fails(5, "gone"));
    let no = host.get("/film/2/empty").send().await;
    assert_eq!((no.status, degraded(&no)), (404, None), "a backend that says no has not failed");
    let none = host.get("/film/2/maybe").send().await.ok();
    assert_eq!((none.text().as_str(), degraded(&none)), ("nothing", None));

    let scrape = host.metrics().await;
    let of = |name, endpoint| scrape.sum(name, &[("endpoint", endpoint), ("plugin", "fan"), ("status", "200")]);
    let good = of("weft_requests_total", "GET /film/{id}/empty");
    let count = |endpoint| scrape.sum("weft_degraded_responses_total", &[("endpoint", endpoint), ("plugin", "fan")]);
    assert_eq!((count("GET /film/{id}/empty"), good), (2.0, 3.0), "two of three good ones");
    assert_eq!((count("GET /film/{id}/maybe"), count("GET /recommended"), count("GET /film/{id}")), (1.0, 1.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_may_take_an_old_reply_where_the_operator_has_not_said_so() {
    let upstream = knows_all().await;
    let films = rule(GET_FILM, "scope = \"public\"\ncache = { ttl = \"2s\" }");
    let host = setup(&[upstream.address()], &format!("retry = {{ attempts = 1 }}\n{films}")).start().await;
    host.get("/film/1").send().await.ok();
    upstream.on(GET_FILM, |_| Answer::fails(14, "down"));
    let old = until("the entry to be old", async || {
        let reply = host.get("/film/1/old").send().await.ok();
        (reply.json()["origin"] != "Cache").then_some(reply)
    })
    .await;
    assert_eq!((&old.json()["title"], &old.json()["origin"]), (&"Film 1".into(), &"Stale".into()));
    assert_eq!(degraded(&old), Some("catalog.v1.Films/GetFilm;how=stale"));
    host.get("/film/1").send().await.problem(503);
    host.get("/film/2/old").send().await.problem(503);
}

async fn explained(reply: Reply) -> Value {
    let reply = reply.ok();
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_waterfall_shows_batches_retries_and_where_replies_came_from() {
    let upstream = knows_all().await;
    let people = rule(GET_PERSON, &format!("{PEOPLE_IN_BATCHES}\nscope = \"public\"\ncache = {{ ttl = \"10m\" }}"));
    let setup = Setup::new().one_backend(upstream.address(), &people).http("explain-scope = \"*\"");
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    let page = async || explained(host.get("/people?ids=1,2,3,1").header("x-weft-explain", "1").send().await).await;

    let cold = page().await;
    let request = &cold["request"];
    assert_eq!(
        (&request["calls"], &request["upstream_calls"], &request["status"]),
        (&4.into(), &1.into(), &200.into())
    );
    assert_eq!(cold["trips"].as_array().unwrap().len(), 1);
    let trip = &cold["trips"][0];
    assert_eq!((&trip["via"], &trip["keys"], &trip["attempts"]), (&BATCH_GET_PEOPLE.into(), &3.into(), &1.into()));
    let origins: Vec<_> = cold["calls"].as_array().unwrap().iter().map(|call| call["origin"].clone()).collect();
    assert_eq!(origins, ["upstream", "upstream", "upstream", "coalesced"]);
    let lines = cold["waterfall"].as_array().unwrap();
    assert!(lines[0].as_str().unwrap().contains("3 keys via people.v1.People/BatchGetPeople"), "{lines:?}");

    let warm = page().await;
    assert_eq!((&warm["request"]["cache_hits"], &warm["trips"]), (&4.into(), &json!([])));

    let tries = std::sync::atomic::AtomicUsize::new(0);
    upstream.on(GET_FILM, move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Answer::fails(14, "once"),
        1 => Answer::message(&film(1)),
        _ => Answer::fails(13, "bug"),
    });
    let retried = host.get("/films/1").header("x-weft-explain", "1").send().await;
    assert!(retried.header("server-timing").unwrap().contains("1 upstream, 1 retries, 0 cached"), "{retried:?}");
    assert_eq!(explained(retried).await["trips"][0]["attempts"], 2);
    let failed = explained(host.get("/films/1").header("x-weft-explain", "1").send().await).await;
    assert_eq!((&failed["request"]["status"], &failed["calls"][0]["code"]), (&502.into(), &"INTERNAL".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_waterfall_shows_what_is_behind_a_reply_that_stands_in() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::fails(14, "down"));
    let lines = "breaker = { k = 0 }";
    let host = setup(&[upstream.address()], lines).http("explain-scope = \"*\"").start().await;
    let page = explained(host.get("/film/1/empty").header("x-weft-explain", "1").send().await).await;
    let (call, trip) = (&page["calls"][0], &page["trips"][0]);
    assert_eq!((&call["origin"], &call["code"]), (&"fallback".into(), &"OK".into()), "{page:#}");
    let address = upstream.address().to_string();
    assert_eq!((&trip["code"], &trip["attempts"]), (&"UNAVAILABLE".into(), &3.into()), "{page:#}");
    assert_eq!(trip["endpoint"], address.as_str(), "{page:#}");
    let line = page["waterfall"][0].as_str().unwrap();
    assert!(line.contains(&format!("3 attempts, instead of UNAVAILABLE from {address}")), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_waterfall_of_a_request_that_failed_says_so_first_and_so_does_all_else() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::Stall);
    let http = "explain-scope = \"*\"\ntimeout = \"300ms\"";
    let host = setup(&[upstream.address()], "timeout = \"10s\"").http(http).start().await;
    let page = explained(host.get("/film/1").header("x-weft-explain", "1").send().await).await;
    assert_eq!(page.as_object().unwrap().keys().next().unwrap(), "answer");
    assert_eq!((&page["answer"]["status"], page["answer"]["detail"].is_string()), (&504.into(), true), "{page}");
    // The call that took the time is in it.
    let calls: Vec<_> = page["calls"].as_array().unwrap().iter().map(|call| call["method"].as_str().unwrap()).collect();
    assert_eq!(calls, [GET_FILM], "{page}");
    let scrape = host.metrics().await;
    let count = |status| scrape.sum("weft_requests_total", &[("endpoint", "GET /film/{id}"), ("status", status)]);
    assert_eq!((count("504"), count("200")), (1.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_the_host_did_not_send_is_told_as_refused() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::fails(14, "down"));
    let setup = setup(&[upstream.address()], "retry = { attempts = 1 }").http("explain-scope = \"*\"");
    let host = setup.start().await;
    // Until the throttle refuses one: after twenty failures it refuses nearly all.
    let refused = until("a refusal", async || {
        let reply = host.get("/film/1").header("x-weft-explain", "1").send().await;
        let timing = reply.header("server-timing").unwrap().to_owned();
        let page = explained(reply).await;
        (page["calls"][0]["origin"] == "refused").then_some((timing, page))
    })
    .await;
    let (timing, page) = refused;
    assert!(timing.contains("1 made, 0 upstream, 1 refused"), "{timing}");
    assert_eq!(page["calls"][0]["refused_by"], "throttle");
    let scrape = host.metrics().await;
    let calls = |origin| scrape.sum("weft_calls_total", &[("method", GET_FILM), ("origin", origin)]);
    assert!(calls("refused") >= 1.0 && calls("upstream") >= 20.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_the_scope_sees_the_waterfall() {
    let upstream = knows_all().await;
    let open = setup(&[upstream.address()], "").http("explain-scope = \"debug\"").start().await;
    let shut = setup(&[upstream.address()], "").start().await;
    let of = |scopes: &str| Token::of("ann").claim("scope", scopes).sign();
    for (host, scopes, sees) in [
        (&open, Some("read debug"), true),
        (&open, Some("read"), false),
        (&open, None, false),
        (&shut, Some("debug"), false),
    ] {
        let request = host.get("/film/1").header("x-weft-explain", "1");
        let request = match scopes {
            Some(scopes) => request.bearer(&of(scopes)),
            None => request,
        };
        let reply = request.send().await.ok().json();
        assert_eq!((reply.get("waterfall").is_some(), reply.get("title").is_some()), (sees, !sees), "{scopes:?}");
    }
    let unasked = open.get("/film/1").bearer(&of("debug")).send().await.ok().json();
    assert_eq!(unasked["title"], "Film 1");
}
