//! Who is let in, how often, and what is done only once.

use crate::{
    fan::{fan, film as shown, setup, without_plugin},
    support::{GET_FILM, RATE_FILM, film, knows_all, ratings},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use toml::Table;
use weft_tests::{
    artifacts::{renamed, with_manifest},
    host::TestHost,
    raw::abandon,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
    web::{Reply, Request},
};

fn open() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

fn rate(host: &TestHost, film: u32, subject: &str, key: &str) -> Request {
    host.post(&format!("/film/{film}/rating")).bearer(&token(subject)).header("idempotency-key", key)
}

fn replayed(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_write_gets_the_first_answer_and_is_done_once() {
    let upstream = ratings(&open()).await;
    let host = setup(&[upstream.address()], "").start().await;
    let first = rate(&host, 1, "ann", "k1").send().await.ok();
    assert_eq!((first.json(), replayed(&first)), (json!(1), false));
    for _ in 0..3 {
        let again = rate(&host, 1, "ann", "k1").send().await.ok();
        assert_eq!((again.json(), replayed(&again)), (json!(1), true));
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"), "each request has its own id");
    }
    assert_eq!(upstream.count(RATE_FILM), 1);
    assert_eq!(rate(&host, 1, "bob", "k1").send().await.ok().json(), 2, "another caller's key is another key");
    assert_eq!(rate(&host, 1, "ann", "k2").send().await.ok().json(), 3);
    let reused = rate(&host, 2, "ann", "k1").send().await.problem(422);
    assert_eq!(reused["field"], "header.idempotency-key");
    rate(&host, 1, "ann", &"k".repeat(256)).send().await.problem(400);
    assert_eq!(upstream.count(RATE_FILM), 3);
    for count in [4, 5] {
        let plain = host.post("/film/1/rating").bearer(&token("ann")).send().await.ok();
        assert_eq!(plain.json(), count, "without a key each counts");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_writes_at_once_one_is_done_and_all_are_answered() {
    let gate = Gate::new();
    let upstream = ratings(&gate).await;
    let host = setup(&[upstream.address()], "timeout = \"30s\"").start().await;
    let all = tokio::spawn(join_all((0..5).map(|_| rate(&host, 1, "ann", "k1").send()).collect::<Vec<_>>()));
    upstream.arrived(RATE_FILM, 1).await;
    gate.open();
    let all = all.await.unwrap();
    assert!(all.iter().all(|reply| reply.status == 200 && reply.json() == 1), "{all:?}");
    assert_eq!(all.iter().filter(|reply| replayed(reply)).count(), 4);
    assert_eq!(upstream.count(RATE_FILM), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_caller_has_gone_is_finished_and_its_answer_kept() {
    let gate = Gate::new();
    let upstream = ratings(&gate).await;
    let host = setup(&[upstream.address()], "timeout = \"30s\"").start().await;
    let head = format!("POST /film/1/rating HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}", token("ann"));
    let request = format!("{head}\r\nidempotency-key: k1\r\ncontent-length: 0\r\n\r\n");
    abandon(host.address(), request.as_bytes(), upstream.arrived(RATE_FILM, 1)).await;
    gate.open();
    let answer = rate(&host, 1, "ann", "k1").send().await.ok();
    assert_eq!((answer.json(), replayed(&answer), upstream.count(RATE_FILM)), (json!(1), true, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_failed_may_have_been_done_and_is_not_done_again() {
    let upstream = FakeUpstream::start().await;
    upstream.on(RATE_FILM, |_| Answer::fails(14, "down"));
    let host = setup(&[upstream.address()], "").start().await;
    for _ in 0..2 {
        rate(&host, 1, "ann", "k1").send().await.problem(503);
    }
    assert_eq!(upstream.count(RATE_FILM), 1);
    rate(&host, 1, "ann", "k2").send().await.problem(503);
    assert_eq!(upstream.count(RATE_FILM), 2, "a new key is a new try");
}

/// The plugin with these lines in the policy of an endpoint.
fn with_policy(endpoint: &str, lines: &str) -> bytes::Bytes {
    let lines: Table = lines.parse().unwrap();
    with_manifest(&fan(), |manifest| {
        let policy = manifest["endpoint"][endpoint].as_table_mut().unwrap();
        policy.extend(lines);
    })
}

/// How many of these requests were let in; the others were told when to come back.
async fn let_in(requests: impl IntoIterator<Item = Request>) -> usize {
    let mut count = 0;
    for request in requests {
        let reply = request.send().await;
        if reply.status == 200 {
            count += 1;
            continue;
        }
        assert!(reply.problem(429)["type"] == "urn:weft:problem:rate-limited");
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert_eq!(reply.header("ratelimit-policy"), Some("\"default\";q=3;w=3600"));
        assert_eq!(reply.header("ratelimit"), Some(format!("\"default\";r=0;t={wait}").as_str()));
        assert!((1..=1200).contains(&wait), "one is free after a third of an hour at most: {wait}");
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_hold_for_clients_endpoints_and_callers() {
    let upstream = knows_all().await;
    for (client, endpoint, of_ann, of_bob, elsewhere) in [
        ("rate = \"3/h\"", "", 3, 0, 0),
        ("principal-rate = \"3/h\"", "", 3, 3, 0),
        ("", "rate = \"3/h\"", 3, 0, 5),
        ("", "principal-rate = \"3/h\"", 3, 3, 5),
    ] {
        let plugin = with_policy("GET /film/{id}", endpoint);
        let clients = format!("[[client]]\nname = \"test\"\n{client}\n");
        let setup = without_plugin(&[upstream.address()], "").plugin("fan.wasm", &plugin).clients(&clients);
        let host = setup.start().await;
        let as_caller = |subject: &str| {
            let token = token(subject);
            let ask = |_| host.get("/film/1").bearer(&token);
            (0..5).map(ask).collect::<Vec<_>>()
        };
        let counts = (let_in(as_caller("ann")).await, let_in(as_caller("bob")).await);
        assert_eq!(counts, (of_ann, of_bob), "{client} {endpoint}");
        // Another endpoint, for the caller that has used up what it may.
        let others = (0..5).map(|_| host.get("/films?ids=1"));
        let others = if client.starts_with("principal") { 0 } else { let_in(others).await };
        assert_eq!(others, elsewhere, "{client} {endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_to_wait_is_let_in_later() {
    let upstream = knows_all().await;
    let plugin = with_policy("GET /film/{id}", "rate = \"2/s\"");
    let host = without_plugin(&[upstream.address()], "").plugin("fan.wasm", &plugin).start().await;
    let ask = async || host.get("/film/1").send().await.status;
    until("the rate to be used up", async || (ask().await == 429).then_some(())).await;
    until("the next turn", async || (ask().await == 200).then_some(())).await;
}

const PRIORITIES: [(&str, &str); 3] =
    [("GET /film/{id}/maybe", "sheddable"), ("GET /film/{id}", "normal"), ("GET /film/{id}/empty", "critical")];
/// More requests than come in.
const RUSH: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sheddable_requests_are_refused_first_and_critical_ones_last() {
    let gate = Gate::new();
    let upstream = FakeUpstream::start().await;
    let shut = gate.clone();
    upstream.on(GET_FILM, move |_| Answer::message(&film(1)).held(&shut));
    let plugin = with_manifest(&fan(), |manifest| {
        for (endpoint, priority) in PRIORITIES {
            let policy = manifest["endpoint"][endpoint].as_table_mut().unwrap();
            policy.extend([("priority".to_owned(), priority.into()), ("timeout".to_owned(), "60s".into())]);
        }
    });
    let limits = "requests = 20\nplugin-share = \"100%\"\nqueue = \"10s\"";
    let lines = "timeout = \"30s\"\nconcurrency = { initial = 100 }";
    let setup = without_plugin(&[upstream.address()], lines).plugin("fan.wasm", &plugin).limits(limits);
    let host = setup.start().await;

    let mut requests = [Vec::new(), Vec::new(), Vec::new()];
    for (place, (endpoint, _)) in PRIORITIES.into_iter().enumerate() {
        let path = endpoint.trim_start_matches("GET ").replace("{id}", "1");
        // Again where not one came in: on a machine that can't keep up the bound sinks for a while.
        while requests[place].iter().all(JoinHandle::is_finished) {
            requests[place].extend((0..RUSH).map(|_| tokio::spawn(host.get(&path).send())));
            until("some to be refused and the others to be inside", async || {
                let all = requests.iter().flatten();
                let waiting = all.filter(|request| !request.is_finished()).count();
                let active = host.metrics().await.sum("weft_requests_active", &[]);
                let refused = requests[place].iter().any(JoinHandle::is_finished);
                (refused && active == waiting as f64).then_some(())
            })
            .await;
        }
    }
    gate.open();
    for (requests, word) in requests.into_iter().zip(PRIORITIES.map(|(_, word)| word)) {
        let replies = join_all(requests).await.into_iter().map(Result::unwrap);
        let (good, refused): (Vec<_>, Vec<_>) = replies.partition(|reply| reply.status == 200);
        assert!(!good.is_empty(), "where others are refused, {word} ones still come in");
        for reply in refused {
            let problem = reply.problem(503);
            assert_eq!(problem["type"], "urn:weft:problem:overloaded");
            assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
    }
    assert_eq!(shown(&host, "/film/1").await.0, "Film 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_stuck_takes_its_share_and_no_more() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::Stall);
    let clients =
        "[[client]]\nname = \"test\"\nprefix = \"/test\"\n[[client]]\nname = \"other\"\nprefix = \"/other\"\n";
    let setup = setup(&[upstream.address()], "timeout = \"30s\"").clients(clients);
    let setup = setup.plugin("other.wasm", &renamed(&fan(), "other", "other"));
    let host = setup.limits("requests = 8\nplugin-share = \"50%\"\nqueue = \"50ms\"").start().await;
    let stuck: Vec<_> = (1..=4).map(|id| tokio::spawn(host.get(&format!("/test/film/{id}")).send())).collect();
    upstream.arrived(GET_FILM, 4).await;
    let refused = host.get("/test/film/5").send().await;
    assert_eq!(refused.problem(503)["type"], "urn:weft:problem:busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let well: Value = host.get("/other/films?ids=").send().await.ok().json();
    assert_eq!(well, json!([]), "the other plugin has its own");
    for request in stuck {
        request.abort();
    }
    until("its turns to be free", async || (host.get("/test/films?ids=").send().await.status == 200).then_some(()))
        .await;
}
