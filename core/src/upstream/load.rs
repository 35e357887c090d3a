//! How busy one endpoint is, and how fast it answers.
//!
//! The cost of an endpoint is peak EWMA, as Finagle and linkerd have it: average answer time × (calls under way + 1). The average jumps
//! up to a slow answer at once and sinks slowly, so a slow endpoint is left quickly and tried again gently. A failed call counts as a
//! slow one; else an endpoint that fails at once would attract all calls.

use crate::sync::lock;
use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Assumed until the first answer, in seconds.
const FIRST_GUESS: f64 = 0.030;
/// The time constant with which old answers fade, in seconds.
const DECAY: f64 = 10.0;
/// What a failure that is the endpoint's own counts as, in seconds.
const FAILURE_COST: f64 = 5.0;

#[derive(Debug)]
pub(super) struct Load {
    under_way: AtomicUsize,
    average: Mutex<Average>,
}

#[derive(Debug)]
struct Average {
    seconds: f64,
    at: Instant,
}

impl Default for Load {
    fn default() -> Self {
        let average = Average { seconds: FIRST_GUESS, at: Instant::now() };
        Self { under_way: AtomicUsize::new(0), average: Mutex::new(average) }
    }
}

impl Load {
    /// Counts a call until the guard is dropped. A guard that never learns how it ended (a cancelled call) leaves the average alone.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay { load: self, since: Instant::now() }
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Relaxed)
    }

    /// Seconds of answer time that the next call may expect, with those before it.
    pub(super) fn cost(&self) -> f64 {
        let mut average = self.average();
        average.decay(Instant::now());
        average.seconds * (self.under_way() as f64 + 1.0)
    }

    fn average(&self) -> MutexGuard<'_, Average> {
        lock(&self.average)
    }

    fn observe(&self, seconds: f64) {
        let mut average = self.average();
        average.decay(Instant::now());
        average.seconds = if seconds > average.seconds { seconds } else { average.seconds.mul_add(0.9, seconds * 0.1) };
    }
}

impl Average {
    fn decay(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.seconds *= (-passed / DECAY).exp();
        self.at = now;
    }
}

/// One call under way to an endpoint.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    load: &'a Load,
    since: Instant,
}

impl UnderWay<'_> {
    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// `failed`: the endpoint itself could not answer.
    pub(super) fn end(self, failed: bool) {
        let seconds = self.elapsed().as_secs_f64();
        self.load.observe(if failed { seconds.max(FAILURE_COST) } else { seconds });
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.load.under_way.fetch_sub(1, Relaxed);
    }
}
