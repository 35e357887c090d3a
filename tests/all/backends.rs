//! Backends that are down, slow, or wrong: a failure for that call alone, in its time, with the truth about what happened.

use crate::support::{
    BATCH_GET_PEOPLE, GET_FILM, GET_PERSON, PEOPLE_IN_BATCHES, RATE_FILM, film, hold_people, knows_all, person, probe,
    rule,
};
use demo_services::proto::people::v1::BatchGetPeopleResponse;
use std::{net::SocketAddr, time::Duration};
use weft_tests::{
    host::TestHost,
    setup::Setup,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
};

/// Films come from the address in question, and people from a backend that is well.
async fn host(films: SocketAddr, well: &FakeUpstream) -> TestHost {
    patient_host(films, well, "300ms").await
}

async fn patient_host(films: SocketAddr, well: &FakeUpstream, timeout: &str) -> TestHost {
    let setup = Setup::new().identity("subject = \"x-md-global-subject\"").backend(
        "films",
        &["catalog.v1.Films"],
        films,
        &format!("timeout = \"{timeout}\"\nretry = {{ attempts = 1 }}\nbreaker = {{ k = 0 }}"),
    );
    let others = ["people.v1.People", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    setup.backend("well", &others, well.address(), "timeout = \"30s\"").plugin("probe.wasm", &probe()).start().await
}

/// What a backend may do to one call; the code that the plugin sees; the status that its caller gets if the plugin lets it through.
fn troubles() -> Vec<(&'static str, Answer, &'static str, u16)> {
    let html = |status| Answer::Http { status, body: "<html>proxy</html>" };
    let bytes = film(1).encode();
    vec![
        ("stalls", Answer::Stall, "DEADLINE_EXCEEDED", 504),
        ("stalls after its headers", Answer::StallAfterHeaders, "DEADLINE_EXCEEDED", 504),
        ("is slow", Answer::message(&film(1)).slow(Duration::from_secs(40)), "DEADLINE_EXCEEDED", 504),
        ("sends HTML with 503", html(503), "UNAVAILABLE", 503),
        ("sends HTML with 502", html(502), "UNAVAILABLE", 503),
        ("sends HTML with 404", html(404), "UNIMPLEMENTED", 502),
        ("sends HTML with 200", html(200), "UNKNOWN", 502),
        ("sends no trailers", Answer::NoTrailers(bytes), "UNKNOWN", 502),
        ("sends what is no film", Answer::Message(b"\xff\xff\xff".to_vec().into()), "INTERNAL", 502),
        ("has no such film", Answer::fails(5, "no film 1"), "NOT_FOUND", 404),
        ("wants other arguments", Answer::fails(3, "bad id"), "INVALID_ARGUMENT", 400),
        ("knows nobody", Answer::fails(16, "who are you"), "UNAUTHENTICATED", 401),
        ("forbids", Answer::fails(7, "not yours"), "PERMISSION_DENIED", 403),
        ("is full", Answer::fails(8, "quota"), "RESOURCE_EXHAUSTED", 503),
        ("has a bug", Answer::fails(13, "stack trace"), "INTERNAL", 502),
        ("has no such method", Answer::fails(12, "what"), "UNIMPLEMENTED", 502),
        ("lost data", Answer::fails(15, "gone"), "DATA_LOSS", 502),
        ("says a code that does not exist", Answer::fails(99, "odd"), "UNKNOWN", 502),
    ]
}

trait Encoded {
    fn encode(&self) -> bytes::Bytes;
}

impl<M: prost::Message> Encoded for M {
    fn encode(&self) -> bytes::Bytes {
        self.encode_to_vec().into()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trouble_is_a_failure_of_that_call_alone_and_told_truthfully() {
    let (films, well) = (FakeUpstream::start().await, knows_all().await);
    let host = host(films.address(), &well).await;
    for (what, answer, code, status) in troubles() {
        films.on(GET_FILM, move |_| answer.clone());
        let outcome = host.get("/outcome?film=1&person=7").send().await.ok().json();
        assert_eq!(outcome["film"]["code"], code, "the backend {what}: {outcome}");
        assert_eq!(outcome["person"]["reply"], "Person 7", "the backend {what}: {outcome}");

        let problem = host.get("/films/1").send().await.problem(status);
        assert_eq!((&problem["code"], &problem["method"]), (&code.into(), &GET_FILM.into()), "the backend {what}");
        if status >= 500 {
            let detail = problem["detail"].as_str().unwrap();
            assert_eq!(
                detail,
                format!("`{GET_FILM}` failed with {code}"),
                "callers learn nothing of what is behind us"
            );
        }
    }
    films.on(GET_FILM, |_| Answer::message(&film(1)));
    assert_eq!(host.get("/films/1").send().await.ok().text(), "Film 1", "and then all is well again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_listens_calls_fail_as_unavailable() {
    let well = knows_all().await;
    let host = host(FakeUpstream::nowhere().await, &well).await;
    let outcome = host.get("/outcome?film=1&person=7").send().await.ok().json();
    assert_eq!(
        (&outcome["film"]["code"], &outcome["person"]["code"]),
        (&"UNAVAILABLE".into(), &"OK".into()),
        "{outcome}"
    );
    host.get("/films/1").send().await.problem(503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_takes_connections_and_says_nothing_is_a_timeout() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let well = knows_all().await;
    let host = host(silent.local_addr().unwrap(), &well).await;
    let outcome = host.get("/outcome?film=1&person=7").send().await.ok().json();
    assert_eq!(
        (&outcome["film"]["code"], &outcome["person"]["code"]),
        (&"DEADLINE_EXCEEDED".into(), &"OK".into()),
        "{outcome}"
    );
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_comes_back_is_used_again() {
    let well = knows_all().await;
    let films = knows_all().await;
    let address = films.address();
    let host = host(address, &well).await;
    assert_eq!(host.get("/films/1").send().await.ok().text(), "Film 1");
    films.stop().await;
    host.get("/films/1").send().await.problem(503);
    let back = FakeUpstream::start_at(address).await;
    back.on(GET_FILM, |_| Answer::message(&film(2)));
    assert_eq!(host.get("/films/1").send().await.ok().text(), "Film 2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backend_is_told_how_long_anybody_waits_and_the_call_is_cancelled_then() {
    let (films, well) = (FakeUpstream::start().await, knows_all().await);
    let host = host(films.address(), &well).await;
    films.on(GET_FILM, |_| Answer::Stall);
    host.get("/films/1").send().await.problem(504);
    let timeout = films.calls(GET_FILM)[0].meta("grpc-timeout").unwrap().to_owned();
    let micros: u32 = timeout.strip_suffix('u').unwrap().parse().unwrap();
    assert!((1..=300_000).contains(&micros), "{timeout} is within the backend's 300 ms");
    films.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_fails_for_all_its_calls_and_of_a_malformed_one_each_is_asked_for_alone() {
    let upstream = knows_all().await;
    let rules = rule(GET_PERSON, &format!("{PEOPLE_IN_BATCHES}\nscope = \"public\"\ntimeout = \"300ms\""));
    let setup = Setup::new().one_backend(upstream.address(), &format!("retry = {{ attempts = 1 }}\n{rules}"));
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    let odd = BatchGetPeopleResponse { people: vec![person(1), person(2)] };
    let cut = odd.encode().slice(..odd.encode().len() - 3);
    for (answer, outcome) in [
        (Answer::Stall, ["DEADLINE_EXCEEDED"; 2]),
        (Answer::fails(14, "down"), ["UNAVAILABLE"; 2]),
        (Answer::Message(cut), ["Person 1", "Person 2"]),
        (Answer::Http { status: 503, body: "busy" }, ["UNAVAILABLE"; 2]),
    ] {
        upstream.on(BATCH_GET_PEOPLE, move |_| answer.clone());
        let people = host.get("/people?ids=1,2").send().await.ok().json();
        assert_eq!(people, serde_json::json!(outcome));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_safe_is_sent_once_however_it_ends() {
    let (films, well) = (FakeUpstream::start().await, knows_all().await);
    well.on(RATE_FILM, |_| Answer::fails(14, "down"));
    let host = host(films.address(), &well).await;
    host.post("/films/1/two-ratings").bearer(&token("ann")).send().await.problem(503);
    assert!(well.count(RATE_FILM) <= 2, "two ratings, and none of them again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_backend_holds_up_nobody_who_does_not_need_it() {
    let gate = Gate::new();
    let (films, well) = (FakeUpstream::start().await, knows_all().await);
    hold_people(&well, &gate, 7);
    films.on(GET_FILM, |_| Answer::message(&film(1)));
    let host = patient_host(films.address(), &well, "30s").await;
    let waiting: Vec<_> = (0..20).map(|id| tokio::spawn(host.get(&format!("/people?ids={id}")).send())).collect();
    well.arrived(GET_PERSON, 20).await;
    for _ in 0..20 {
        assert_eq!(host.get("/films/1").send().await.ok().text(), "Film 1");
    }
    gate.open();
    for reply in waiting {
        assert_eq!(reply.await.unwrap().ok().json(), serde_json::json!(["Person 7"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_may_be_the_name_of_a_host() {
    let upstream = knows_all().await;
    let named = format!("localhost:{}", upstream.address().port());
    let host = Setup::new().one_backend(named, "timeout = \"30s\"").plugin("probe.wasm", &probe()).start().await;
    let outcome = host.get("/outcome?film=1&person=1").send().await.ok().json();
    assert_eq!(outcome["film"]["code"], "OK", "{outcome}");
    let unknown = Setup::new().one_backend("no-such-host.invalid:1", "").plugin("probe.wasm", &probe()).start().await;
    let outcome = unknown.get("/outcome?film=1&person=1").send().await.ok().json();
    assert_eq!(outcome["film"]["code"], "UNAVAILABLE", "{outcome}");
}
