//! What a request's listeners hear of its calls, event by event.

use super::kit::*;
use crate::{
    fanout::{Head, Instead},
    model::{Code, Failure},
    observe::{RefusedBy, RequestObserver, written},
};
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const CACHE: &str = "cache = { ttl = \"10s\", negative-ttl = \"10s\", tags = [\"item:{id}\"] }";

async fn run(bench: &Bench, observer: &Arc<RequestObserver>, heads: Vec<Head>) {
    all(&mut bench.observed(Some("ann"), SECOND, observer), heads).await;
}

#[tokio::test(start_paused = true)]
async fn calls_of_an_exchange_are_told_from_their_batch_to_their_end_in_order() {
    let bench = Bench::new(Fake::after(MS), &format!("{CACHE}\n{BATCH}"));
    let (observer, heard) = written();
    run(&bench, &observer, vec![head(GET, 1), head(GET, 2), head(GET, 1)]).await;
    let expected = [
        "asked: 3 calls, depth 1",
        "looked up: GetItem miss",
        "looked up: GetItem miss",
        "left: BatchGetItems 2 keys for 1 requests",
        "back: BatchGetItems OK after 1 attempts, sent",
        "ended: GetItem Some((0, 1))+1 upstream OK",
        "ended: GetItem Some((1, 1))+0 upstream OK",
    ];
    assert_eq!(heard(), expected);
    run(&bench, &observer, vec![head(GET, 2), head(GET, 2)]).await;
    let expected = [
        "asked: 2 calls, depth 1",
        "looked up: GetItem hit",
        "ended: GetItem Some((0, 1))+0 cache OK",
        "ended: GetItem None+1 cache OK",
    ];
    assert_eq!(heard(), expected);
    assert_eq!((observer.stats().calls(), observer.stats().upstream(), observer.stats().cached()), (5, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_joined_is_told_to_both_and_its_call_to_those_who_waited_when_it_left() {
    let bench = Bench::new(Fake::after(MS), "");
    let ((first, heard), (second, also_heard)) = (written(), written());
    let mut session = bench.observed(None, SECOND, &first);
    session.exchange(vec![head(GET, 1)], &[], Some(MS / 2)).await;
    run(&bench, &second, vec![head(GET, 1)]).await;
    session.exchange(Vec::new(), &[], None).await;
    let of_first = [
        "asked: 1 calls, depth 1",
        "left: GetItem 1 keys for 1 requests",
        "back: GetItem OK after 1 attempts, sent",
        "ended: GetItem Some((0, 1))+0 upstream OK",
    ];
    assert_eq!(heard(), of_first);
    let of_second = ["asked: 1 calls, depth 1", "joined: GetItem", "ended: GetItem Some((0, 1))+0 coalesced OK"];
    assert_eq!(also_heard(), of_second);
}

#[tokio::test(start_paused = true)]
async fn failures_stand_ins_and_refusals_are_told() {
    let down = Fake::new(|_| Box::pin(std::future::ready(Err(Failure::new(Code::Unavailable, "down")))));
    let bench = Bench::new(down, "");
    let (observer, heard) = written();
    let accepting = Head { instead: Instead { stale: false, default: true }, ..head(GET, 1) };
    run(&bench, &observer, vec![accepting]).await;
    let expected = [
        "asked: 1 calls, depth 1",
        "left: GetItem 1 keys for 1 requests",
        "back: GetItem UNAVAILABLE after 1 attempts, sent",
        "degraded: GetItem fallback",
        "ended: GetItem Some((0, 1))+0 fallback OK",
    ];
    assert_eq!(heard(), expected);
    bench.fake.tells(0, Some(RefusedBy::Throttle));
    run(&bench, &observer, vec![head(SET, 1), head(7, 1)]).await;
    let expected = [
        "asked: 2 calls, depth 1",
        "ended: ? Some((1, 1))+0 refused PERMISSION_DENIED",
        "left: SetItem 1 keys for 1 requests",
        "back: SetItem UNAVAILABLE after 0 attempts, throttle",
        "degraded: SetItem failed",
        "ended: SetItem Some((0, 1))+0 refused UNAVAILABLE",
    ];
    assert_eq!(heard(), expected);
}

#[tokio::test(start_paused = true)]
async fn calls_that_a_request_leaves_behind_are_told() {
    let bench = Bench::new(Fake::after(MS), "");
    let (observer, heard) = written();
    let mut session = bench.observed(Some("ann"), SECOND, &observer);
    session.exchange(vec![head(SET, 1), head(GET, 1), head(GET, 1)], &[], Some(MS / 2)).await;
    drop(session);
    let expected = [
        "asked: 3 calls, depth 1",
        "left: SetItem 1 keys for 1 requests",
        "left: GetItem 1 keys for 1 requests",
        "abandoned: SetItem 1",
        "abandoned: GetItem 2",
    ];
    assert_eq!(heard(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_for_many_requests_is_told_to_each_of_them_once() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let (slow, others) = (written().0, [written(), written()]);
    // Two batches are out, so what comes next gathers.
    let mut out = bench.observed(None, SECOND, &slow);
    out.exchange((1..=200).map(|id| head(GET, id)).collect(), &[], Some(Duration::ZERO)).await;
    let mut sessions = others.each_ref().map(|(observer, _)| bench.observed(None, SECOND, observer));
    for (place, session) in sessions.iter_mut().enumerate() {
        let ids = [1000 + place as u32, 2000, 2001];
        session.exchange(ids.map(|id| head(GET, id)).to_vec(), &[], Some(Duration::ZERO)).await;
    }
    for session in &mut sessions {
        while !session.exchange(Vec::new(), &[], None).await.completions.is_empty() {}
    }
    for (_, heard) in &others {
        let lines = heard();
        let calls = lines.iter().filter(|line| line.starts_with("left") || line.starts_with("back"));
        let expected = ["left: BatchGetItems 4 keys for 2 requests", "back: BatchGetItems OK after 1 attempts, sent"];
        assert_eq!(calls.collect::<Vec<_>>(), expected, "{lines:?}");
    }
}
