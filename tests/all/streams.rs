//! Methods that answer with a stream: the reply is the list of what came within the bounds, and the stream ends there.

use crate::fan::{LIST_EVENTS, setup};
use bytes::Bytes;
use prost::Message;
use serde_json::json;
use weft_tests::{
    frames::{BlackHole, RawUpstream, Step, framed},
    host::TestHost,
    wait::until,
};

/// `feed.v1.Event`.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
}

const BEGIN: Step = Step::Headers(&[]);
const OK: Step = Step::Trailers(&[("grpc-status", "0")]);

/// An event of a bit over 400 bytes.
fn event(number: u32) -> Step {
    Step::Data(framed(&Event { number, payload: Bytes::from_static(&[7; 400]) }))
}

/// The first ones, and then what else there is.
fn events(count: u32, then: &[Step]) -> Vec<Step> {
    [BEGIN].into_iter().chain((1..=count).map(event)).chain(then.iter().cloned()).collect()
}

async fn host(steps: Vec<Step>, bounds: &str) -> (RawUpstream, TestHost) {
    let upstream = RawUpstream::start(move |_| steps.clone()).await;
    let rules =
        format!("retry = {{ attempts = 1 }}\n[backend.fake.method.\"{LIST_EVENTS}\"]\nscope = \"public\"\n{bounds}");
    let host = setup(&[upstream.address()], &rules).start().await;
    (upstream, host)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_taken_up_to_its_bounds_and_then_cancelled() {
    let endless = events(50, &[]);
    let one_big = vec![BEGIN, Step::Data(framed(&Event { number: 1, payload: vec![7; 4_000].into() }))];
    for (what, steps, bounds, numbers, cancelled) in [
        ("it ends", events(5, &[OK]), "stream = { items = 100 }", vec![1, 2, 3, 4, 5], 0),
        ("it is empty", events(0, &[OK]), "", vec![], 0),
        ("so many items", endless.clone(), "stream = { items = 3 }", vec![1, 2, 3], 1),
        ("so many bytes", endless.clone(), "stream = { bytes = \"1KiB\" }", vec![1, 2], 1),
        ("not one has room", one_big, "stream = { bytes = \"1KiB\" }", vec![], 1),
        ("so much time", events(2, &[]), "stream = { time = \"300ms\" }", vec![1, 2], 1),
        ("nothing in this time", vec![], "stream = { time = \"300ms\" }", vec![], 1),
    ] {
        let (upstream, host) = host(steps, &format!("timeout = \"30s\"\n{bounds}")).await;
        assert_eq!(host.get("/events/all").send().await.ok().json(), json!(numbers), "{what}");
        until(what, async || (upstream.resets() == cancelled).then_some(())).await;
        assert_eq!(upstream.calls(), 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_fails_is_a_failure_and_not_a_short_list() {
    let trailers = Step::Trailers(&[("grpc-status", "13")]);
    for (what, steps, bounds, code) in [
        ("a bad end", events(2, &[trailers]), "", "INTERNAL"),
        ("no status", events(2, &[Step::End]), "", "UNKNOWN"),
        ("the connection breaks", events(2, &[Step::Settle, Step::Abort]), "", "UNAVAILABLE"),
        ("nothing in the method's time", events(0, &[]), "timeout = \"300ms\"", "DEADLINE_EXCEEDED"),
        ("nobody there", vec![Step::Abort], "stream = { time = \"20s\" }", "UNAVAILABLE"),
    ] {
        let (_upstream, host) = host(steps, bounds).await;
        assert_eq!(host.get("/events/all").send().await.json()["code"], code, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_for_which_no_connection_is_made_is_a_failure_and_another_endpoint_may_have_it() {
    let hole = BlackHole::open().await;
    let rules = format!(
        "timeout = \"60s\"\nconnect-timeout = \"60s\"\nbalance = \"round-robin\"\nretry = {{ attempts = 1 }}\n\
         [backend.fake.method.\"{LIST_EVENTS}\"]\nstream = {{ time = \"300ms\" }}"
    );
    let alone = setup(&[hole.address()], &rules).start().await;
    assert_eq!(alone.get("/events/all").send().await.problem(503)["code"], "UNAVAILABLE");

    let well = RawUpstream::start(|_| events(3, &[OK])).await;
    let both = setup(&[hole.address(), well.address()], &rules).start().await;
    for _ in 0..2 {
        assert_eq!(both.get("/events/all").send().await.ok().json(), json!([1, 2, 3]));
    }
    assert_eq!(well.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_does_not_end_is_cut_before_the_calls_time_does_and_is_told_as_that() {
    let (upstream, host) = host(events(2, &[]), "timeout = \"300ms\"\ncache = { ttl = \"10m\" }").await;
    for calls in 1..=2 {
        let cut = host.get("/events/all").send().await.ok();
        assert_eq!(
            (cut.json(), cut.header("x-weft-degraded")),
            (json!([1, 2]), Some("feed.v1.Feed/ListEvents;how=cut"))
        );
        assert_eq!(upstream.calls(), calls, "it is not all that there is, so it is not kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_cached_and_shared_like_any_reply() {
    let (upstream, host) = host(events(3, &[OK]), "cache = { ttl = \"10m\" }").await;
    for _ in 0..3 {
        assert_eq!(host.get("/events/all").send().await.ok().json(), json!([1, 2, 3]));
    }
    host.get("/events/other").send().await.ok();
    assert_eq!(upstream.calls(), 2);
}
