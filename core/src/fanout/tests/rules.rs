//! One request: batches, deadlines, writes, stand-ins.

use super::kit::*;
use crate::{
    fanout::{Head, Instead},
    model::{Code, Failure},
    observe::{Degraded, Origin},
    telemetry::kept::Kept,
};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn gets(ids: impl IntoIterator<Item = u32>) -> Vec<Head> {
    ids.into_iter().map(|id| head(GET, id)).collect()
}

fn down() -> Fake {
    Fake::new(|_| Box::pin(std::future::ready(Err(Failure::new(Code::Unavailable, "down")))))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_gets_of_one_exchange_are_one_call_and_each_gets_its_own() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let done = all(&mut bench.session(None, SECOND), gets(1..=100)).await;
    assert!(done.iter().zip(1..).all(|(done, id)| done.text == format!("item {id}")));
    assert_eq!(bench.fake.batches(), [100]);
}

#[tokio::test(start_paused = true)]
async fn batches_are_cut_at_their_bounds_and_what_gathers_leaves_soon() {
    let bench = Bench::new(Fake::after(MS * 10), BATCH);
    let done = all(&mut bench.session(None, SECOND), gets(1..=250)).await;
    assert_eq!(done.len(), 250);
    assert_eq!(bench.fake.batches(), [100, 100, 50]);
    let small = Bench::new(Fake::after(MS), &BATCH.replace("max = 100", "max = 100, max-bytes = 64"));
    all(&mut small.session(None, SECOND), gets(1_000..1_040)).await;
    assert!(small.fake.seen().iter().all(|seen| seen.message.len() <= 64));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_batch_holds_nobody_up() {
    let fake = Fake::new(|seen| {
        let stalls = seen.message.len() > 50;
        let answer = answer(seen);
        Box::pin(async move {
            tokio::time::sleep(if stalls { SECOND * 3600 } else { MS }).await;
            answer
        })
    });
    let bench = Bench::new(fake, BATCH);
    let mut slow = bench.session(None, SECOND * 10);
    let mut other = bench.session(None, SECOND * 10);
    let stalled = slow.exchange(gets(1..=200), &[], None);
    let quick = async {
        tokio::time::sleep(MS).await;
        let since = Instant::now();
        let done = all(&mut other, gets(201..=203)).await;
        (done.len(), since.elapsed())
    };
    tokio::select! {
        (count, took) = quick => {
            assert_eq!(count, 3);
            assert!(took <= MS * 4, "{took:?}");
        }
        _ = stalled => panic!("the stalled calls can't be answered first"),
    }
}

#[tokio::test(start_paused = true)]
async fn only_requests_equal_but_for_the_key_share_a_batch_and_duplicates_take_one_place() {
    use prost::Message;
    let bench = Bench::new(Fake::after(MS), BATCH);
    let mut heads = gets([1, 2, 1, 2]);
    for (at, head) in heads.iter_mut().enumerate().take(2) {
        head.message = Id { id: at as u32 + 1, locale: "de".into() }.encode_to_vec().into();
    }
    all(&mut bench.session(None, SECOND), heads).await;
    let mut locales: Vec<_> = bench
        .fake
        .seen()
        .into_iter()
        .map(|seen| Ids::decode(seen.message).unwrap())
        .map(|ids| (ids.locale, ids.ids.len()))
        .collect();
    locales.sort();
    assert_eq!(locales, [(String::new(), 2), ("de".into(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_item_is_not_found_for_its_caller_alone() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let done = all(&mut bench.session(None, SECOND), gets([1, 2_000_000, 3])).await;
    let codes: Vec<_> = done.iter().map(|done| done.code).collect();
    assert_eq!(codes, [0, Code::NotFound as u32, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_atomic_batch_that_fails_because_of_one_item_is_tried_again_in_halves() {
    use prost::Message;
    let fake = Fake::new(|seen| {
        let bad = seen.method.ends_with("BatchGetItems")
            && Ids::decode(seen.message.clone()).unwrap().ids.contains(&2_000_000);
        let answer = if bad { Err(Failure::new(Code::NotFound, "2000000")) } else { answer(seen) };
        Box::pin(std::future::ready(answer))
    });
    let bench = Bench::new(fake, &BATCH.replace("\"omitted\"", "\"fails\""));
    let done = all(&mut bench.session(None, SECOND), gets((1..=15).chain([2_000_000]))).await;
    let failed: Vec<_> = done.iter().filter(|done| done.code != 0).map(|done| (done.ticket, done.code)).collect();
    assert_eq!(failed, [(15, Code::NotFound as u32)]);
    assert!(bench.fake.count() <= 1 + 2 * 4, "halves, not singles: {:?}", bench.fake.batches());
}

#[tokio::test(start_paused = true)]
async fn one_bad_key_fails_nobody_elses_call_whatever_the_rule_says() {
    use prost::Message;
    for code in [Code::InvalidArgument, Code::NotFound, Code::PermissionDenied, Code::OutOfRange] {
        let fake = Fake::new(move |seen| {
            let ids = match seen.method.ends_with("BatchGetItems") {
                true => Ids::decode(seen.message.clone()).unwrap().ids,
                false => vec![Id::decode(seen.message.clone()).unwrap().id],
            };
            let answer = if ids.contains(&13) { Err(Failure::new(code, "13")) } else { answer(seen) };
            Box::pin(async move {
                tokio::time::sleep(MS).await;
                answer
            })
        });
        let cache = "cache = { ttl = \"10s\", negative-ttl = \"10s\" }";
        let bench = Bench::new(fake, &format!("{BATCH}\n{cache}"));
        // Three batches gather in one queue; the last carries the calls of two strangers.
        let mut sessions: Vec<_> = (0..4).map(|_| bench.session(None, SECOND)).collect();
        let heads = [gets([1, 2]), gets([3, 4]), gets([13, 5]), gets([6, 7])];
        let asked = sessions.iter_mut().zip(heads).map(|(session, heads)| all(session, heads));
        let done: Vec<_> = futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        let failed: Vec<_> = done.iter().filter(|done| done.code != 0).map(|done| done.code).collect();
        assert_eq!((done.len(), failed), (8, vec![code as u32]), "{code}");
        let again = all(&mut bench.session(None, SECOND), gets([1, 5, 6])).await;
        assert!(again.iter().all(|done| (done.code, done.origin) == (0, Origin::Cache as u32)), "{code}: {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_cut_short_says_nothing_of_what_it_leaves_out() {
    use prost::Message;
    let fake = Fake::new(|seen| {
        let Ok(bytes) = answer(seen) else { return Box::pin(std::future::ready(answer(seen))) };
        let mut reply = bytes;
        if seen.method.ends_with("BatchGetItems") {
            let mut items = Items::decode(reply).unwrap();
            items.next_page_token = if items.items.len() > 3 { "more".to_owned() } else { String::new() };
            items.items.truncate(3);
            reply = items.encode_to_vec().into();
        }
        Box::pin(std::future::ready(Ok(reply)))
    });
    let bench = Bench::new(fake, BATCH);
    let done = all(&mut bench.session(None, SECOND), gets((1..=40).chain([2_000_000]))).await;
    let failed: Vec<_> = done.iter().filter(|done| done.code != 0).map(|done| (done.ticket, done.code)).collect();
    assert_eq!(failed, [(40, Code::NotFound as u32)]);
    assert!(bench.fake.batches().iter().skip(1).all(|keys| *keys <= 20), "{:?}", bench.fake.batches());
    let scrape = bench.engine.metrics.encode();
    assert!(scrape.contains("result=\"cut-short\""), "{scrape}");
}

/// A backend that spells keys its own way: what it was asked for is left out, and something else is there.
#[tokio::test(start_paused = true)]
async fn items_of_keys_that_were_not_asked_for_are_counted_and_told_once_a_minute() {
    use prost::Message;
    let fake = Fake::new(|seen| {
        let Ok(bytes) = answer(seen) else { return Box::pin(std::future::ready(answer(seen))) };
        let mut items = Items::decode(bytes).unwrap();
        items.items.iter_mut().filter(|item| item.id > 500).for_each(|item| item.id += 1_000);
        Box::pin(std::future::ready(Ok(items.encode_to_vec().into())))
    });
    let (kept, _guard) = Kept::begin();
    let bench = Bench::new(fake, BATCH);
    let counted = || {
        let scrape = bench.engine.metrics.encode();
        let line = scrape.lines().find(|line| line.contains("result=\"other-keys\"")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).unwrap_or(0)
    };
    let missing = || kept.count("it has items of other keys, which may be the same ones spelt otherwise");
    all(&mut bench.session(None, SECOND), gets([1, 2, 2_000_000])).await;
    assert_eq!((counted(), missing()), (0, 0), "nothing else is there");
    for _ in 0..3 {
        let done = all(&mut bench.session(None, SECOND), gets([1, 600, 700])).await;
        let codes: Vec<_> = done.iter().map(|done| done.code).collect();
        assert_eq!(codes, [0, Code::NotFound as u32, Code::NotFound as u32]);
    }
    assert_eq!((counted(), missing()), (3, 1), "{:#?}", kept.lines());
    let told = kept.lines().into_iter().find(|line| line["strays"] == 2).unwrap();
    assert_eq!((&told["level"], &told["method"]), (&"WARN".into(), &"t.v1.Items/GetItem".into()), "{told}");
    assert_eq!((&told["via"], &told["keys"]), (&"t.v1.Items/BatchGetItems".into(), &3.into()), "{told}");
    tokio::time::advance(SECOND * 60).await;
    all(&mut bench.session(None, SECOND), gets([600])).await;
    all(&mut bench.session(None, SECOND), gets([600, 700])).await;
    assert_eq!((counted(), missing()), (4, 2), "one key alone is no batch: {:#?}", kept.lines());
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_reply_does_not_tell_is_asked_for_one_by_one() {
    use prost::Message;
    let twice = Items { items: vec![item(1).unwrap(), Item { id: 1, text: "another".into() }], ..Items::default() };
    for bad in [b"\x0a\xff".to_vec(), twice.encode_to_vec()] {
        let fake = Fake::new(move |seen| {
            let is_batch = seen.method.ends_with("BatchGetItems");
            let answer = if is_batch { Ok(bad.clone().into()) } else { answer(seen) };
            Box::pin(std::future::ready(answer))
        });
        let bench = Bench::new(fake, BATCH);
        let done = all(&mut bench.session(None, SECOND), gets([1, 2, 2_000_000])).await;
        let told: Vec<_> = done.iter().map(|done| (done.code, done.text.as_str())).collect();
        assert_eq!(told, [(0, "item 1"), (0, "item 2"), (Code::NotFound as u32, "")]);
        assert_eq!((bench.fake.batches(), bench.fake.count()), (vec![3], 4), "once, and each alone once");
        assert!(bench.engine.metrics.encode().contains("result=\"unsplittable\""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_can_not_be_split_into_calls_that_fail_fails_each_of_them() {
    let bench =
        Bench::new(Fake::new(|_| Box::pin(std::future::ready(Err(Failure::new(Code::Internal, "bad"))))), BATCH);
    let done = all(&mut bench.session(None, SECOND), gets([1, 2])).await;
    assert!(done.iter().all(|done| done.code == Code::Internal as u32));
    assert_eq!(bench.fake.count(), 1, "an error is an answer");
}

#[tokio::test(start_paused = true)]
async fn two_equal_writes_are_two_calls_and_travel_alone() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let done = all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 7), head(SET, 7)]).await;
    assert!(done.iter().all(|done| done.code == 0 && done.origin == Origin::Upstream as u32));
    assert_eq!(bench.fake.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_not_granted_never_leaves() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let done = all(&mut bench.session(None, SECOND), vec![head(99, 1), head(u32::MAX, 1)]).await;
    assert!(done.iter().all(|done| done.code == Code::PermissionDenied as u32));
    assert_eq!(bench.fake.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_end_at_their_own_time_and_cancel_what_nobody_waits_for() {
    let bench = Bench::new(Fake::after(SECOND * 100), "timeout = \"300ms\"");
    let since = Instant::now();
    let mut session = bench.session(None, SECOND * 10);
    let heads = vec![Head { timeout: Some(MS * 50), ..head(GET, 1) }, head(GET, 2)];
    let first = read(&session.exchange(heads, &[], None).await);
    assert_eq!((first[0].ticket, first[0].code, since.elapsed()), (0, Code::DeadlineExceeded as u32, MS * 50));
    let second = read(&session.exchange(Vec::new(), &[], None).await);
    assert_eq!((second[0].ticket, since.elapsed()), (1, MS * 300));
    tokio::time::sleep(MS).await;
    assert_eq!(bench.engine.loads_under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_ticket_is_never_delivered_and_its_load_is_cancelled() {
    let bench = Bench::new(Fake::after(MS * 10), "");
    let mut session = bench.session(None, SECOND);
    assert!(session.exchange(vec![head(GET, 1), head(GET, 2)], &[], Some(MS)).await.completions.is_empty());
    let done = read(&session.exchange(Vec::new(), &[0, 0, 77], None).await);
    assert_eq!(done.iter().map(|done| done.ticket).collect::<Vec<_>>(), [1]);
    assert!(session.exchange(Vec::new(), &[], None).await.completions.is_empty(), "nothing is left to wait for");
    assert_eq!(bench.fake.ended(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_waits_no_longer_than_it_is_told() {
    let bench = Bench::new(Fake::after(SECOND), "");
    let mut session = bench.session(None, SECOND * 10);
    let since = Instant::now();
    assert!(session.exchange(vec![head(GET, 1)], &[], Some(MS * 20)).await.completions.is_empty());
    assert_eq!(since.elapsed(), MS * 20);
    assert!(session.exchange(Vec::new(), &[], Some(MS * 5)).await.completions.is_empty());
    assert_eq!(since.elapsed(), MS * 25);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_replaced_by_what_is_there_and_the_request_knows_it() {
    let manifest = "[fallback.\"t.v1.Items/GetItem\"]\nvalue = '{ \"text\": \"fallback\" }'\n";
    let bench = Bench::with_manifest(down(), "", manifest);
    let (mut session, observer) = bench.counted(Some("ann"), SECOND);
    let empty = Head { instead: Instead { default: true, stale: true }, ..head(MINE, 1) };
    let done = all(&mut session, vec![head(GET, 1), empty, head(MINE, 2)]).await;
    let seen: Vec<_> = done.iter().map(|done| (done.code, done.origin, done.text.as_str())).collect();
    assert_eq!(seen, [(0, 4, "fallback"), (0, 4, ""), (Code::Unavailable as u32, 0, "")]);
    let degraded: Vec<_> =
        observer.stats().degraded().into_iter().map(|(method, how)| (method.to_string(), how)).collect();
    let (get, mine) = ("t.v1.Items/GetItem".to_owned(), "t.v1.Items/GetMine".to_owned());
    assert_eq!(degraded, [(get, Degraded::Fallback), (mine.clone(), Degraded::Fallback), (mine, Degraded::Failed)]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_item_is_no_failure_to_stand_in_for() {
    let manifest = "[fallback.\"t.v1.Items/GetItem\"]\nvalue = '{}'\n";
    let bench = Bench::with_manifest(Fake::after(MS), "", manifest);
    let (mut session, observer) = bench.counted(None, SECOND);
    let done = all(&mut session, vec![head(GET, 2_000_000)]).await;
    assert_eq!(done[0].code, Code::NotFound as u32);
    assert!(observer.stats().degraded().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_bound_on_calls_refuses_what_is_above_it() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    let mut session = bench.session(None, SECOND);
    let done = all(&mut session, gets(0..100_001)).await;
    let refused: Vec<_> =
        done.iter().filter(|done| done.code == Code::ResourceExhausted as u32).map(|done| done.ticket).collect();
    assert_eq!(refused, [100_000]);
}
