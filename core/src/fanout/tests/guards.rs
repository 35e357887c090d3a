//! Whatever happens in the task of a call, who waits for it is told, and what it may have changed is true no more.

use super::kit::*;
use crate::{
    fanout::Session,
    model::{Code, Failure},
    observe::{Origin, RefusedBy},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{runtime, time::Instant};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const CACHE: &str = "cache = { ttl = \"10s\", tags = [\"item:{id}\"] }";

/// Answers reads; a write ends as this does.
fn writes<F: Future<Output = Failure> + Send + 'static>(end: impl Fn() -> F + Send + Sync + 'static) -> Fake {
    Fake::new(move |seen| {
        if !seen.method.ends_with("SetItem") {
            return Box::pin(std::future::ready(answer(seen)));
        }
        let end = end();
        Box::pin(async move { Err(end.await) })
    })
}

async fn origin(bench: &Bench) -> u32 {
    all(&mut bench.session(None, SECOND), vec![head(GET, 1)]).await[0].origin
}

const UPSTREAM: u32 = Origin::Upstream as u32;
const CACHED: u32 = Origin::Cache as u32;

#[tokio::test(start_paused = true)]
async fn a_write_whose_task_panics_is_answered_at_once_and_may_have_been_done() {
    let bench = Bench::new(writes(|| async { panic!("a bug of a library") }), CACHE);
    assert_eq!((origin(&bench).await, origin(&bench).await), (UPSTREAM, CACHED));
    let since = Instant::now();
    let done = all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 1), head(SET, 2)]).await;
    assert!(done.iter().all(|done| done.code == Code::Internal as u32), "{done:?}");
    assert_eq!(since.elapsed(), Duration::ZERO, "nobody waits for a deadline");
    assert_eq!(origin(&bench).await, UPSTREAM);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_given_up_may_have_been_done() {
    let bench = Bench::new(writes(std::future::pending), CACHE);
    origin(&bench).await;
    let mut session = bench.session(Some("ann"), SECOND);
    session.exchange(vec![head(SET, 1)], &[], Some(MS)).await;
    assert_eq!(origin(&bench).await, CACHED, "nothing is known of it yet");
    drop(session);
    tokio::task::yield_now().await;
    assert_eq!(origin(&bench).await, UPSTREAM);

    let mut late = bench.session(Some("ann"), SECOND);
    assert_eq!(all(&mut late, vec![head(SET, 1)]).await[0].code, Code::DeadlineExceeded as u32);
    tokio::time::sleep(MS).await;
    assert_eq!(origin(&bench).await, UPSTREAM);
}

#[tokio::test(start_paused = true)]
async fn a_write_of_which_the_backend_says_that_it_was_not_done_changes_nothing() {
    for code in [Code::FailedPrecondition, Code::NotFound, Code::PermissionDenied, Code::Aborted] {
        let bench = Bench::new(writes(move || async move { Failure::new(code, "no") }), CACHE);
        origin(&bench).await;
        all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 1)]).await;
        assert_eq!(origin(&bench).await, CACHED, "{code}");
    }
    let open =
        [Code::Internal, Code::Unknown, Code::DataLoss, Code::Cancelled, Code::Unavailable, Code::ResourceExhausted];
    for code in open {
        let bench = Bench::new(writes(move || async move { Failure::new(code, "who knows") }), CACHE);
        origin(&bench).await;
        all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 1)]).await;
        assert_eq!(origin(&bench).await, UPSTREAM, "{code}");
        for refused_by in [Some(RefusedBy::Throttle), None] {
            bench.fake.tells(0, refused_by);
            all(&mut bench.session(Some("ann"), SECOND), vec![head(SET, 1)]).await;
            assert_eq!(origin(&bench).await, CACHED, "{code}: it was not sent");
        }
    }
}

/// What has ended of the session, by its tickets, in a runtime of its own.
fn ended_elsewhere(session: &mut Session) -> Vec<(u32, u32)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut done = read(&runtime.block_on(session.exchange(Vec::new(), &[], None)));
    done.sort_by_key(|done| done.ticket);
    done.into_iter().map(|done| (done.ticket, done.code)).collect()
}

#[test]
fn a_runtime_that_is_gone_ends_all_that_it_ran() {
    let bench = Bench::new(Fake::new(|_| Box::pin(std::future::pending())), BATCH);
    let mut session = bench.session(Some("ann"), SECOND * 3600);
    // Three batches, one call of its own flight, and one alone.
    let heads = (1..=250).map(|id| head(GET, id)).chain([head(MINE, 1), head(SET, 1)]).collect();
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async { drop(session.exchange(heads, &[], Some(MS / 10)).await) });
    assert_eq!(bench.fake.batches(), [100, 100, 50]);
    drop(runtime);
    let expected: Vec<_> = (0..252).map(|ticket| (ticket, Code::Internal as u32)).collect();
    assert_eq!(ended_elsewhere(&mut session), expected);
    assert_eq!(bench.engine.loads_under_way(), 0);
    assert_eq!(bench.queues().0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_given_up_before_it_ran_takes_no_place_in_its_queue() {
    let bench = Bench::new(Fake::after(MS), BATCH);
    for _ in 0..3 {
        let mut session = bench.session(None, SECOND);
        // Nothing is polled in between: the batch's task ends before it began.
        session.exchange((1..=200).map(|id| head(GET, id)).collect(), &[], Some(Duration::ZERO)).await;
        assert_eq!(bench.queues().0, 1);
        drop(session);
        tokio::task::yield_now().await;
        assert_eq!((bench.queues().0, bench.engine.loads_under_way()), (0, 0));
    }
    let since = Instant::now();
    all(&mut bench.session(None, SECOND), vec![head(GET, 1), head(GET, 2)]).await;
    assert_eq!((since.elapsed(), bench.fake.batches()), (MS, vec![2]), "it did not have to gather first");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_batches_goes_with_the_plans_of_its_release() {
    let mut bench = Bench::new(Fake::after(MS), BATCH);
    all(&mut bench.session(None, SECOND), vec![head(GET, 1), head(GET, 2)]).await;
    assert_eq!(bench.queues(), (0, 1));
    let streams = PROTO.replace("returns (BatchGetItemsResponse)", "returns (stream BatchGetItemsResponse)");
    for proto in [&*streams, PROTO, &*streams] {
        // The plans before end with their release.
        bench.plans = Arc::new(plans_of(&bench.engine, &artifact_of(proto, "")).unwrap());
        assert_eq!(bench.queues(), (0, 1), "one method is batched");
    }
}
