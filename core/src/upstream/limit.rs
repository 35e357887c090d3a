//! How many calls a backend takes at once: learnt from its answer times (Gradient2 of Netflix's concurrency-limits).
//!
//! While answers are as fast as they are on average, the limit grows by a small queue; when they become slower, it shrinks in the same
//! proportion. A call above the limit waits for its turn, in order, up to its own deadline.

use crate::sync::lock;
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// `concurrency = { initial = 20, max = 1000 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    pub initial: usize,
    pub max: usize,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { initial: 20, max: 1000 }
    }
}

const SMOOTHING: f64 = 0.2;
const QUEUE: f64 = 4.0;
/// Answer times of this many calls make the long average.
const LONG_WINDOW: f64 = 600.0;
/// The long average may be this much above the newest answer before it is made to sink.
const TOLERANCE: f64 = 2.0;

#[derive(Debug)]
pub(super) struct Limiter {
    turns: Arc<Semaphore>,
    bounds: Concurrency,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    /// Permits given to the semaphore, which may be more than the limit while calls are under way.
    permits: usize,
    long: f64,
    samples: f64,
}

/// A turn. Given back when dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    limiter: &'a Limiter,
    _permit: OwnedSemaphorePermit,
    under_way: usize,
}

impl Limiter {
    pub(super) fn new(bounds: Concurrency) -> Self {
        let state = State { limit: bounds.initial as f64, permits: bounds.initial, long: 0.0, samples: 0.0 };
        Self { turns: Arc::new(Semaphore::new(bounds.initial)), bounds, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The limit as it is now.
    pub(super) fn limit(&self) -> usize {
        self.state().limit as usize
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        let permit = self.turns.clone().acquire_owned().await.ok()?;
        let under_way = self.state().permits.saturating_sub(self.turns.available_permits());
        Some(Turn { limiter: self, _permit: permit, under_way })
    }

    fn learn(&self, took: Duration, under_way: usize) {
        let mut state = self.state();
        let short = took.as_secs_f64();
        state.samples = (state.samples + 1.0).min(LONG_WINDOW);
        let weight = 2.0 / (state.samples + 1.0);
        state.long = state.long * (1.0 - weight) + short * weight;
        if state.long / short > TOLERANCE {
            state.long *= 0.9;
        }
        // A backend that is hardly used says nothing of what it could take.
        if (under_way as f64) < state.limit / 2.0 {
            return;
        }
        let gradient = (state.long / short.max(1e-9)).clamp(0.5, 1.0);
        let next = state.limit * gradient + QUEUE;
        let least = (self.bounds.initial.min(4)) as f64;
        state.limit = (state.limit * (1.0 - SMOOTHING) + next * SMOOTHING).clamp(least, self.bounds.max as f64);
        self.apply(&mut state);
    }

    fn apply(&self, state: &mut State) {
        let wanted = state.limit as usize;
        if wanted > state.permits {
            self.turns.add_permits(wanted - state.permits);
            state.permits = wanted;
        } else {
            // Only idle permits can be taken back; the rest follows when it is.
            state.permits -= self.turns.forget_permits(state.permits - wanted);
        }
    }
}

impl Turn<'_> {
    /// The call has ended by the backend's answer, which took so long.
    pub(super) fn answered(self, took: Duration) {
        self.limiter.learn(took, self.under_way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(limiter: &Limiter, calls: usize, took: Duration) {
        for _ in 0..calls {
            let limit = limiter.limit();
            limiter.learn(took, limit);
        }
    }

    #[test]
    fn grows_while_answers_stay_fast_and_shrinks_when_they_slow_down() {
        let limiter = Limiter::new(Concurrency { initial: 20, max: 200 });
        learn(&limiter, 500, Duration::from_millis(10));
        let fast = limiter.limit();
        assert!(fast > 150, "{fast}");
        learn(&limiter, 30, Duration::from_millis(40));
        let slow = limiter.limit();
        assert!(slow < fast / 2, "{slow}");
        learn(&limiter, 1000, Duration::from_millis(10));
        assert!(limiter.limit() > slow * 2, "it recovers");
        assert_eq!(limiter.turns.available_permits(), limiter.limit());
    }

    #[test]
    fn an_idle_backend_teaches_nothing() {
        let limiter = Limiter::new(Concurrency::default());
        for _ in 0..1000 {
            limiter.learn(Duration::from_millis(1), 1);
        }
        assert_eq!(limiter.limit(), 20);
    }

    #[tokio::test]
    async fn a_call_above_the_limit_waits_for_its_turn() {
        let limiter = Limiter::new(Concurrency { initial: 1, max: 1 });
        let first = limiter.turn().await.unwrap();
        let mut second = std::pin::pin!(limiter.turn());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(futures_util::poll!(second.as_mut()).is_ready());
    }
}
