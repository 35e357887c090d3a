//! Calls through the test app: replies, failures, timeouts, origins.

use std::time::Duration;

use weft_sdk::prelude::*;
use weft_sdk::test::App;
use weft_sdk::{Endpoint, Origin, Plugin};

use crate::support::{DOUBLE, METHODS, NEXT, Number};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An app with one endpoint, whose `Next` adds one and whose `Double` doubles.
fn app(endpoints: &'static [Endpoint]) -> App {
    App::new(Plugin::new(endpoints, METHODS, &[]))
        .backend(NEXT, |request| Ok(Number { value: request.value + 1 }))
        .backend(DOUBLE, |request| Ok(Number { value: request.value * 2 }))
}

#[get("/both/{value}")]
async fn both(Path(value): Path<u32>) -> Result<String> {
    let request = Number { value };
    let (next, double) = try_join!(NEXT.call(&request), DOUBLE.call(request.clone()))?;
    Ok(format!("{} {}", next.value, double.value))
}

#[test]
fn calls_are_recorded() {
    let app = app(const { &[weft_endpoint_both::ENDPOINT] }).latency(NEXT, ms(30)).latency(DOUBLE, ms(20));
    let response = app.get("/both/5").send();
    assert_eq!(response.text(), "6 10");
    assert_eq!(response.elapsed(), ms(30), "they ran side by side");
    assert_eq!(response.depth(), 1);
    let calls: Vec<_> = response.calls().collect();
    assert_eq!(calls[0].method(), "test.v1.Numbers/Next");
    assert_eq!(calls[1].method(), "test.v1.Numbers/Double");
    assert_eq!(calls[1].request(DOUBLE), Some(Number { value: 5 }));
    assert_eq!(calls[1].request(NEXT), None);
    app.get("/both/6").send();
    assert_eq!(app.exchanges().len(), 2);
}

#[get("/meta")]
async fn meta() -> Result<String> {
    let reply = NEXT.call(Number { value: 1 }).with_meta().await?;
    Ok(format!("{} {:?} {:?}", reply.value, reply.origin, reply.age))
}

#[test]
fn a_reply_tells_its_origin() {
    let app = app(const { &[weft_endpoint_meta::ENDPOINT] }).origin(NEXT, Origin::Fallback);
    assert_eq!(app.get("/meta").send().text(), "2 Fallback 0ns");
}

#[get("/hurry")]
async fn hurry() -> Result<String> {
    match NEXT.call(Number { value: 1 }).timeout(ms(40)).await {
        Ok(reply) => Ok(reply.value.to_string()),
        Err(error) => Ok(error.code().to_string()),
    }
}

#[test]
fn a_call_has_its_own_timeout() {
    let app = app(const { &[weft_endpoint_hurry::ENDPOINT] });
    assert_eq!(app.get("/hurry").send().text(), "2");
    let app = app.latency(NEXT, ms(41));
    let response = app.get("/hurry").send();
    assert_eq!(response.text(), "DEADLINE_EXCEEDED");
    assert_eq!(response.elapsed(), ms(40));
    assert_eq!(response.calls().next().unwrap().timeout(), Some(ms(40)));
    assert_eq!(app.stall(NEXT).get("/hurry").send().text(), "DEADLINE_EXCEEDED");
}

#[get("/patient")]
async fn patient() -> Result<String> {
    Ok(NEXT.call(Number { value: 1 }).await?.value.to_string())
}

#[test]
fn a_stalled_call_lasts_until_the_deadline() {
    let app = app(const { &[weft_endpoint_patient::ENDPOINT] }).stall(NEXT);
    let response = app.get("/patient").deadline(ms(300)).send();
    assert_eq!(response.status(), 504);
    assert_eq!(response.elapsed(), ms(300));
}

#[get("/first")]
async fn first() -> Result<String> {
    let mut next = NEXT.call(Number { value: 1 });
    let mut double = DOUBLE.call(Number { value: 2 });
    let first = select! { reply = next => reply?, reply = double => reply? };
    drop((next, double));
    sleep(ms(5)).await;
    Ok(first.value.to_string())
}

#[test]
fn the_app_sees_cancelled_calls() {
    let app = app(const { &[weft_endpoint_first::ENDPOINT] }).stall(NEXT).latency(DOUBLE, ms(10));
    let response = app.get("/first").send();
    assert_eq!(response.text(), "4");
    assert_eq!(response.elapsed(), ms(15));
    assert_eq!(response.calls().map(|call| call.is_cancelled()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_call_outside_of_a_request_says_so() {
    use weft_sdk::futures::FutureExt;
    let error = NEXT.call(Number { value: 1 }).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.message(), "a call outside of a request");
}

#[test]
#[should_panic(expected = "`test.v1.Numbers/Next` was called, but the test has no backend for it")]
fn a_missing_backend_ends_the_test() {
    App::new(Plugin::new(const { &[weft_endpoint_patient::ENDPOINT] }, METHODS, &[])).get("/patient").send();
}

#[get("/stuck")]
async fn stuck() {
    std::future::pending::<()>().await;
}

#[test]
fn a_deadlock_is_a_problem() {
    let response = app(const { &[weft_endpoint_stuck::ENDPOINT] }).get("/stuck").send();
    assert_eq!(response.status(), 500);
    assert!(response.problem().detail().starts_with("deadlock: "), "{:?}", response.problem());
}

#[get("/services")]
async fn services(caller: Identity) -> Result<String> {
    log::info!("hello {}", caller.subject(); tenant = caller.tenant().unwrap_or("none"), size = 1 + 1);
    let seen: u32 = weft_sdk::cache::principal().get("seen").unwrap_or(0);
    weft_sdk::cache::principal().set_tagged("seen", &(seen + 1), ms(1000), &["visits"]);
    if seen == 2 {
        weft_sdk::cache::invalidate_tag("visits");
    }
    let size = config_or("page-size", 20u32)?;
    Ok(format!("{seen} {size} {:?}", config("nothing")))
}

#[test]
fn log_cache_and_configuration() {
    let app = app(const { &[weft_endpoint_services::ENDPOINT] });
    let visit = |app: &App, who: &str| app.get("/services").identity(Identity::of(who)).send();
    assert_eq!(visit(&app, "ann").text(), "0 20 None");
    assert_eq!(visit(&app, "ann").text(), "1 20 None");
    assert_eq!(visit(&app, "bob").text(), "0 20 None", "principals do not share");
    let line = &app.logs()[0];
    assert_eq!(line.message, "hello ann");
    assert_eq!(line.fields, [("tenant".to_owned(), "none".to_owned()), ("size".to_owned(), "2".to_owned())]);
    let app = app.config("page-size", "50");
    assert_eq!(visit(&app, "ann").text(), "2 50 None");
    assert_eq!(visit(&app, "bob").text(), "0 50 None", "the tag was invalidated for everybody");
    let app = app.config("page-size", "many");
    let response = visit(&app, "ann");
    assert_eq!(response.status(), 500);
    assert_eq!(response.problem().extension("key"), Some("page-size"));
}

#[get("/traced")]
async fn traced() -> String {
    let mut rank = span!("rank", films = 2);
    {
        let _load = span!(in rank; "load");
    }
    rank.set("best", 7);
    "ok".to_owned()
}

#[test]
fn spans_are_kept_with_what_was_said_of_them() {
    let app = app(const { &[weft_endpoint_traced::ENDPOINT] });
    assert_eq!(app.get("/traced").send().status(), 200);
    let [rank, load] = app.spans().try_into().unwrap();
    let said = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!((rank.name.as_str(), rank.within), ("rank", None));
    assert_eq!(rank.attributes, Some(vec![said("films", "2"), said("best", "7")]));
    assert_eq!((load.name.as_str(), load.within, load.attributes), ("load", Some(0), Some(Vec::new())));
}
