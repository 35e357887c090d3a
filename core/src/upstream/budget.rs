//! The retry budget: retries and hedges together may add a fifth to the calls, and a few a second where there are hardly any calls.

use crate::sync::lock;
use std::sync::Mutex;
use tokio::time::Instant;

/// Tokens that a quiet backend gathers each second, so that rare calls may be tried again too.
const FLOOR_PER_SECOND: f64 = 3.0;
/// What can be saved up at most: ten seconds of the floor, or a burst after many calls.
const MOST: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Budget {
    ratio: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    at: Instant,
}

impl Budget {
    /// `ratio`: retries for each call, 0.2 for a fifth.
    pub(super) fn new(ratio: f64) -> Self {
        Self { ratio, state: Mutex::new(State { tokens: FLOOR_PER_SECOND, at: Instant::now() }) }
    }

    /// A call begins.
    pub(super) fn deposit(&self) {
        let mut state = lock(&self.state);
        state.tokens = (state.tokens + self.ratio).min(MOST);
    }

    /// A call wants to be tried again.
    pub(super) fn withdraw(&self) -> bool {
        let mut state = lock(&self.state);
        let passed = state.at.elapsed().as_secs_f64();
        // The floor fills up to ten seconds' worth and no further: it is for the quiet, not for storms.
        let floor = passed * FLOOR_PER_SECOND;
        if state.tokens < FLOOR_PER_SECOND {
            state.tokens = (state.tokens + floor).min(FLOOR_PER_SECOND);
        }
        state.at = Instant::now();
        if self.ratio == 0.0 || state.tokens < 1.0 {
            return false;
        }
        state.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn retries_add_a_fifth() {
        let budget = Budget::new(0.2);
        let retries = (0..1000)
            .filter(|_| {
                budget.deposit();
                budget.withdraw()
            })
            .count();
        assert!((195..=205).contains(&retries), "{retries}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_backend_may_be_tried_again() {
        let budget = Budget::new(0.2);
        while budget.withdraw() {}
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..10).filter(|_| budget.withdraw()).count(), 3);
    }
}
