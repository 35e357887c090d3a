//! What a trace has of the calls of its request.

use super::kit::*;
use crate::{
    fanout::{Head, Instead, Session},
    model::{Code, Failure},
    observe::{GuestRun, Kept, RequestObserver, drawn, recorded},
};
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const CACHE: &str = "cache = { ttl = \"10s\", tags = [\"item:{id}\"] }";

/// A request that is recorded, with its guest's run.
struct Request {
    observer: Arc<RequestObserver>,
    run: GuestRun,
}

impl Request {
    fn new(kept: &Arc<Kept>, name: &'static str) -> Self {
        let (observer, _) = recorded(kept);
        let run = GuestRun::of(observer.recorder(), || (name.into(), "1".to_owned(), String::new()));
        Self { observer, run }
    }

    fn session(&self, bench: &Bench, subject: Option<&str>) -> Session {
        bench.observed(subject, SECOND, &self.observer)
    }
}

/// Without ids, without the server spans, which belong to the edge, what is said of guests, and times.
fn tree(kept: &Kept) -> Vec<String> {
    let spans: Vec<_> = kept.spans().into_iter().filter(|span| &*span.name != "HTTP").collect();
    let line = |line: String| without_times(&line.split(" faas.name").next().unwrap().replace("t.v1.Items/", ""));
    drawn(&spans).into_iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_alone_is_one_span_and_what_took_no_time_are_events_of_the_guest() {
    let bench = Bench::new(Fake::after(MS), CACHE);
    let kept = Arc::<Kept>::default();
    let request = Request::new(&kept, "one");
    let mut session = request.session(&bench, Some("ann"));
    all(&mut session, vec![head(GET, 1), head(GET, 1)]).await;
    all(&mut session, vec![head(GET, 1), head(GET, 1), head(7, 1)]).await;
    request.run.ended(None, None);
    drop((session, request.observer));
    let expected = [
        "A",
        "  one",
        "    * cache.hit method=GetItem calls=2",
        "    * call.refused calls=1 refused_by=grants",
        "    GetItem call.attempts=1",
    ];
    assert_eq!(tree(&kept), expected);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_span_with_links_to_each_request_that_shares_it() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let kept = Arc::<Kept>::default();
    let (slow, [one, two]) = (Arc::<RequestObserver>::default(), ["one", "two"].map(|name| Request::new(&kept, name)));
    // Two batches are out, so what comes next gathers.
    let mut out = bench.observed(None, SECOND, &slow);
    out.exchange((1..=200).map(|id| head(GET, id)).collect(), &[], Some(Duration::ZERO)).await;
    let mut sessions = [one.session(&bench, None), two.session(&bench, None)];
    for (place, session) in sessions.iter_mut().enumerate() {
        let ids = [1000 + place as u32, 2000];
        session.exchange(ids.map(|id| head(GET, id)).to_vec(), &[], Some(Duration::ZERO)).await;
    }
    for session in &mut sessions {
        while !session.exchange(Vec::new(), &[], None).await.completions.is_empty() {}
    }
    for request in [one, two] {
        request.run.ended(None, None);
    }
    drop((sessions, out));
    let expected = [
        "A",
        "  one",
        "    GetItem -> A/batch BatchGetItems",
        "      batch BatchGetItems batch.keys=3 batch.requests=2 call.attempts=1 -> A/GetItem -> B/GetItem",
        "B",
        "  two",
        "    * call.coalesced method=GetItem calls=1",
        "    GetItem -> A/batch BatchGetItems",
    ];
    assert_eq!(tree(&kept), expected);
}

fn without_times(line: &str) -> String {
    let is_time = |word: &&str| {
        !["..", "gathered_seconds", "load.trace_id", "load.span_id"].iter().any(|differs| word.contains(differs))
    };
    let indent = line.len() - line.trim_start().len();
    format!("{}{}", " ".repeat(indent), line.split_whitespace().filter(is_time).collect::<Vec<_>>().join(" "))
}

#[tokio::test(start_paused = true)]
async fn who_joins_late_has_a_call_span_of_its_own_that_leads_to_the_load() {
    let bench = Bench::new(Fake::after(MS), "");
    let kept = Arc::<Kept>::default();
    let (one, two) = (Request::new(&kept, "one"), Request::new(&kept, "two"));
    let mut first = one.session(&bench, None);
    first.exchange(vec![head(GET, 1)], &[], Some(MS / 2)).await;
    let mut second = two.session(&bench, None);
    all(&mut second, vec![head(GET, 1)]).await;
    first.exchange(Vec::new(), &[], None).await;
    for request in [one, two] {
        request.run.ended(None, None);
    }
    let expected = [
        "A",
        "  one",
        "    GetItem call.attempts=1",
        "B",
        "  two",
        "    * call.coalesced method=GetItem calls=1",
        "    GetItem call.origin=coalesced -> A/GetItem",
    ];
    drop((first, second));
    assert_eq!(tree(&kept), expected);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_recorded_if_one_of_its_requests_is_and_nobody_else_pays() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let kept = Arc::<Kept>::default();
    let one = Request::new(&kept, "one");
    let slow = Arc::<RequestObserver>::default();
    let mut out = bench.observed(None, SECOND, &slow);
    out.exchange((1..=200).map(|id| head(GET, id)).collect(), &[], Some(Duration::ZERO)).await;
    let (mut not_recorded, mut recorded) = (bench.session(None, SECOND), one.session(&bench, None));
    not_recorded.exchange(vec![head(GET, 1000)], &[], Some(Duration::ZERO)).await;
    recorded.exchange(vec![head(GET, 1001)], &[], None).await;
    not_recorded.exchange(Vec::new(), &[], None).await;
    let batch = kept.spans().into_iter().find(|span| span.name.starts_with("batch")).unwrap();
    let line = drawn(&[batch]).pop().unwrap();
    assert!(line.contains("batch.keys=2 batch.requests=2") && line.matches("->").count() == 1, "{line}");
}

#[tokio::test(start_paused = true)]
async fn links_over_the_bound_are_counted() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let kept = Arc::<Kept>::default();
    let slow = Arc::<RequestObserver>::default();
    let mut out = bench.observed(None, SECOND, &slow);
    out.exchange((1..=200).map(|id| head(GET, id)).collect(), &[], Some(Duration::ZERO)).await;
    let requests: Vec<_> = (0..150).map(|_| Request::new(&kept, "one")).collect();
    let mut sessions: Vec<_> = requests.iter().map(|request| request.session(&bench, None)).collect();
    for session in &mut sessions {
        session.exchange(vec![head(GET, 7000)], &[], Some(Duration::ZERO)).await;
    }
    // One more key, so that it is a batch.
    sessions[0].exchange(vec![head(GET, 7001)], &[], Some(Duration::ZERO)).await;
    for session in &mut sessions {
        session.exchange(Vec::new(), &[], None).await;
    }
    let batch = kept.spans().into_iter().find(|span| span.name.starts_with("batch")).unwrap();
    assert_eq!((batch.links.len(), batch.dropped_links), (128, 22));
}

#[tokio::test(start_paused = true)]
async fn failures_and_what_stands_in_for_them_are_told() {
    let down =
        Fake::new(|_| Box::pin(std::future::ready(Err(Failure::new(Code::Unavailable, "a secret of the backend")))));
    let bench = Bench::new(down, "");
    let kept = Arc::<Kept>::default();
    let request = Request::new(&kept, "one");
    let accepting = Head { instead: Instead { stale: false, default: true }, ..head(GET, 1) };
    all(&mut request.session(&bench, Some("ann")), vec![accepting]).await;
    request.run.ended(None, None);
    let expected = [
        "A",
        "  one",
        "    * degraded method=GetItem calls=1 degraded.how=fallback",
        "    GetItem call.attempts=1 error.type=UNAVAILABLE ERROR UNAVAILABLE",
    ];
    assert_eq!(tree(&kept), expected);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_waits_for_any_more_ends_as_cancelled() {
    let bench = Bench::new(Fake::after(SECOND / 2), "");
    let kept = Arc::<Kept>::default();
    let request = Request::new(&kept, "one");
    let mut session = request.session(&bench, Some("ann"));
    session.exchange(vec![head(GET, 1)], &[], Some(MS)).await;
    drop(session);
    request.run.ended(None, None);
    tokio::time::sleep(MS).await;
    let expected = [
        "A",
        "  one",
        "    * call.abandoned method=GetItem calls=1",
        "    GetItem error.type=CANCELLED ERROR CANCELLED",
    ];
    assert_eq!(tree(&kept), expected);
}
