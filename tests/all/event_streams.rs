//! Answers in parts: each part leaves as soon as it is there, what goes wrong after the first one is an event, and a stream that is left
//! alone is alive.

mod contract;
mod ending;
mod limits;

use crate::support::{GET_PERSON, hold_people, knows_all, weft};
use bytes::Bytes;
use serde_json::{Value, json};
use weft_tests::{
    artifacts::built,
    host::TestHost,
    raw::exchange,
    setup::Setup,
    sse::Sse,
    upstream::{FakeUpstream, Gate},
    wait::until,
    web::Web,
};

/// The plugin whose endpoints answer in parts.
pub(crate) fn live() -> Bytes {
    built(weft(), "tests/guests/live")
}

fn setup() -> Setup {
    Setup::new().one_backend("127.0.0.1:1", "").plugin("live.wasm", &live())
}

async fn with_a_slow_person() -> (TestHost, FakeUpstream, Gate) {
    let (upstream, gate) = (knows_all().await, Gate::new());
    hold_people(&upstream, &gate, 7);
    let setup = Setup::new().one_backend(upstream.address(), "timeout = \"120s\"");
    (setup.plugin("live.wasm", &live()).start().await, upstream, gate)
}

/// Until so many streams are open.
pub(crate) async fn until_open(host: &TestHost, count: f64) {
    let open = async || (host.metrics().await.sum("weft_streams_open", &[]) == count).then_some(());
    until(&format!("{count} open streams"), open).await;
}

/// How many have ended by this reason.
async fn ended(host: &TestHost, reason: &str) -> f64 {
    host.metrics().await.sum("weft_streams_ended_total", &[("reason", reason)])
}

/// The last event of a stream that the host has ended.
fn end(reason: &str) -> String {
    format!("event: weft.end\ndata: {{\"reason\":\"{reason}\"}}")
}

/// The problem of a stream's last event.
fn problem(event: &str) -> Value {
    let data = event.strip_prefix("event: weft.problem\ndata: ").unwrap_or_else(|| panic!("no problem: {event}"));
    serde_json::from_str(data).unwrap()
}

/// An answer in parts, as no cache and no gateway may treat it otherwise.
fn assert_is_stream(stream: &Sse) {
    assert_eq!(stream.status, 200, "{:?}", stream.headers);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("cache-control"), Some("no-store"));
    for name in ["content-length", "content-encoding", "etag", "cache-status"] {
        assert_eq!(stream.header(name), None, "{name}");
    }
    assert!(stream.header("x-request-id").is_some());
}

/// The fast part, while the slow one is held back; then that.
pub(crate) async fn parts_come_one_by_one(web: &Web, upstream: &FakeUpstream, gate: &Gate) {
    let request = web.get("/parts/7").header("accept", "text/event-stream").header("accept-encoding", "gzip, br");
    let mut stream = request.listen().await;
    assert_is_stream(&stream);
    assert_eq!(stream.event().await.unwrap(), "data: {\"part\":\"film\",\"title\":\"Film 7\"}");
    upstream.arrived(GET_PERSON, 1).await;
    gate.open();
    assert_eq!(
        stream.event().await.unwrap(),
        "event: director\nid: 2\ndata: {\"part\":\"director\",\"name\":\"Person 7\"}"
    );
    assert_eq!(stream.block().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fast_part_arrives_while_the_slow_one_is_awaited() {
    let (host, upstream, gate) = with_a_slow_person().await;
    parts_come_one_by_one(host.web(), &upstream, &gate).await;
    until_open(&host, 0.0).await;
    assert_eq!(ended(&host, "done").await, 1.0);

    let (host, upstream, gate) = with_a_slow_person().await;
    parts_come_one_by_one(&Web::h2c(host.address()), &upstream, &gate).await;
    assert_eq!(host.metrics().await.sum("weft_stream_events_total", &[]), 2.0);
}

/// The guest may compute for 200 ms, and waits for two seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_comes_comments_say_that_it_lives_and_waiting_costs_no_cpu() {
    let host = setup().http("write-timeout = \"1s\"").more("[streams]\nheartbeat = \"1s\"").start().await;
    for web in [host.web().clone(), Web::h2c(host.address())] {
        let mut stream = web.get("/open").listen().await;
        assert_eq!(stream.block().await.unwrap(), "id: 41\ndata: {\"since\":null}");
        for _ in 0..2 {
            assert_eq!(stream.block().await.unwrap(), ":");
        }
        drop(stream);
    }
    until_open(&host, 0.0).await;
}

/// The watchdog takes a client that is given nothing for one that takes nothing, unless it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_http_2_in_which_nothing_comes_is_not_stuck() {
    let host = setup().http("write-timeout = \"1s\"").more("[streams]\nheartbeat = \"4s\"").start().await;
    let mut stream = Web::h2c(host.address()).get("/open").listen().await;
    stream.event().await.unwrap();
    assert_eq!(stream.block().await.unwrap(), ":");
    assert_eq!(host.metrics().await.sum("weft_requests_cut_total", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_client_left_off_is_told_though_the_manifest_asks_for_no_header() {
    let host = setup().start().await;
    let mut stream = host.get("/open").header("last-event-id", "40").listen().await;
    // nginx waits for nothing then, and hands this on to nobody.
    assert_eq!(stream.header("x-accel-buffering"), Some("no"));
    assert_eq!(stream.event().await.unwrap(), "id: 41\ndata: {\"since\":\"40\"}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_a_status_before_it_begins_and_an_event_after() {
    let host = setup().start().await;
    let refused = host.get("/refuses").send().await;
    assert_eq!(refused.problem(404)["detail"], "there is no stream `1`");
    host.get("/late").send().await.problem(504);

    let cases = [
        ("/fails", json!(404), "about:blank", "there is no event `2`"),
        ("/traps", json!(502), "urn:weft:problem:plugin-trapped", "the plugin failed"),
        ("/spins", json!(504), "urn:weft:problem:plugin-limit", "the plugin used up its CPU time"),
    ];
    for (path, status, kind, detail) in cases {
        let mut stream = host.get(path).listen().await;
        assert_is_stream(&stream);
        assert_eq!(stream.event().await.unwrap(), "data: 1", "{path}");
        let told = problem(&stream.event().await.unwrap());
        assert_eq!((&told["status"], &told["type"]), (&status, &json!(kind)), "{told}");
        assert!(told["detail"].as_str().unwrap().starts_with(detail), "{told}");
        assert_eq!(told["request_id"].as_str(), stream.header("x-request-id"));
        assert_eq!(stream.block().await, None);
    }
    until_open(&host, 0.0).await;
    assert_eq!(ended(&host, "problem").await, 3.0);
    host.get("/plain").send().await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_events_arrive_in_their_order_and_a_head_has_none() {
    let host = setup().start().await;
    let events = host.get("/many?count=3000&bytes=100").listen().await.rest().await;
    assert_eq!(events, vec![format!("data: \"{}\"", "x".repeat(100)); 3000]);

    let head =
        exchange(host.address(), b"HEAD /many?count=3&bytes=1 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body()), (200, ""));
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("content-length"), None);
    until_open(&host, 0.0).await;
}
