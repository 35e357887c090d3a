//! Crash loops. What crashes again and again without ever going well is not run for a while: it would only burn CPU and fill the log.
//!
//! What fails to start is the whole release's; a crash in the middle is its endpoint's alone, so that a request that makes one
//! endpoint crash can be used against that endpoint at most.

use crate::sync::lock;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Crashes in a row, without one success in between, and the time within which they fall.
const CRASHES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// The first rest; doubled each time that the one request that is let through at its end crashes as well.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_mins(1);

/// One release's: for its start, and for each of its endpoints.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) start: Backoff,
    endpoints: BTreeMap<String, Backoff>,
}

impl Health {
    pub(super) fn of(endpoints: impl Iterator<Item = String>) -> Self {
        let endpoints = endpoints.map(|name| (name, Backoff::default())).collect();
        Self { start: Backoff::default(), endpoints }
    }

    pub(super) fn endpoint(&self, name: &str) -> &Backoff {
        // Every endpoint that can be asked for is in the manifest.
        self.endpoints.get(name).unwrap_or(&self.start)
    }

    /// What rests now, as the operator is told.
    pub(super) fn resting(&self) -> Vec<String> {
        let start = self.start.is_resting().then(|| "start".to_owned());
        let endpoints = self.endpoints.iter().filter(|(_, backoff)| backoff.is_resting());
        start.into_iter().chain(endpoints.map(|(name, _)| name.clone())).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Whether there is anything in `state`: what goes well takes no lock.
    is_troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    crashes: u32,
    first: Option<Instant>,
    rest: Duration,
    until: Option<Instant>,
    is_probed: bool,
}

/// A request that may run. Tells how it ended, or nothing.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    backoff: &'a Backoff,
    is_probe: bool,
}

impl Backoff {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lets a request through, or says for how long there is no use in trying.
    pub(super) fn admit(&self) -> Result<Admitted<'_>, Duration> {
        if !self.is_troubled.load(Relaxed) {
            return Ok(Admitted { backoff: self, is_probe: false });
        }
        let mut state = self.state();
        let left = state.until.map(|until| until.saturating_duration_since(Instant::now()));
        match left {
            None => Ok(Admitted { backoff: self, is_probe: false }),
            Some(Duration::ZERO) if !state.is_probed => {
                state.is_probed = true;
                Ok(Admitted { backoff: self, is_probe: true })
            }
            Some(left) => Err(left.max(FIRST_REST)),
        }
    }

    fn is_resting(&self) -> bool {
        self.is_troubled.load(Relaxed) && self.state().until.is_some()
    }
}

impl Admitted<'_> {
    pub(super) fn went_well(&self) {
        if self.backoff.is_troubled.load(Relaxed) {
            *self.backoff.state() = State::default();
            self.backoff.is_troubled.store(false, Relaxed);
        }
    }

    /// Says for how long there will be no further try, if that is so now.
    pub(super) fn crashed(&self) -> Option<Duration> {
        let (mut state, now) = (self.backoff.state(), Instant::now());
        self.backoff.is_troubled.store(true, Relaxed);
        if self.is_probe {
            state.rest = (state.rest * 2).min(LONGEST_REST);
        } else {
            // Of a time before the rest, or still running when it began.
            if state.until.is_some() {
                return None;
            }
            if state.first.is_none_or(|first| now.duration_since(first) > WINDOW) {
                (state.first, state.crashes) = (Some(now), 0);
            }
            state.crashes += 1;
            if state.crashes < CRASHES {
                return None;
            }
            state.rest = FIRST_REST;
        }
        state.until = Some(now + state.rest);
        Some(state.rest)
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.backoff.state().is_probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn crash(backoff: &Backoff, times: u32) {
        for _ in 0..times {
            backoff.admit().unwrap().crashed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn crashes_in_a_row_lead_to_longer_and_longer_rests_with_one_try_at_each_end() {
        let backoff = Backoff::default();
        crash(&backoff, CRASHES);
        let mut rest = FIRST_REST;
        for _ in 0..8 {
            assert_eq!(backoff.admit().unwrap_err(), rest);
            advance(rest).await;
            let probe = backoff.admit().unwrap();
            assert_eq!(backoff.admit().unwrap_err(), FIRST_REST, "one at a time");
            probe.crashed();
            rest = (rest * 2).min(LONGEST_REST);
        }
        advance(rest).await;
        drop(backoff.admit().unwrap());
        backoff.admit().expect("a try that ended in nothing is no try").went_well();
        crash(&backoff, CRASHES - 1);
        backoff.admit().expect("it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_well_now_and_then_never_rests_and_neither_does_what_crashes_seldom() {
        let backoff = Backoff::default();
        for _ in 0..20 {
            crash(&backoff, CRASHES - 1);
            backoff.admit().unwrap().went_well();
        }
        for _ in 0..100 {
            crash(&backoff, 1);
            advance(WINDOW / (CRASHES - 1) + Duration::from_millis(200)).await;
        }
    }
}
