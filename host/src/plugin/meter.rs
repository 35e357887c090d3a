//! CPU time of one guest, by the thread's CPU clock.
//!
//! The clock is read whenever the guest is entered or left. Where an epoch makes a guest yield, it may go on on another thread: it
//! counts as left before the pause and as entered after it. Counting epoch ticks instead would charge the guest for its waiting.

use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Nanoseconds spent, and since when (0: the guest is not running). One thread at a time writes.
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
    /// A new request begins.
    pub(super) fn reset(&self) {
        self.spent.store(0, Relaxed);
        self.entered_at.store(0, Relaxed);
    }

    /// The guest begins or goes on to run on this thread.
    pub(super) fn enter(&self) {
        self.entered_at.store(thread_cpu(), Relaxed);
    }

    /// The guest stops running on this thread.
    pub(super) fn leave(&self) {
        let since = self.entered_at.swap(0, Relaxed);
        if since != 0 {
            self.spent.fetch_add(thread_cpu().saturating_sub(since), Relaxed);
        }
    }

    /// CPU time of this request's guest, up to the last time it was left.
    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Relaxed))
    }
}
