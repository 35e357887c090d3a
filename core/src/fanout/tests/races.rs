//! Loads that are joined: by whom, and for how long.

use super::kit::*;
use crate::{
    fanout::Head,
    model::Code,
    observe::{Origin, RefusedBy},
};
use bytes::Bytes;
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const CACHE: &str = "cache = { ttl = \"10s\", stale-if-error = \"60s\", tags = [\"item:{id}\"] }";

/// Reads say how many writes had been done when they began, and take a while; a write takes a moment.
fn versioned() -> Fake {
    let writes = Arc::new(AtomicUsize::new(0));
    Fake::new(move |seen| {
        let is_write = seen.method.ends_with("SetItem");
        let version = writes.fetch_add(is_write.into(), SeqCst);
        let reply = Item { id: 1, text: format!("v{version}") }.encode_to_vec();
        Box::pin(async move {
            tokio::time::sleep(if is_write { MS } else { MS * 50 }).await;
            Ok(Bytes::from(reply))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn who_comes_after_a_write_does_not_join_a_load_that_began_before_it() {
    let bench = Bench::new(versioned(), CACHE);
    let mut before = bench.session(None, SECOND);
    before.exchange(vec![head(GET, 1)], &[], Some(MS * 10)).await;
    all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 1)]).await;
    let (mut after, mut later) = (bench.session(None, SECOND), bench.session(None, SECOND));
    let (after, later) = tokio::join!(all(&mut after, vec![head(GET, 1)]), all(&mut later, vec![head(GET, 1)]));
    assert_eq!((after[0].text.as_str(), later[0].text.as_str()), ("v1", "v1"));
    assert_eq!(
        read(&before.exchange(Vec::new(), &[], None).await)[0].text,
        "v0",
        "who came before may have the old one"
    );
    assert_eq!(bench.fake.count(), 3, "those who come after share a load among themselves");
    let kept = all(&mut bench.session(None, SECOND), vec![head(GET, 1)]).await;
    assert_eq!((kept[0].text.as_str(), kept[0].origin), ("v1", Origin::Cache as u32));

    let other = bench.session(None, SECOND).exchange(vec![head(GET, 2)], &[], Some(MS)).await;
    assert!(other.completions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_written_joins_no_older_load_even_where_nothing_is_declared() {
    let bench = Bench::new(versioned(), "");
    let mut before = bench.session(None, SECOND);
    before.exchange(vec![head(GET, 1)], &[], Some(MS * 10)).await;
    let mut session = bench.session(Some("ann"), SECOND);
    all(&mut session, vec![head(SET, 7)]).await;
    assert_eq!(all_of(&mut session, head(GET, 1)).await, "v1");
}

async fn all_of(session: &mut crate::fanout::Session, head: Head) -> String {
    read(&session.exchange(vec![head], &[], None).await)[0].text.clone()
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_load_does_not_fail_with_the_hurry_of_who_began_it() {
    for rules in ["", BATCH] {
        let bench = Bench::new(Fake::after(MS * 50), rules);
        let (mut hasty, mut patient) = (bench.session(None, SECOND), bench.session(None, SECOND));
        let soon = |id| Head { timeout: Some(MS * 20), ..head(GET, id) };
        let since = Instant::now();
        hasty.exchange(vec![soon(1), soon(2)], &[], Some(MS * 10)).await;
        let (late, waited) =
            tokio::join!(hasty.exchange(Vec::new(), &[], None), all(&mut patient, vec![head(GET, 1), head(GET, 2)]));
        assert_eq!(waited.iter().map(|done| done.text.as_str()).collect::<Vec<_>>(), ["item 1", "item 2"], "{rules}");
        assert!(waited.iter().all(|done| done.origin == Origin::Coalesced as u32), "{rules}");
        assert_eq!((since.elapsed(), bench.fake.count()), (MS * 50, if rules.is_empty() { 2 } else { 1 }), "{rules}");
        let late = read(&late);
        assert!(late.len() == 2 && late.iter().all(|done| done.code == Code::DeadlineExceeded as u32), "{late:?}");
    }
}

/// The first read hangs; later ones are quick.
fn hangs_once() -> Fake {
    let calls = AtomicUsize::new(0);
    Fake::new(move |seen| {
        let is_first = calls.fetch_add(1, SeqCst) == 0;
        let answer = answer(seen);
        Box::pin(async move {
            tokio::time::sleep(if is_first { SECOND * 3600 } else { MS }).await;
            answer
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_load_with_little_of_its_time_left_is_not_joined() {
    let bench = Bench::new(hangs_once(), "timeout = \"300ms\"");
    let (mut first, mut early, mut late) =
        (bench.session(None, SECOND), bench.session(None, SECOND), bench.session(None, SECOND));
    first.exchange(vec![head(GET, 1)], &[], Some(MS * 100)).await;
    early.exchange(vec![head(GET, 1)], &[], Some(MS * 100)).await;
    assert_eq!(bench.fake.count(), 1, "one that has most of its time left is");
    assert_eq!(all(&mut late, vec![head(GET, 1)]).await[0].text, "item 1");
    assert_eq!(bench.fake.count(), 2);
    let hung = read(&first.exchange(Vec::new(), &[], None).await);
    assert_eq!(hung[0].code, Code::DeadlineExceeded as u32);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_outlives_its_callers_time_is_kept_for_the_next_one() {
    let bench = Bench::new(Fake::after(MS * 50), CACHE);
    let soon = Head { timeout: Some(MS * 20), ..head(GET, 1) };
    let done = all(&mut bench.session(None, SECOND), vec![soon]).await;
    assert_eq!(done[0].code, Code::DeadlineExceeded as u32);
    assert_eq!((bench.engine.loads_under_way(), bench.fake.ended()), (1, 0));
    tokio::time::sleep(MS * 31).await;
    let next = all(&mut bench.session(None, SECOND), vec![head(GET, 1)]).await;
    assert_eq!((next[0].origin, bench.fake.count()), (Origin::Cache as u32, 1));

    let mut gone = bench.session(None, SECOND);
    gone.exchange(vec![head(GET, 2)], &[], Some(MS)).await;
    drop(gone);
    tokio::task::yield_now().await;
    assert_eq!(bench.engine.loads_under_way(), 0, "whoever gives up in time ends the load");
}

#[tokio::test(start_paused = true)]
async fn an_old_reply_stands_in_for_one_that_does_not_come_in_the_callers_time() {
    let calls = Arc::new(AtomicUsize::new(0));
    let fake = Fake::new(move |seen| {
        let hangs = calls.fetch_add(1, SeqCst) > 0;
        let answer = answer(seen);
        Box::pin(async move {
            tokio::time::sleep(if hangs { SECOND * 3600 } else { MS }).await;
            answer
        })
    });
    let bench = Bench::new(fake, CACHE);
    all(&mut bench.session(None, SECOND), vec![head(GET, 1)]).await;
    tokio::time::advance(SECOND * 11).await;
    let soon = Head { timeout: Some(MS * 20), ..head(GET, 1) };
    let done = all(&mut bench.session(None, SECOND), vec![soon, head(GET, 1)]).await;
    assert!(done.iter().all(|done| (done.code, done.origin) == (0, Origin::Stale as u32)), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_of_both_kinds_do_not_lose_one_another() {
    use crate::fanout::JsonOrProto;
    let bench = Bench::new(Fake::after(MS), "");
    let mut session = bench.session(None, SECOND);
    // These end while the whole batch waits for its own.
    session.exchange(vec![head(GET, 1), head(GET, 2)], &[], Some(Duration::ZERO)).await;
    let message = |id| JsonOrProto::Proto(head(GET, id).message);
    let calls = [3, 4].map(|id| ("t.v1.Items/GetItem".to_owned(), message(id), None));
    let whole = session.call_batch(calls.to_vec()).await;
    let text = |bytes: &Bytes| Item::decode(bytes.clone()).unwrap().text;
    let whole: Vec<_> = whole.iter().map(|outcome| text(outcome.result.as_ref().unwrap())).collect();
    assert_eq!(whole, ["item 3", "item 4"]);
    // Their tickets are the guest's own count, which knows nothing of the batch.
    let done = all(&mut session, vec![head(GET, 5)]).await;
    let mut all_done = done.clone();
    while all_done.len() < 3 {
        all_done.extend(read(&session.exchange(Vec::new(), &[], None).await));
    }
    all_done.sort_by_key(|done| done.ticket);
    let told: Vec<_> = all_done.iter().map(|done| (done.ticket, done.text.as_str())).collect();
    assert_eq!(told, [(0, "item 1"), (1, "item 2"), (2, "item 5")]);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_here_is_told_as_that_and_retries_are_counted() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    bench.fake.tells(3, None);
    let (mut session, observer) = bench.counted(Some("ann"), SECOND);
    all(&mut session, vec![head(GET, 1), head(GET, 2), head(SET, 1)]).await;
    let stats = observer.stats();
    assert_eq!((stats.upstream(), stats.retries(), stats.refused()), (2, 4, 0));

    bench.fake.tells(0, Some(RefusedBy::Throttle));
    let (mut session, observer) = bench.counted(None, SECOND);
    all(&mut session, vec![head(GET, 2_000_001), head(MINE, 2_000_002), head(99, 1)]).await;
    let stats = observer.stats();
    assert_eq!((stats.upstream(), stats.retries(), stats.refused()), (0, 0, 3));
    let told = observer.explanation().unwrap();
    let calls: Vec<_> =
        told["calls"].as_array().unwrap().iter().map(|call| (&call["origin"], &call["refused_by"])).collect();
    assert!(calls.iter().all(|(origin, by)| **origin == "refused" && **by == "throttle") && calls.len() == 2, "{told}");
    assert!(told["waterfall"][0].as_str().unwrap().contains("(refused by the throttle"), "{told}");
}
