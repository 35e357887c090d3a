//! CPU time of one guest and of what the host does for it, by the thread's CPU clock.
//!
//! A guest runs inside the polls of one future, each on one thread: the clock is read before and after each of them. So the guest pays
//! for what it makes the host do at once (copying, encoding, random numbers, log lines), and for nothing while it waits. Counting
//! epoch ticks instead would charge it for its waiting, and counting its own instructions alone would give it the host's for nothing.

use rustix::time::{ClockId, clock_gettime};
use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Nanoseconds spent, and since when (0: not running). One thread at a time writes.
#[derive(Debug, Default)]
pub(super) struct Meter {
    spent: AtomicU64,
    entered_at: AtomicU64,
}

fn thread_cpu() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    // Both parts of a thread's own CPU time are positive.
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}

impl Meter {
    /// Runs the future, and counts what it costs from now on.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        self.spent.store(0, Relaxed);
        poll_fn(|context| {
            self.entered_at.store(thread_cpu(), Relaxed);
            let polled = future.as_mut().poll(context);
            self.spent.store(self.now(), Relaxed);
            self.entered_at.store(0, Relaxed);
            polled
        })
        .await
    }

    /// What was spent so far; asked from within the future, up to this moment.
    fn now(&self) -> u64 {
        let (spent, since) = (self.spent.load(Relaxed), self.entered_at.load(Relaxed));
        if since == 0 { spent } else { spent + thread_cpu().saturating_sub(since) }
    }

    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.now())
    }
}
