//! Backends are asked whether they want calls: those that don't get none, and nobody's request learns it the hard way.

use crate::{
    fan::{fan, states},
    support::{GET_PERSON, PATIENT, knows_all, probe, weft},
};
use bytes::Bytes;
use demo_services::{Data, Running, Service, Sizes};
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering::SeqCst},
};
use weft_tests::{
    frames::BlackHole,
    host::TestHost,
    process::HostProcess,
    setup::Setup,
    site::{Page, Site},
    upstream::{Answer, FakeUpstream, Feed},
    wait::until,
};

const WATCH: &str = "grpc.health.v1.Health/Watch";
const CHECK: &str = "grpc.health.v1.Health/Check";

/// `HealthCheckResponse`.
fn status(number: u8) -> Bytes {
    Bytes::from(vec![8, number])
}

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const SERVICE_UNKNOWN: u8 = 3;

async fn host(backends: &[&FakeUpstream], health: &str) -> TestHost {
    let list: Vec<_> = backends.iter().map(|upstream| upstream.address().to_string()).collect();
    let more = format!("{PATIENT}\nbalance = \"round-robin\"\nhealth = {{ {health} }}");
    Setup::new().one_backend(list.join(","), &more).plugin("probe.wasm", &probe()).start().await
}

/// Until the endpoints, in the order of their backend, stand so.
async fn until_states(host: &TestHost, wanted: &[&str]) {
    until(&format!("endpoints to be {wanted:?}"), async || {
        let states = states(host).await;
        states.iter().map(|(_, state)| state.as_str()).eq(wanted.iter().copied()).then_some(())
    })
    .await;
}

async fn ask_for_people(host: &TestHost, count: usize) {
    for _ in 0..count {
        host.get("/people?ids=1").send().await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_gets_no_calls_from_the_moment_it_says_not_serving_until_it_says_serving() {
    let (one, other) = (knows_all().await, knows_all().await);
    let (feed, well) = (Feed::new(status(SERVING)), Feed::new(status(SERVING)));
    let (watched, well_watched) = (feed.clone(), well.clone());
    one.on(WATCH, move |_| Answer::Feed(watched.clone()));
    other.on(WATCH, move |_| Answer::Feed(well_watched.clone()));
    let host = host(&[&one, &other], "interval = \"300s\"").await;
    until_states(&host, &["ready", "ready"]).await;
    for (said, word) in [(NOT_SERVING, "NOT_SERVING"), (SERVICE_UNKNOWN, "SERVICE_UNKNOWN")] {
        feed.send(status(said));
        until_states(&host, &["unhealthy", "ready"]).await;
        let before = (one.count(GET_PERSON), other.count(GET_PERSON));
        ask_for_people(&host, 10).await;
        assert_eq!((one.count(GET_PERSON), other.count(GET_PERSON)), (before.0, before.1 + 10));
        let backends = host.admin("/v1/backends").send().await.ok().json();
        assert_eq!(backends["backends"][0]["endpoints"][0]["check"]["found"], word);
        let metrics = host.admin("/metrics").send().await.ok().text();
        assert!(metrics.contains(r#"weft_endpoints{backend="fake",state="unhealthy"} 1"#), "{metrics}");
        feed.send(status(SERVING));
        until_states(&host, &["ready", "ready"]).await;
    }
    until("calls to the one that is back", async || {
        let before = one.count(GET_PERSON);
        ask_for_people(&host, 4).await;
        (one.count(GET_PERSON) > before).then_some(())
    })
    .await;
    // Where all are out, checks are disregarded.
    feed.send(status(NOT_SERVING));
    well.send(status(NOT_SERVING));
    until_states(&host, &["unhealthy", "unhealthy"]).await;
    ask_for_people(&host, 4).await;
}

/// A server that stops waits for its streams to end, as `GracefulStop` does in Go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_watches_an_endpoint_that_does_not_serve() {
    let one = knows_all().await;
    let (feed, said) = (Feed::new(status(SERVING)), Arc::new(AtomicU16::new(SERVING.into())));
    let (watched, says) = (feed.clone(), said.clone());
    one.on(WATCH, move |_| Answer::Feed(watched.clone()));
    one.on(CHECK, move |_| Answer::Message(status(says.load(SeqCst).try_into().unwrap())));
    let host = host(&[&one], "interval = \"100ms\"").await;
    until_states(&host, &["ready"]).await;
    for _ in 0..2 {
        said.store(NOT_SERVING.into(), SeqCst);
        feed.send(status(NOT_SERVING));
        until_states(&host, &["unhealthy"]).await;
        until("the stream to end", async || (feed.readers() == 0).then_some(())).await;
        feed.send(status(SERVING));
        said.store(SERVING.into(), SeqCst);
        until_states(&host, &["ready"]).await;
        until("a stream", async || (feed.readers() == 1).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_can_not_be_watched_is_checked_and_one_that_knows_neither_is_left_alone() {
    let (one, other) = (knows_all().await, knows_all().await);
    let said = Arc::new(AtomicU16::new(SERVING.into()));
    let says = said.clone();
    one.on(CHECK, move |_| match says.load(SeqCst) {
        100 => Answer::Stall,
        101 => Answer::fails(5, "no such service"),
        102 => Answer::Http { status: 503, body: "<html>" },
        number => Answer::Message(status(number.try_into().unwrap())),
    });
    let host = host(&[&one, &other], "service = \"people.v1.People\", interval = \"100ms\", timeout = \"2s\"").await;
    until_states(&host, &["ready", "ready"]).await;
    assert_eq!(one.calls(CHECK)[0].message, "\u{a}\u{10}people.v1.People");
    for (wrong, found) in
        [(2, "NOT_SERVING"), (100, "no answer within 2s"), (101, "SERVICE_UNKNOWN"), (102, "UNAVAILABLE")]
    {
        said.store(wrong, SeqCst);
        until_states(&host, &["unhealthy", "ready"]).await;
        let says = async || {
            let backends = host.admin("/v1/backends").send().await.ok().json();
            backends["backends"][0]["endpoints"][0]["check"]["found"].as_str().unwrap().starts_with(found).then_some(())
        };
        until(found, says).await;
        said.store(SERVING.into(), SeqCst);
        until_states(&host, &["ready", "ready"]).await;
    }
    let backends = host.admin("/v1/backends").send().await.ok().json();
    assert_eq!(backends["backends"][0]["endpoints"][1]["check"]["found"], "it knows no checks");
    assert_eq!((other.count(WATCH), other.count(CHECK)), (1, 1), "and is asked again in a minute");
}

/// The demo's own service, with the health server of its gRPC library.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_service_is_out_before_it_ends_and_in_when_it_is_back() {
    let data = Arc::new(Data::generate(Sizes { films: 10, people: 20, reviews: 10 }, 1).unwrap());
    let start = async || Running::start(Service::People, data.clone()).await.unwrap();
    let (one, other) = (start().await, start().await);
    let folder = Setup::new()
        .one_backend(
            format!("{},{}", one.address(), other.address()),
            &format!("{PATIENT}\nhealth = {{ service = \"people.v1.People\", interval = \"100ms\" }}"),
        )
        .plugin("probe.wasm", &probe())
        .write();
    let host = HostProcess::start(weft(), &folder).await;
    let admin = weft_tests::web::Web::admin(host.admin);
    let state = async || {
        let backends = admin.get("/v1/backends").send().await.ok().json();
        backends["backends"][0]["endpoints"][0]["state"].as_str().unwrap().to_owned()
    };
    until("the first check", async || (state().await == "ready").then_some(())).await;
    let address = one.address();
    one.stop().await.unwrap();
    until("the one that ended to be out", async || (state().await == "unhealthy").then_some(())).await;
    host.until_line("gets no calls by its health check").await;
    for _ in 0..10 {
        host.web().get("/people?ids=1").send().await.ok();
    }
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let back = Running::start_on(listener, Service::People, data).unwrap();
    until("the one that came back", async || (state().await == "ready").then_some(())).await;
    host.until_line("gets calls again by its health check").await;
    drop(back);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_can_not_be_reached_is_out_and_costs_the_checks_no_more_than_their_time() {
    let (well, hole) = (knows_all().await, BlackHole::open().await);
    let list = format!("{},{},{}", hole.address(), FakeUpstream::nowhere().await, well.address());
    let more = format!("{PATIENT}\npanic = \"0%\"\nhealth = {{ interval = \"100ms\", timeout = \"100ms\" }}");
    let host = Setup::new().one_backend(list, &more).plugin("probe.wasm", &probe()).start().await;
    until_states(&host, &["unhealthy", "unhealthy", "ready"]).await;
    ask_for_people(&host, 10).await;
    assert_eq!(well.count(GET_PERSON), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_backends_are_asked_by_a_path_of_their_own() {
    let site = Site::start().await;
    let status = Arc::new(AtomicU16::new(204));
    let says = status.clone();
    site.on("/healthz", move |_| Page::status(says.load(SeqCst), "as it is told"));
    let services = ["catalog.v1.Films", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let rest = format!(
        "[backend.rest]\nprotocol = \"rest\"\nservices = {services:?}\nendpoints = \"static://{}\"\n\
         health = {{ path = \"/healthz?full=1\", interval = \"100ms\" }}\n\
         [backend.rest.method.\"catalog.v1.Films/GetFilm\"]\nhttp = \"GET /films/{{id}}\"",
        site.address()
    );
    let setup = Setup::new().identity("subject = \"x-md-global-subject\"");
    let setup = setup.backend("feed", &["feed.v1.Feed"], FakeUpstream::nowhere().await, "").more(&rest);
    let host = setup.plugin("fan.wasm", &fan()).start().await;
    let endpoint = async || -> Value {
        let backends = host.admin("/v1/backends").send().await.ok().json();
        let mut all = backends["backends"].as_array().unwrap().iter();
        all.find(|backend| backend["name"] == "rest").unwrap()["endpoints"][0].clone()
    };
    for (code, state, found) in [
        (204, "ready", "it serves"),
        (503, "unhealthy", "HTTP 503"),
        (200, "ready", "it serves"),
        (302, "unhealthy", "HTTP 302"),
    ] {
        status.store(code, SeqCst);
        until(state, async || (endpoint().await["state"] == state).then_some(())).await;
        assert_eq!(endpoint().await["check"]["found"], found);
    }
}
