//! Many requests: who shares a load or a reply with whom, and what a write does to what was shared.

use super::kit::*;
use crate::{
    fanout::{Head, Instead},
    model::{Code, Failure},
    observe::{Degraded, Origin},
};
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const CACHE: &str = "cache = { ttl = \"10s\", negative-ttl = \"2s\", stale-while-revalidate = \"20s\", stale-if-error = \"60s\", tags = [\"item:{id}\"] }";

/// Answers honestly while it is up, and with the nth version of each item.
fn switchable() -> (Fake, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(true));
    let (switch, version) = (up.clone(), Arc::new(AtomicUsize::new(0)));
    let fake = Fake::new(move |_| {
        let nth = version.fetch_add(1, SeqCst);
        let result = if switch.load(SeqCst) {
            use prost::Message;
            Ok(Bytes::from(Item { id: 1, text: format!("v{nth}") }.encode_to_vec()))
        } else {
            Err(Failure::new(Code::Unavailable, "down"))
        };
        Box::pin(async move {
            tokio::time::sleep(MS).await;
            result
        })
    });
    (fake, up)
}

async fn get(bench: &Bench, heads: Vec<Head>) -> Vec<Done> {
    all(&mut bench.session(None, SECOND), heads).await
}

async fn one(bench: &Bench) -> (u32, String) {
    let done = get(bench, vec![head(GET, 1)]).await;
    (done[0].origin, done[0].text.clone())
}

#[tokio::test(start_paused = true)]
async fn equal_calls_of_many_requests_are_one_load() {
    let bench = Bench::new(Fake::after(MS * 10), "");
    let mut sessions: Vec<_> = (0..50).map(|_| bench.session(None, SECOND)).collect();
    let done =
        futures_util::future::join_all(sessions.iter_mut().map(|session| all(session, vec![head(GET, 7)]))).await;
    assert!(done.iter().all(|done| done[0].text == "item 7"));
    assert_eq!(bench.fake.count(), 1);
    assert_eq!(done.iter().filter(|done| done[0].origin == Origin::Coalesced as u32).count(), 49);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_costs_nobody_the_answer_and_the_last_one_ends_the_load() {
    let bench = Bench::new(Fake::after(MS * 10), "");
    let (mut leader, mut follower) = (bench.session(None, SECOND), bench.session(None, SECOND));
    assert!(leader.exchange(vec![head(GET, 7)], &[], Some(MS)).await.completions.is_empty());
    assert!(follower.exchange(vec![head(GET, 7)], &[], Some(MS)).await.completions.is_empty());
    drop(leader);
    let done = read(&follower.exchange(Vec::new(), &[], None).await);
    assert_eq!((done[0].text.as_str(), bench.fake.count()), ("item 7", 1));

    let mut last = bench.session(None, SECOND);
    last.exchange(vec![head(GET, 8)], &[], Some(MS)).await;
    drop(last);
    tokio::time::sleep(SECOND).await;
    assert_eq!((bench.fake.ended(), bench.engine.loads_under_way()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_panics_is_an_answer_too() {
    let bench = Bench::new(Fake::new(|_| Box::pin(async { panic!("a bug") })), BATCH);
    let done = get(&bench, vec![head(GET, 1), head(GET, 2), head(MINE, 3)]).await;
    assert_eq!(done[0].code, Code::Internal as u32);
    assert_eq!(done[1].code, Code::Internal as u32);
}

#[tokio::test(start_paused = true)]
async fn principals_share_nothing_and_a_public_load_carries_nobodys_token() {
    let bench = Bench::new(Fake::after(MS * 10), BATCH);
    let (mut ann, mut bob, mut nobody) =
        (bench.session(Some("ann"), SECOND), bench.session(Some("bob"), SECOND), bench.session(None, SECOND));
    let heads = || vec![head(MINE, 1), head(GET, 1), head(GET, 2)];
    tokio::join!(all(&mut ann, heads()), all(&mut bob, heads()), all(&mut nobody, heads()));
    let seen = bench.fake.seen();
    let text = |seen: &Seen, name: &str| {
        seen.metadata.get(name).map_or("-".to_owned(), |value| value.to_str().unwrap().to_owned())
    };
    let mut mine: Vec<_> = seen
        .iter()
        .filter(|seen| seen.method.ends_with("GetMine"))
        .map(|seen| (text(seen, "x-subject"), text(seen, "authorization")))
        .collect();
    mine.sort();
    let expected = [("-", "-"), ("ann", "Bearer token-of-ann"), ("bob", "Bearer token-of-bob")];
    assert_eq!(mine, expected.map(|(subject, token)| (subject.to_owned(), token.to_owned())));
    assert!(
        seen.iter()
            .filter(|seen| !seen.method.ends_with("GetMine"))
            .all(|seen| text(seen, "authorization") == "-" && text(seen, "x-subject") == "-")
    );
    assert_eq!(bench.fake.batches(), [2], "the public ones were one batch for all three");

    let again = all(&mut bench.session(Some("ann"), SECOND), vec![head(MINE, 1)]).await;
    assert_eq!(again[0].origin, Origin::Cache as u32, "her own reply is hers again");
    let other = all(&mut bench.session(Some("eve"), SECOND), vec![head(MINE, 1)]).await;
    assert_eq!(other[0].origin, Origin::Upstream as u32);
}

#[tokio::test(start_paused = true)]
async fn equal_calls_of_one_exchange_are_one_load_and_each_may_be_cancelled() {
    let bench = Bench::new(Fake::after(MS * 10), CACHE);
    let (mut session, observer) = bench.counted(None, SECOND);
    let calls = [7, 8, 7, 7, 8].map(|id| head(GET, id));
    assert!(session.exchange(calls.to_vec(), &[], Some(MS)).await.completions.is_empty());
    // The first of the sevens goes, and both eights.
    let mut done = read(&session.exchange(Vec::new(), &[0, 1, 4], None).await);
    done.sort_by_key(|done| done.ticket);
    let told: Vec<_> = done.iter().map(|done| (done.ticket, done.text.as_str())).collect();
    assert_eq!((told, bench.fake.count(), bench.fake.ended()), (vec![(2, "item 7"), (3, "item 7")], 2, 1));
    assert_eq!((observer.stats().calls(), bench.engine.loads_under_way()), (5, 0));

    let done = get(&bench, vec![head(GET, 7), head(GET, 7)]).await;
    assert!(done.iter().all(|done| done.origin == Origin::Cache as u32 && done.text == "item 7"));
}

#[tokio::test(start_paused = true)]
async fn only_misses_travel() {
    let bench = Bench::new(Fake::after(MS), &format!("{BATCH}\n{CACHE}"));
    get(&bench, (1..=10).map(|id| head(GET, id)).collect()).await;
    let done = get(&bench, (6..=15).map(|id| head(GET, id)).collect()).await;
    assert_eq!(done.iter().filter(|done| done.origin == Origin::Cache as u32).count(), 5);
    assert_eq!(bench.fake.batches(), [10, 5]);
    get(&bench, vec![head(GET, 2_000_000), head(GET, 2_000_001)]).await;
    get(&bench, vec![head(GET, 2_000_000), head(GET, 2_000_001)]).await;
    assert_eq!(bench.fake.count(), 3, "what is not there is remembered too");
}

#[tokio::test(start_paused = true)]
async fn an_old_reply_is_served_while_one_refresh_runs() {
    let (fake, _) = switchable();
    let bench = Bench::new(fake, CACHE);
    assert_eq!(one(&bench).await, (0, "v0".into()));
    tokio::time::advance(SECOND * 11).await;
    for _ in 0..20 {
        assert_eq!(one(&bench).await, (Origin::Stale as u32, "v0".into()));
    }
    tokio::time::sleep(MS * 5).await;
    assert_eq!(one(&bench).await, (Origin::Cache as u32, "v1".into()));
    assert_eq!(bench.fake.count(), 2, "twenty hits were one refresh");
}

#[tokio::test(start_paused = true)]
async fn an_old_reply_stands_in_for_a_failure_for_its_time() {
    let (fake, up) = switchable();
    let bench = Bench::new(fake, CACHE);
    one(&bench).await;
    up.store(false, SeqCst);
    tokio::time::advance(SECOND * 40).await;
    let (mut session, observer) = bench.counted(None, SECOND);
    let done = all(&mut session, vec![head(GET, 1)]).await;
    assert_eq!((done[0].origin, done[0].text.as_str()), (Origin::Stale as u32, "v0"));
    assert_eq!(observer.stats().degraded()[0].1, Degraded::Stale);
    tokio::time::advance(SECOND * 60).await;
    assert_eq!(get(&bench, vec![head(GET, 1)]).await[0].code, Code::Unavailable as u32);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_may_prefer_an_old_reply_to_none() {
    let (fake, up) = switchable();
    let bench = Bench::new(fake, "cache = { ttl = \"10s\" }");
    one(&bench).await;
    up.store(false, SeqCst);
    tokio::time::advance(SECOND * 15).await;
    let stale = Head { instead: Instead { stale: true, default: false }, ..head(GET, 1) };
    let done = get(&bench, vec![stale, head(GET, 1)]).await;
    assert_eq!((done[0].code, done[0].origin, done[1].code), (0, Origin::Stale as u32, Code::Unavailable as u32));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_went_well_invalidates_what_it_names() {
    let (fake, _) = switchable();
    let bench = Bench::new(fake, CACHE);
    one(&bench).await;
    let write = || async { all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 1)]).await };
    all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 2)]).await;
    assert_eq!(one(&bench).await.0, Origin::Cache as u32, "another item's tag");
    write().await;
    assert_eq!(one(&bench).await.0, Origin::Upstream as u32);
}
