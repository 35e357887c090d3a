//! CPU time of one guest and of what the host does for it.
//!
//! A guest runs inside the polls of one future, each on one thread, and each of them is timed. So the guest pays for what it makes the
//! host do at once (copying, encoding, random numbers, log lines), and for nothing while it waits. Counting epoch ticks instead would
//! charge it for its waiting, and counting its own instructions alone would give it the host's for nothing.
//!
//! A thread's CPU clock costs a call of the kernel, half a microsecond each time. So a poll is charged by the ordinary clock, which
//! costs a twentieth of that; only one that took [`LONG`] is charged no more than the CPU clock has advanced, since its thread may have
//! had to wait for a core meanwhile.

use rustix::time::{ClockId, clock_gettime};
use std::{
    cell::Cell,
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Nanoseconds of a poll from which on it matters whether the thread had a core all the time.
const LONG: u64 = 100_000;
/// Nanoseconds after which a thread's CPU clock is read again before a poll. A long poll is charged at most so much too much.
const FRESH: u64 = 1_000_000;

/// Nanoseconds spent, and since when (0: not running). One thread at a time writes.
#[derive(Debug, Default)]
pub struct Meter {
    spent: AtomicU64,
    entered_at: AtomicU64,
}

/// When a thread's CPU clock was read last, by the ordinary clock, and what it said.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    at: u64,
    cpu: u64,
}

thread_local! {
    static LAST: Cell<Reading> = const { Cell::new(Reading { at: 0, cpu: 0 }) };
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // Both parts are positive for both clocks.
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}

fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

fn read_cpu(at: u64) -> u64 {
    let cpu = nanoseconds(ClockId::ThreadCPUTime);
    LAST.set(Reading { at, cpu });
    cpu
}

/// What the time from `entered` to `now` has cost.
fn cost(entered: u64, now: u64) -> u64 {
    let took = now.saturating_sub(entered);
    if took < LONG {
        return took;
    }
    let before = LAST.get().cpu;
    took.min(read_cpu(now).saturating_sub(before))
}

impl Meter {
    /// Runs the future, and counts what it costs from now on.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        self.spent.store(0, Relaxed);
        poll_fn(|context| {
            self.enter();
            let polled = future.as_mut().poll(context);
            self.leave();
            polled
        })
        .await
    }

    fn enter(&self) {
        let now = now();
        if now.saturating_sub(LAST.get().at) > FRESH {
            read_cpu(now);
        }
        self.entered_at.store(now, Relaxed);
    }

    fn leave(&self) {
        self.settle();
        self.entered_at.store(0, Relaxed);
    }

    /// Adds what the poll under way has cost so far; the rest of it counts anew.
    fn settle(&self) {
        let entered = self.entered_at.load(Relaxed);
        if entered != 0 {
            let now = now();
            self.spent.fetch_add(cost(entered, now), Relaxed);
            self.entered_at.store(now, Relaxed);
        }
    }

    /// What was spent so far; asked from within the future, up to this moment.
    pub fn spent(&self) -> Duration {
        self.settle();
        Duration::from_nanos(self.spent.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn spent(poll: impl Fn()) -> Duration {
        let meter = Meter::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(meter.run(async { poll() }));
        meter.spent()
    }

    #[test]
    fn work_is_charged_and_waiting_for_a_core_is_not() {
        let worked = spent(|| {
            let until = read_cpu(now()) + 5_000_000;
            while nanoseconds(ClockId::ThreadCPUTime) < until {}
        });
        assert!(worked >= Duration::from_millis(4), "{worked:?}");
        let waited = spent(|| thread::sleep(Duration::from_millis(50)));
        assert!(waited < Duration::from_millis(25), "{waited:?}");
    }
}
