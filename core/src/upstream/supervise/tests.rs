//! Providers that do as a test says, in paused time.

use super::*;
use crate::{
    model::Code,
    telemetry::{EndpointStates, kept::Kept},
    upstream::{
        InstanceSpec, Transport,
        discovery::{Discovery, Nonsense},
        kit::{backend, outgoing},
        scripted::Script,
    },
};
use futures_util::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

const SECOND: Duration = Duration::from_secs(1);

/// What one watch does, step by step.
#[derive(Debug, Clone)]
enum Step {
    Tell(Found),
    Wait(Duration),
    End(&'static str),
    Panic,
    Hold,
}
use Step::{End, Hold, Tell, Wait};

/// The nth watch takes the nth list of steps, or the last one.
#[derive(Debug)]
struct Scripted {
    watches: Vec<Vec<Step>>,
    begun: Arc<AtomicUsize>,
}

impl Provider for Scripted {
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>> {
        async { Err("not asked here".to_owned()) }.boxed()
    }

    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String> {
        let number = self.begun.fetch_add(1, Relaxed).min(self.watches.len() - 1);
        let steps = self.watches[number].clone();
        async move {
            for step in steps {
                match step {
                    Tell(found) => sink.take(found),
                    Wait(time) => tokio::time::sleep(time).await,
                    End(reason) => return reason.to_owned(),
                    Step::Panic => panic!("scripted"),
                    Hold => std::future::pending().await,
                }
            }
            "no more steps".to_owned()
        }
        .boxed()
    }
}

fn set(places: &[usize]) -> Found {
    let spec = |place: &usize| InstanceSpec {
        uri: format!("http://h{place}:1").parse().unwrap(),
        weight: 1.0,
        metadata: BTreeMap::new(),
    };
    Found { specs: places.iter().map(spec).collect(), skipped: Vec::new() }
}

/// A backend that is watched by it, and how often it was begun.
fn watched(settings: &str, watches: Vec<Vec<Step>>) -> (Arc<Backend>, Arc<AtomicUsize>) {
    let scripts: Vec<_> = (0..4).map(|_| Script::after(Duration::ZERO)).collect();
    let mut backend = backend(&format!("endpoints = \"dns://films.example:1\"\n{settings}"), &scripts);
    let begun = Arc::<AtomicUsize>::default();
    let provider = Arc::new(Scripted { watches, begun: begun.clone() });
    backend.discovery = Some(Arc::new(Discovery::new(&backend.config.endpoints, provider)));
    let backend = Arc::new(backend);
    backend.watch();
    backend.watch();
    (backend, begun)
}

fn addresses(backend: &Backend) -> Vec<String> {
    backend.state().endpoints.into_iter().map(|endpoint| endpoint.address).collect()
}

async fn pass(time: Duration) {
    // In steps, so that whoever waits within it goes on in time.
    for _ in 0..100 {
        tokio::time::sleep(time / 100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sets_are_taken_as_they_are_told_and_the_last_one_outlives_any_outage() {
    let (kept, _guard) = Kept::begin();
    let away = vec![Wait(Duration::from_millis(1)), End("connection refused")];
    let mut watches =
        vec![vec![Tell(set(&[0, 1])), Wait(SECOND), Tell(set(&[1, 2])), Wait(SECOND * 60), End("it went")]];
    watches.extend(vec![away; 400]);
    watches.push(vec![Tell(set(&[3])), Hold]);
    let (backend, begun) = watched("", watches);
    assert!(backend.has_instances().await);
    assert_eq!(addresses(&backend), ["h0:1", "h1:1"]);
    pass(SECOND * 2).await;
    assert_eq!(addresses(&backend), ["h1:1", "h2:1"]);
    pass(SECOND * 1800).await;
    assert_eq!(addresses(&backend), ["h1:1", "h2:1"], "after half an hour without a word");
    let attempts = begun.load(Relaxed);
    assert!((150..250).contains(&attempts), "{attempts} in half an hour: one in ten seconds");
    assert_eq!(kept.count("can't tell of its endpoints"), 1, "{:#?}", kept.lines());
    assert_eq!(kept.count("it went; calls go on to the 2 known before"), 1, "{:#?}", kept.lines());
    let state = backend.state().discovery.unwrap();
    assert_eq!(state.last_error.unwrap().message, "connection refused");
    assert!(state.failing_since.is_some() && state.set_age > Some(1700), "{:?}", state.set_age);
    pass(SECOND * 4000).await;
    assert_eq!(addresses(&backend), ["h3:1"]);
    assert_eq!(kept.count("tells of its endpoints again, after"), 1, "{:#?}", kept.lines());
    assert!(backend.state().discovery.unwrap().failing_since.is_none());
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_to_ten_seconds_and_begin_anew_after_what_has_held() {
    let (backend, begun) = watched("", vec![vec![End("no")]]);
    pass(SECOND).await;
    let at_first = begun.load(Relaxed);
    assert!((3..=5).contains(&at_first), "{at_first} within a second");
    pass(SECOND * 120).await;
    let later = begun.load(Relaxed) - at_first;
    assert!((12..=20).contains(&later), "{later} in two minutes");
    assert!(backend.state().discovery.unwrap().failures >= 15);
    let holds = vec![Tell(set(&[0])), Wait(SECOND * 11), End("again")];
    let (_backend, begun) = watched("", vec![holds]);
    pass(SECOND * 115).await;
    assert!(begun.load(Relaxed) >= 10, "each of these was followed by a short pause");
}

#[tokio::test(start_paused = true)]
async fn without_a_first_set_calls_say_why_there_is_none_and_readiness_waits_for_a_while_only() {
    let (backend, _) = watched("discovery = { wait = \"3s\" }", vec![vec![End("connection refused")]]);
    let since = Instant::now();
    assert!(!backend.has_instances().await);
    assert_eq!(since.elapsed(), SECOND * 3);
    let answer = backend.call(outgoing(true, SECOND)).await;
    let failure = answer.result.unwrap_err();
    assert_eq!((failure.code, answer.attempts, answer.sent), (Code::Unavailable, 0, false));
    let expected =
        "the backend has no endpoints: dns://films.example:1 can't tell of its endpoints: connection refused";
    assert_eq!(failure.message, expected);
    assert!(backend.is_away(), "who has something else to show need not wait");
}

#[tokio::test(start_paused = true)]
async fn calls_that_found_nobody_do_not_count_against_those_who_come() {
    let (backend, _) = watched("", vec![vec![Wait(SECOND * 5), Tell(set(&[0])), Hold]]);
    for _ in 0..200 {
        assert!(backend.call(outgoing(true, SECOND)).await.result.is_err());
    }
    pass(SECOND * 6).await;
    for _ in 0..200 {
        assert!(backend.call(outgoing(true, SECOND)).await.result.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_is_refused_while_the_old_one_answers_unless_it_is_allowed() {
    let steps = vec![Tell(set(&[0])), Wait(SECOND), Tell(Found::default()), Hold];
    for (settings, left) in [("", 1), ("discovery = { allow-empty = true }", 0)] {
        let (kept, _guard) = Kept::begin();
        let (backend, _) = watched(settings, vec![steps.clone()]);
        pass(SECOND * 2).await;
        assert_eq!(addresses(&backend).len(), left);
        assert_eq!(
            kept.count("it is empty, and instances of the set before still answer"),
            left,
            "{:#?}",
            kept.lines()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_one_line_a_kind_however_often_it_is_told() {
    let (kept, _guard) = Kept::begin();
    let mut odd = set(&[0]);
    odd.skip(Nonsense::Unreadable, &"/a: no JSON");
    odd.skip(Nonsense::Unreadable, &"/b: no JSON");
    odd.skip(Nonsense::Address, &"/c: port 0");
    let told: Vec<_> = (0..600).flat_map(|_| [Tell(odd.clone()), Wait(SECOND / 10)]).chain([Hold]).collect();
    let (backend, _) = watched("", vec![told]);
    pass(SECOND * 61).await;
    assert_eq!(
        kept.count("2 entries are passed over (unreadable), the first of them: /a: no JSON"),
        1,
        "{:#?}",
        kept.lines()
    );
    assert_eq!(kept.count("1 entries are passed over (address), the first of them: /c: port 0"), 1);
    assert_eq!(kept.count("passed over"), 2, "{:#?}", kept.lines());
    let skipped = backend.state().discovery.unwrap().skipped;
    assert_eq!(skipped, BTreeMap::from([("unreadable".to_owned(), 2), ("address".to_owned(), 1)]));
}

#[tokio::test(start_paused = true)]
async fn of_sets_that_flap_the_newest_counts_and_few_are_taken() {
    let (kept, _guard) = Kept::begin();
    let mut flaps = Vec::new();
    for number in 0..1000 {
        flaps.extend([Tell(set(&[number % 2])), Wait(Duration::from_millis(1))]);
    }
    flaps.extend([Tell(set(&[2, 3])), Hold]);
    let (backend, _) = watched("", vec![flaps]);
    pass(SECOND * 2).await;
    assert_eq!(addresses(&backend), ["h2:1", "h3:1"]);
    assert!(kept.count("its endpoints have changed") <= 2, "{:#?}", kept.lines());
    // What is told just before a watch ends is taken as well.
    let (backend, _) = watched("", vec![vec![Tell(set(&[0])), Tell(set(&[1])), End("gone")], vec![Hold]]);
    pass(SECOND).await;
    assert_eq!(addresses(&backend), ["h1:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_is_begun_again_and_a_backend_that_goes_ends_it() {
    let (backend, begun) = watched("", vec![vec![Step::Panic], vec![Tell(set(&[0])), Hold]]);
    pass(SECOND).await;
    assert_eq!((addresses(&backend).len(), begun.load(Relaxed)), (1, 2));
    let provider = Arc::downgrade(&backend.discovery.as_ref().unwrap().provider);
    drop(backend);
    pass(SECOND).await;
    assert!(provider.upgrade().is_none(), "its task holds it no more");
}

#[tokio::test(start_paused = true)]
async fn after_a_reload_a_backend_begins_with_what_the_one_before_had() {
    let (before, _) = watched("", vec![vec![Tell(set(&[0, 1])), Hold]]);
    assert!(before.has_instances().await);
    let (after, _) = watched("balance = \"round-robin\"", vec![vec![End("away")]]);
    after.begin_with(&before);
    assert!(after.has_instances().await, "nobody waits");
    assert_eq!(addresses(&after), ["h0:1", "h1:1"]);
    assert!(after.call(outgoing(true, SECOND)).await.result.is_ok());
    assert_eq!(after.instances.count(crate::telemetry::EndpointHealth::Ready), 2);
}
