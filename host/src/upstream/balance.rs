//! Which endpoint takes the next call.
//!
//! `p2c-ewma` is the power of two choices over peak EWMA, as Finagle and linkerd have it: cost = average answer time × (calls
//! under way + 1). The average jumps up to a slow answer at once and sinks with a half-life, so a slow endpoint is left quickly
//! and tried again slowly. A failed call counts as a slow one; else an endpoint that fails at once would attract all calls.

use super::Balance;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Assumed until the first answer.
const FIRST_GUESS: f64 = 0.030;
/// The time constant with which old answers fade, in seconds.
const DECAY: f64 = 10.0;
/// What a failure that is the endpoint's own counts as, in seconds.
const FAILURE_COST: f64 = 5.0;

/// What is known of one endpoint.
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

    fn observe(&self, seconds: f64) {
        let mut average = self.average.lock().unwrap_or_else(PoisonError::into_inner);
        average.decay(Instant::now());
        if seconds > average.seconds {
            average.seconds = seconds;
        } else {
            // What decays is the distance to the newest answer; `decay` has weighed the time since the last one.
            average.seconds = average.seconds.mul_add(0.9, seconds * 0.1);
        }
    }

    fn cost(&self) -> f64 {
        let mut average = self.average.lock().unwrap_or_else(PoisonError::into_inner);
        average.decay(Instant::now());
        average.seconds * (self.under_way.load(Relaxed) as f64 + 1.0)
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

/// Picks by the backend's policy. Remembers only whose turn it is.
#[derive(Debug)]
pub(super) struct Picker {
    policy: Balance,
    turn: AtomicUsize,
}

impl Picker {
    pub(super) fn new(policy: Balance) -> Self {
        Self { policy, turn: AtomicUsize::new(0) }
    }

    /// `None` only where there are no endpoints.
    pub(super) fn pick<'a, E>(&self, endpoints: &'a [E], load: impl Fn(&E) -> &Load) -> Option<&'a E> {
        let count = endpoints.len();
        if count < 2 {
            return endpoints.first();
        }
        match self.policy {
            Balance::RoundRobin => endpoints.get(self.turn.fetch_add(1, Relaxed) % count),
            Balance::P2cEwma => {
                let first = rand::random_range(0..count);
                let second = (first + rand::random_range(1..count)) % count;
                let (first, second) = (endpoints.get(first)?, endpoints.get(second)?);
                Some(if load(second).cost() < load(first).cost() { second } else { first })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of_first(policy: Balance, loads: &[Load]) -> f64 {
        let picker = Picker::new(policy);
        let first = (0..1000).filter(|_| std::ptr::eq(picker.pick(loads, |l| l).unwrap(), &raw const loads[0])).count();
        first as f64 / 1000.0
    }

    #[tokio::test(start_paused = true)]
    async fn round_robin_is_even() {
        assert_eq!(share_of_first(Balance::RoundRobin, &[Load::default(), Load::default()]), 0.5);
    }

    #[tokio::test(start_paused = true)]
    async fn p2c_leaves_an_endpoint_that_fails_and_comes_back_to_it() {
        let loads = [Load::default(), Load::default(), Load::default()];
        loads[0].begin().end(true);
        assert_eq!(share_of_first(Balance::P2cEwma, &loads), 0.0);
        tokio::time::advance(Duration::from_mins(2)).await;
        for load in &loads[1..] {
            let call = load.begin();
            tokio::time::advance(Duration::from_millis(20)).await;
            call.end(false);
        }
        assert!(
            share_of_first(Balance::P2cEwma, &loads) > 0.5,
            "the failure has faded, so the endpoint is tried again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn p2c_prefers_the_idle() {
        let loads = [Load::default(), Load::default()];
        let _busy = loads[0].begin();
        assert_eq!(share_of_first(Balance::P2cEwma, &loads), 0.0);
    }
}
