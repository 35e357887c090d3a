//! What runs side by side leaves together, and nothing is polled or kept without need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use weft_sdk::futures::{FutureExt, FuturesUnordered, StreamExt, join, join_all, select, try_join_all};
use weft_sdk::spawn;

use crate::support::{NEXT, Number, Seen, Step, deliver, executor, next, run, step};

#[test]
fn join_is_one_exchange() {
    let (output, exchanges) = run(executor(async { join!(next(1), next(10), next(100)) }));
    assert_eq!(output, (2, 11, 101));
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].values, [1, 10, 100]);
}

#[test]
fn join_all_of_a_hundred_is_one_exchange() {
    let (output, exchanges) = run(executor(join_all((0..100).map(next))));
    assert_eq!(output, (1..=100).collect::<Vec<_>>());
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].values.len(), 100);
}

#[test]
fn ten_thousand_futures_are_one_exchange() {
    let (output, exchanges) = run(executor(join_all((0..10_000).map(next))));
    assert_eq!(output.len(), 10_000);
    assert_eq!(output.last(), Some(&10_000));
    assert_eq!(exchanges.len(), 1);
}

#[test]
fn requests_can_be_borrowed() {
    let requests = [Number { value: 1 }, Number { value: 2 }];
    let (output, _) =
        run(executor(async move { try_join_all(requests.iter().map(|it| NEXT.call(it))).await.unwrap() }));
    assert_eq!(output, [Number { value: 2 }, Number { value: 3 }]);
}

#[test]
fn a_loop_is_one_exchange_for_each_turn_of_it() {
    let (output, exchanges) = run(executor(async {
        let mut value = 0;
        for _ in 0..5 {
            value = next(value).await;
        }
        value
    }));
    assert_eq!(output, 5);
    assert_eq!(exchanges.iter().map(|seen| seen.depths[0]).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn futures_unordered_goes_on_with_whichever_is_ready() {
    let mut executor = executor(async {
        let mut calls: FuturesUnordered<_> = [1, 2, 3].into_iter().map(next).collect();
        let first = calls.next().await.unwrap();
        let follow_up = next(first).await;
        let mut rest: Vec<u32> = calls.collect().await;
        rest.sort_unstable();
        (first, follow_up, rest)
    });
    assert_eq!(step(&mut executor).exchange().values, [1, 2, 3]);
    deliver(&mut executor, &[(1, 20)]);
    assert_eq!(step(&mut executor).exchange().values, [20]);
    deliver(&mut executor, &[(0, 10), (2, 30), (3, 21)]);
    assert_eq!(step(&mut executor), Step::Done((20, 21, vec![10, 30])));
}

#[test]
fn independent_chains_advance_by_themselves() {
    let chain = |start| async move {
        let second = next(start).await;
        next(second).await
    };
    let mut executor = executor(async move { join!(chain(100), chain(200)) });
    assert_eq!(step(&mut executor).exchange().values, [100, 200]);
    deliver(&mut executor, &[(0, 101)]);
    assert_eq!(step(&mut executor).exchange().values, [101], "the second chain still waits");
    deliver(&mut executor, &[(1, 201)]);
    assert_eq!(step(&mut executor).exchange().values, [201]);
    deliver(&mut executor, &[(2, 102), (3, 202)]);
    assert_eq!(step(&mut executor), Step::Done((102, 202)));
}

#[test]
fn the_loser_of_a_select_is_cancelled() {
    let mut executor = executor(async {
        let mut fast = NEXT.call(Number { value: 1 });
        let mut slow = NEXT.call(Number { value: 2 });
        let winner = select! {
            reply = fast => reply.unwrap().value,
            reply = slow => reply.unwrap().value,
        };
        drop(slow);
        next(winner).await
    });
    assert_eq!(step(&mut executor).exchange().values, [1, 2]);
    deliver(&mut executor, &[(0, 5)]);
    let seen = step(&mut executor).exchange();
    assert_eq!(seen.values, [5]);
    assert_eq!(seen.cancel, [1]);
    // A reply that crossed the cancellation on its way is ignored.
    deliver(&mut executor, &[(1, 9), (2, 6)]);
    assert_eq!(step(&mut executor), Step::Done(6));
}

#[test]
fn a_call_that_is_dropped_before_it_is_sent_never_leaves() {
    let mut executor = executor(async {
        let mut dropped: Vec<_> = (0..3).map(|value| NEXT.call(Number { value })).collect();
        for call in &mut dropped {
            assert!(call.now_or_never().is_none());
        }
        let kept = next(7);
        drop(dropped.remove(1));
        let first = dropped.remove(0);
        drop(dropped);
        join!(kept, first).0
    });
    let seen = step(&mut executor).exchange();
    assert_eq!(seen.values, [0, 7]);
    assert!(seen.cancel.is_empty());
    deliver(&mut executor, &[(0, 1), (1, 8)]);
    assert_eq!(step(&mut executor), Step::Done(8));
}

#[test]
fn spawned_tasks_run_beside_the_handler() {
    let (output, exchanges) = run(executor(async {
        let spawned: Vec<_> = (0..10).map(|value| spawn(next(value))).collect();
        let own = next(100).await;
        own + join_all(spawned).await.into_iter().sum::<u32>()
    }));
    assert_eq!(output, 101 + 55);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].values.len(), 11);
}

#[test]
fn a_detached_task_goes_on_until_the_handler_returns() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let steps = Arc::clone(&log);
    let mut executor = executor(async move {
        drop(spawn(async move {
            for value in 0.. {
                next(value).await;
                steps.lock().unwrap().push(value);
            }
        }));
        next(100).await;
        next(200).await
    });
    assert_eq!(step(&mut executor).exchange().values, [100, 0]);
    deliver(&mut executor, &[(1, 1)]);
    assert_eq!(step(&mut executor).exchange().values, [1]);
    deliver(&mut executor, &[(0, 1)]);
    assert_eq!(step(&mut executor).exchange().values, [200]);
    deliver(&mut executor, &[(3, 201)]);
    assert_eq!(step(&mut executor), Step::Done(201));
    assert_eq!(*log.lock().unwrap(), [0]);
    assert_eq!(Arc::strong_count(&log), 1, "the task is dropped with the handler's end");
}

#[test]
fn only_woken_tasks_are_polled() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let mut executor = executor(async move {
        let mut idle = spawn(std::future::poll_fn(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        }));
        for value in 0..10 {
            next(value).await;
        }
        assert!((&mut idle).now_or_never().is_none());
    });
    for ticket in 0..10 {
        step(&mut executor).exchange();
        deliver(&mut executor, &[(ticket, 0)]);
    }
    step(&mut executor).done();
    assert_eq!(polls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_task_that_is_woken_many_times_is_polled_once() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let mut call = Box::pin(next(1));
    let mut executor = executor(std::future::poll_fn(move |context| {
        if counter.fetch_add(1, Ordering::Relaxed) == 0 {
            for _ in 0..10 {
                let waker = context.waker().clone();
                waker.wake_by_ref();
                waker.wake();
            }
        }
        call.as_mut().poll(context)
    }));
    step(&mut executor).exchange();
    assert_eq!(polls.load(Ordering::Relaxed), 2, "once at the start, once for all the wakes");
    deliver(&mut executor, &[(0, 2)]);
    assert_eq!(step(&mut executor), Step::Done(2));
    assert_eq!(polls.load(Ordering::Relaxed), 3);
}

#[test]
fn waiting_for_nothing_is_a_deadlock_not_a_spin() {
    let mut forever = executor(std::future::pending::<()>());
    assert_eq!(step(&mut forever), Step::Stuck);
    let mut cancelled = executor(async {
        let mut call = NEXT.call(Number { value: 1 });
        select! { _ = call => {}, () = next(2).map(drop).fuse() => {} }
        drop(call);
        std::future::pending::<()>().await;
    });
    step(&mut cancelled).exchange();
    deliver(&mut cancelled, &[(1, 3)]);
    assert_eq!(step(&mut cancelled), Step::Stuck, "the one call under way was cancelled");
}

#[test]
fn replies_may_share_a_range_and_bad_ranges_are_empty() {
    use weft_sdk::executor::Completion;
    let mut executor = executor(async { join!(next(0), next(0), next(0)) });
    step(&mut executor).exchange();
    let shared = |ticket| Completion { ticket, offset: 0, len: 2, ..Completion::default() };
    let bad = Completion { ticket: 2, offset: 1, len: u32::MAX, ..Completion::default() };
    executor.deliver(&[shared(0), shared(1), bad], &bytes::Bytes::from_static(&[8, 42]));
    assert_eq!(step(&mut executor), Step::Done((42, 42, 0)));
}

#[test]
fn requests_do_not_see_each_other() {
    // A future that outlives its request, in a static or a channel, must not touch another request's calls.
    let stray = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&stray);
    let mut first = executor(async move {
        let mut call = NEXT.call(Number { value: 1 });
        assert!((&mut call).now_or_never().is_none());
        *keep.lock().unwrap() = Some(call);
        next(2).await
    });
    step(&mut first).exchange();
    drop(first);
    let mut second = executor(async move {
        let stray = stray.lock().unwrap().take().unwrap();
        join!(next(10), stray).1.unwrap_err()
    });
    let seen = step(&mut second).exchange();
    assert_eq!(seen, Seen { values: vec![10], depths: vec![1], ..Seen::default() });
    deliver(&mut second, &[(0, 11)]);
    assert_eq!(step(&mut second).done().message(), "the request that this call belongs to has ended");
}

#[test]
fn an_executor_may_change_threads_between_turns() {
    let mut executor = executor(async {
        let spawned = spawn(next(1));
        let own = next(2).await;
        own + spawned.await
    });
    step(&mut executor).exchange();
    let mut executor = std::thread::spawn(move || {
        deliver(&mut executor, &[(0, 10), (1, 20)]);
        executor
    })
    .join()
    .unwrap();
    assert_eq!(step(&mut executor), Step::Done(30));
}
