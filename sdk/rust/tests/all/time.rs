//! Timers, in virtual time, and in real time.

use std::time::Duration;

use weft_sdk::futures::{FutureExt, FuturesUnordered, StreamExt, join, join_all, select};
use weft_sdk::{sleep, timeout};

use crate::support::{Step, deliver, executor, next, step};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn sleep_is_a_bounded_wait() {
    let mut executor = executor(sleep(ms(250)));
    executor.set_time(ms(0));
    assert_eq!(step(&mut executor).exchange().wait_ms, Some(250));
    executor.set_time(ms(249));
    assert_eq!(step(&mut executor).exchange().wait_ms, Some(1), "it came back early");
    executor.set_time(ms(250));
    assert_eq!(step(&mut executor), Step::Done(()));
}

#[test]
fn sleep_counts_from_when_it_was_made() {
    let mut executor = executor(async {
        let sleep = sleep(ms(100));
        next(0).await;
        sleep.await;
    });
    executor.set_time(ms(0));
    assert_eq!(step(&mut executor).exchange().wait_ms, None, "nobody waits for it yet");
    executor.set_time(ms(60));
    deliver(&mut executor, &[(0, 0)]);
    assert_eq!(step(&mut executor).exchange().wait_ms, Some(40));
}

#[test]
fn parts_of_a_millisecond_are_rounded_up() {
    let mut executor = executor(sleep(Duration::from_micros(1)));
    executor.set_time(ms(0));
    assert_eq!(step(&mut executor).exchange().wait_ms, Some(1));
}

#[test]
fn timers_fire_in_order() {
    let mut executor = executor(async {
        let timers: FuturesUnordered<_> = [30, 10, 20].into_iter().map(|n| sleep(ms(n)).map(move |()| n)).collect();
        timers.collect::<Vec<_>>().await
    });
    executor.set_time(ms(0));
    assert_eq!(step(&mut executor).exchange().wait_ms, Some(10));
    executor.set_time(ms(30));
    assert_eq!(step(&mut executor), Step::Done(vec![10, 20, 30]));
}

#[test]
fn a_timeout_cancels_what_did_not_finish() {
    let mut executor = executor(async {
        let late = timeout(ms(50), next(1)).await;
        assert_eq!(late.unwrap_err().to_string(), "not done after 50 ms");
        next(2).await
    });
    executor.set_time(ms(0));
    let seen = step(&mut executor).exchange();
    assert_eq!((seen.values, seen.wait_ms), (vec![1], Some(50)));
    executor.set_time(ms(50));
    let seen = step(&mut executor).exchange();
    assert_eq!((seen.values, seen.cancel, seen.wait_ms), (vec![2], vec![0], None));
    deliver(&mut executor, &[(1, 3)]);
    assert_eq!(step(&mut executor), Step::Done(3));
}

#[test]
fn a_timeout_that_is_met_leaves_no_timer() {
    let mut executor = executor(async {
        let first = timeout(ms(50), next(1)).await.unwrap();
        (first, next(2).await)
    });
    executor.set_time(ms(0));
    step(&mut executor).exchange();
    deliver(&mut executor, &[(0, 9)]);
    assert_eq!(step(&mut executor).exchange().wait_ms, None);
    deliver(&mut executor, &[(1, 3)]);
    assert_eq!(step(&mut executor), Step::Done((9, 3)));
}

#[test]
fn a_dropped_timer_wakes_nobody() {
    let mut executor = executor(async {
        select! {
            () = sleep(ms(10)).fuse() => {}
            () = sleep(ms(500)).fuse() => {}
        }
        std::future::pending::<()>().await;
    });
    executor.set_time(ms(0));
    assert_eq!(step(&mut executor).exchange().wait_ms, Some(10));
    executor.set_time(ms(10));
    assert_eq!(step(&mut executor), Step::Stuck);
}

#[test]
fn many_timers() {
    let mut executor = executor(join_all((0..10_000).map(|n| sleep(ms(n % 100)))));
    executor.set_time(ms(0));
    assert_eq!(step(&mut executor).exchange().wait_ms, Some(1));
    executor.set_time(ms(99));
    assert!(matches!(step(&mut executor), Step::Done(_)));
}

#[test]
fn without_virtual_time_the_clock_is_real() {
    let mut executor = executor(async { join!(sleep(ms(5)), sleep(ms(1))) });
    let begin = std::time::Instant::now();
    while let Step::Exchange(seen) = step(&mut executor) {
        std::thread::sleep(ms(u64::from(seen.wait_ms.unwrap())));
    }
    assert!(begin.elapsed() >= ms(5));
}
