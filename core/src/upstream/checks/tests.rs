//! Checks of scripted instances, in paused time.

use super::*;
use crate::{
    model::Code,
    settings::{Document, Mistakes, Table},
    telemetry::{EndpointHealth, kept::Kept},
    upstream::{
        Backend, Transport,
        discovery::InstanceSpec,
        kit::{backend, outgoing},
        scripted::{Script, failed},
    },
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

const HEALTH: &str = "balance = \"round-robin\"\nhealth = { interval = \"5s\", timeout = \"1s\" }";

/// Answers calls, and checks as it is told: a code, or 0 for well.
fn told() -> (Script, Arc<AtomicU32>) {
    let code = Arc::new(AtomicU32::new(0));
    let said = code.clone();
    let script = Script::new(move |_| {
        let code = Code::from_number(said.load(SeqCst));
        std::future::ready(if code == Code::Ok { Ok(Bytes::new()) } else { Err(failed(code)) })
    });
    (script, code)
}

fn states(backend: &Backend) -> Vec<EndpointHealth> {
    backend.state().endpoints.iter().map(|endpoint| endpoint.state).collect()
}

async fn pass(seconds: u64) {
    // Step by step: what is due in between happens in between.
    for _ in 0..seconds * 10 {
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_in_when_its_first_check_has_passed_and_out_by_its_own_word() {
    let (kept, _guard) = Kept::begin();
    let ((one, code), (other, _)) = (told(), told());
    let backend = backend(HEALTH, &[one, other]);
    assert_eq!(states(&backend), [EndpointHealth::Checking; 2]);
    assert!(backend.call(outgoing(false, Duration::from_secs(1))).await.result.is_ok(), "all pending: all are asked");
    pass(1).await;
    assert_eq!(states(&backend), [EndpointHealth::Ready; 2]);
    code.store(Code::FailedPrecondition as u32, SeqCst);
    pass(6).await;
    assert_eq!(states(&backend), [EndpointHealth::Unhealthy, EndpointHealth::Ready]);
    for _ in 0..4 {
        let answer = backend.call(outgoing(false, Duration::from_secs(1))).await;
        assert_eq!(answer.endpoint.as_deref(), Some("h1:1"));
    }
    code.store(0, SeqCst);
    pass(6).await;
    assert_eq!(states(&backend), [EndpointHealth::Ready; 2]);
    let lines = kept.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].to_string().contains("h0:1 gets no calls by its health check: NOT_SERVING"), "{lines:#?}");
    assert!(lines[1].to_string().contains("h0:1 gets calls again"), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn where_all_are_out_all_get_calls() {
    let ((one, code), (other, _)) = (told(), told());
    let backend = backend(HEALTH, &[one, other]);
    pass(1).await;
    code.store(Code::FailedPrecondition as u32, SeqCst);
    pass(6).await;
    assert_eq!(states(&backend)[0], EndpointHealth::Unhealthy);
    let only_out = backend.offer(&specs(&[0])).unwrap();
    assert_eq!(only_out.total, 1);
    code.store(0, SeqCst);
    let answer = backend.call(outgoing(false, Duration::from_secs(1))).await;
    assert_eq!(
        (answer.result.is_ok(), answer.endpoint.as_deref()),
        (true, Some("h0:1")),
        "the check is older than this"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_out_after_two_checks_and_costs_no_more_than_their_time() {
    let hangs = Script::after(Duration::from_hours(1));
    let (other, _) = told();
    let backend = backend(HEALTH, &[hangs.clone(), other]);
    pass(8).await;
    assert_eq!(states(&backend), [EndpointHealth::Unhealthy, EndpointHealth::Ready]);
    let check = backend.state().endpoints[0].check.clone().unwrap();
    assert_eq!(check.found, "no answer within 1s");
    assert!((2..=3).contains(&hangs.count()), "{}", hangs.count());
}

#[tokio::test(start_paused = true)]
async fn one_that_knows_no_checks_gets_calls_and_is_asked_again_seldom() {
    let (kept, _guard) = Kept::begin();
    let (one, code) = told();
    code.store(Code::Unimplemented as u32, SeqCst);
    let backend = backend(HEALTH, std::slice::from_ref(&one));
    pass(50).await;
    assert_eq!((one.count(), states(&backend)), (1, vec![EndpointHealth::Ready]));
    pass(30).await;
    assert_eq!(one.count(), 2);
    assert_eq!(kept.lines().len(), 1, "{:#?}", kept.lines());
}

fn specs(places: &[usize]) -> Vec<InstanceSpec> {
    let spec = |place: &usize| InstanceSpec {
        uri: format!("http://h{place}:1").parse().unwrap(),
        weight: 1.0,
        metadata: BTreeMap::new(),
    };
    places.iter().map(spec).collect()
}

#[tokio::test(start_paused = true)]
async fn a_check_ends_with_its_place_in_the_set_and_begins_with_it() {
    let ((one, _), (other, _)) = (told(), told());
    let backend = backend(HEALTH, &[one.clone(), other.clone()]);
    pass(1).await;
    assert_eq!((one.count(), other.count()), (1, 1));
    backend.offer(&specs(&[0])).unwrap();
    pass(20).await;
    assert_eq!(other.count(), 1, "nobody asks after one that has left");
    assert!(one.count() >= 4, "one that stays is asked as before: {}", one.count());
    backend.offer(&specs(&[0, 1])).unwrap();
    assert_eq!(states(&backend), [EndpointHealth::Ready, EndpointHealth::Checking]);
    pass(1).await;
    assert_eq!(states(&backend), [EndpointHealth::Ready; 2]);
    let before = one.count();
    drop(backend);
    pass(20).await;
    assert_eq!(one.count(), before, "nor after those of a backend that is gone");
}

#[test]
fn mistakes_are_found_with_their_keys() {
    let read = |text: &str, read: fn(&Table<'_>) -> Option<Checks>| {
        let mistakes = Mistakes::new();
        let checks = read(&Document::parse(Path::new("test"), text, &mistakes).table(&mistakes).table("health"));
        let mistakes = mistakes.into_sorted();
        let lines = mistakes.iter().map(|mistake| format!("{}: {}", mistake.key, mistake.message));
        (checks, lines.collect::<Vec<_>>())
    };
    assert_eq!(read("", Checks::of_grpc), (None, vec![]));
    let (checks, mistakes) = read("[health]", Checks::of_grpc);
    assert_eq!((checks.unwrap().asks, mistakes.len()), (Asks::Service(String::new()), 0));
    let (checks, mistakes) = read("[health]\npath = \"/healthz?full=1\"", Checks::of_rest);
    assert_eq!((checks.unwrap().asks, mistakes.len()), (Asks::Path("/healthz?full=1".to_owned()), 0));
    for (text, of, key) in [
        ("path = \"/healthz\"", Checks::of_grpc as fn(&Table<'_>) -> Option<Checks>, "health.path"),
        ("path = \"/healthz\"\nservice = \"\"", Checks::of_rest, "health.service"),
        ("", Checks::of_rest, "health"),
        ("path = \"healthz\"", Checks::of_rest, "health.path"),
        ("path = \"/a b\"", Checks::of_rest, "health.path"),
        ("interval = \"1ms\"", Checks::of_grpc, "health.interval"),
        ("failures = 0", Checks::of_grpc, "health.failures"),
        ("retries = 3", Checks::of_grpc, "health.retries"),
    ] {
        let (_, mistakes) = read(&format!("[health]\n{text}"), of);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(key), "{text}: {mistakes:?}");
    }
}
