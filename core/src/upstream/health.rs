//! Whether an endpoint gets calls: its checks say so, and outlier ejection.
//!
//! Outlier ejection: an endpoint that fails while others don't is left out for a while, longer each time, and comes back gently.
//!
//! The rules are those of gRPC (A50) and Envoy: five failures in a row, or a success rate more than 1.9 standard deviations below the
//! mean of at least five endpoints with a hundred calls each; at most a tenth of the endpoints, but always one, is out at a time.

use super::checked::{CheckTold, Checked, Found, Line, Standing};
use crate::{sync::lock, telemetry::EndpointHealth};
use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// `outlier = { … }`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlier {
    /// Failures in a row that eject; 0: never.
    pub consecutive: u32,
    /// How often success rates are compared.
    pub interval: Duration,
    /// The first ejection; the nth lasts n times as long.
    pub base: Duration,
    /// The longest ejection.
    pub max: Duration,
    /// Most endpoints that are out at a time, as a share; always at least one.
    pub max_ejected: f64,
    /// How long an endpoint that came back gets less than its share.
    pub slow_start: Duration,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            consecutive: 5,
            interval: Duration::from_secs(10),
            base: Duration::from_secs(30),
            max: Duration::from_secs(300),
            max_ejected: 0.1,
            slow_start: Duration::from_secs(10),
        }
    }
}

/// Endpoints needed, calls of each, and deviations from the mean, for a success rate to say something.
const MIN_HOSTS: usize = 5;
const MIN_VOLUME: u32 = 100;
const DEVIATIONS: f64 = 1.9;
/// An endpoint that comes back begins with this share of its weight.
const FIRST_SHARE: f64 = 0.1;

/// What is known of one endpoint's health.
#[derive(Debug)]
pub(super) struct Health {
    /// Whether the last call that ended found the endpoint able to answer.
    answers: AtomicBool,
    ejected: AtomicBool,
    checked: Checked,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_a_row: u32,
    good: u32,
    bad: u32,
    /// How many times it was ejected, less one for each interval that went well.
    times: u32,
    until: Option<Instant>,
    back_since: Option<Instant>,
    /// It came back, and nobody has been told.
    is_return_untold: bool,
}

impl Default for Health {
    fn default() -> Self {
        let (answers, ejected) = (AtomicBool::new(true), AtomicBool::new(false));
        Self { answers, ejected, checked: Checked::default(), state: Mutex::default() }
    }
}

impl Health {
    /// Of an instance that comes to others: it gets less than its share at first.
    pub(super) fn newcomer() -> Self {
        let state = State { back_since: Some(Instant::now()), ..State::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// From now on its checks have a say.
    pub(super) fn begin_checks(&self) {
        self.checked.begin();
    }

    /// A check has ended; with what the log should say. `silent`: so many in a row that find nothing take it out.
    pub(super) fn found(&self, found: &Found, silent: u32) -> Option<Line> {
        let (before, line) = self.checked.found(found, silent);
        let mut state = self.state();
        // One that comes to others has few calls at first, from the moment that it gets any.
        let is_newcomer = before == Standing::Pending && state.back_since.is_some();
        if !self.checked.is_out() && (before == Standing::Out || is_newcomer) {
            state.back_since = Some(Instant::now());
        }
        line
    }

    pub(super) fn check_told(&self) -> Option<CheckTold> {
        self.checked.told()
    }

    /// Neither out by its checks nor ejected, or not any more.
    pub(super) fn is_available(&self) -> bool {
        if self.checked.is_out() {
            return false;
        }
        if !self.ejected.load(Relaxed) {
            return true;
        }
        let mut state = self.state();
        let now = Instant::now();
        if state.until.is_some_and(|until| until > now) {
            return false;
        }
        state.until = None;
        state.back_since = Some(now);
        state.in_a_row = 0;
        state.is_return_untold = true;
        self.ejected.store(false, Relaxed);
        true
    }

    /// It has come, and its first check has not ended: nothing speaks for it, and nothing against it.
    pub(super) fn is_pending(&self) -> bool {
        self.checked.is_pending()
    }

    /// Whether it has come back since this was asked last.
    pub(super) fn has_returned(&self) -> bool {
        std::mem::take(&mut self.state().is_return_untold)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.as_told() == EndpointHealth::Ready
    }

    /// Whether it answers, as far as is known.
    pub(super) fn may_answer(&self) -> bool {
        matches!(self.as_told(), EndpointHealth::Ready | EndpointHealth::Checking)
    }

    /// As it is told to metrics and operators.
    pub(super) fn as_told(&self) -> EndpointHealth {
        if self.checked.is_out() {
            return if self.checked.is_pending() { EndpointHealth::Checking } else { EndpointHealth::Unhealthy };
        }
        match (self.ejected.load(Relaxed), self.answers.load(Relaxed)) {
            (true, _) => EndpointHealth::Ejected,
            (false, true) => EndpointHealth::Ready,
            (false, false) => EndpointHealth::Failing,
        }
    }

    /// Notes how a call ended; `true`: it has failed too often in a row.
    pub(super) fn observe(&self, failed: bool, rules: &Outlier) -> bool {
        self.answers.store(!failed, Relaxed);
        let mut state = self.state();
        if failed {
            state.bad = state.bad.saturating_add(1);
            state.in_a_row += 1;
            return rules.consecutive > 0 && state.in_a_row >= rules.consecutive && state.until.is_none();
        }
        state.good = state.good.saturating_add(1);
        state.in_a_row = 0;
        false
    }

    /// Leaves it out; for how long.
    pub(super) fn eject(&self, rules: &Outlier) -> Duration {
        let mut state = self.state();
        state.times = state.times.saturating_add(1);
        state.in_a_row = 0;
        let time = rules.base.saturating_mul(state.times).min(rules.max);
        state.until = Some(Instant::now() + time);
        self.ejected.store(true, Relaxed);
        time
    }

    /// The share of its weight that it gets: less for a while after it came back.
    pub(super) fn share(&self, rules: &Outlier) -> f64 {
        if rules.slow_start.is_zero() || !self.answers.load(Relaxed) && self.ejected.load(Relaxed) {
            return 1.0;
        }
        let Some(since) = self.state().back_since else { return 1.0 };
        let ramp = since.elapsed().as_secs_f64() / rules.slow_start.as_secs_f64();
        ramp.clamp(FIRST_SHARE, 1.0)
    }

    /// Calls of the past interval: good, all. Begins a new one.
    fn take(&self) -> (u32, u32) {
        let mut state = self.state();
        let counts = (state.good, state.good + state.bad);
        (state.good, state.bad) = (0, 0);
        if state.until.is_none() && counts.0 == counts.1 {
            state.times = state.times.saturating_sub(1);
        }
        counts
    }
}

/// Whether one more of `all` endpoints may be ejected.
pub(super) fn may_eject<'a>(all: impl Iterator<Item = &'a Health> + Clone, rules: &Outlier) -> bool {
    let total = all.clone().count();
    let out = all.filter(|health| health.ejected.load(Relaxed)).count();
    total > 1 && ((out + 1) as f64 <= (total as f64 * rules.max_ejected).max(1.0))
}

/// One whose success rate stood out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ejected {
    /// Its place among all.
    pub(super) place: usize,
    /// Its success rate and that of all.
    pub(super) rate: f64,
    pub(super) mean: f64,
    pub(super) time: Duration,
}

/// Ends an interval: ejects those whose success rate stands out.
pub(super) fn compare<'a>(all: impl Iterator<Item = &'a Health> + Clone, rules: &Outlier) -> Vec<Ejected> {
    let rates: Vec<(usize, &Health, f64)> = all
        .clone()
        .enumerate()
        .map(|(place, health)| (place, health, health.take()))
        .filter(|(.., (_, calls))| *calls >= MIN_VOLUME)
        .map(|(place, health, (good, calls))| (place, health, f64::from(good) / f64::from(calls)))
        .collect();
    if rates.len() < MIN_HOSTS {
        return Vec::new();
    }
    let mean = rates.iter().map(|(.., rate)| rate).sum::<f64>() / rates.len() as f64;
    let variance = rates.iter().map(|(.., rate)| (rate - mean).powi(2)).sum::<f64>() / rates.len() as f64;
    let bound = mean - DEVIATIONS * variance.sqrt();
    let mut ejected = Vec::new();
    for (place, health, rate) in rates {
        if rate < bound && may_eject(all.clone(), rules) {
            ejected.push(Ejected { place, rate, mean, time: health.eject(rules) });
        }
    }
    ejected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_eject_and_it_comes_back_gently() {
        let (rules, health) = (Outlier::default(), Health::default());
        for _ in 0..4 {
            assert!(!health.observe(true, &rules));
        }
        assert!(!health.observe(false, &rules), "a success begins the count anew");
        assert!((0..5).map(|_| health.observe(true, &rules)).last().unwrap());
        health.eject(&rules);
        assert!(!health.is_available());
        tokio::time::advance(rules.base).await;
        assert!(health.is_available());
        health.observe(false, &rules);
        assert!((health.share(&rules) - FIRST_SHARE).abs() < 0.01, "it begins with a tenth");
        tokio::time::advance(rules.slow_start / 2).await;
        assert!((health.share(&rules) - 0.5).abs() < 0.01);
        tokio::time::advance(rules.slow_start).await;
        assert_eq!(health.share(&rules), 1.0);
        health.eject(&rules);
        tokio::time::advance(rules.base).await;
        assert!(!health.is_available(), "the second time lasts longer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_rate_that_stands_out_ejects_but_never_more_than_a_tenth() {
        let rules = Outlier { consecutive: 0, ..Outlier::default() };
        let all: Vec<Health> = (0..10).map(|_| Health::default()).collect();
        for (place, health) in all.iter().enumerate() {
            for call in 0..200 {
                health.observe(place < 2 && call % 2 == 0, &rules);
            }
        }
        let ejected = compare(all.iter(), &rules);
        let expected = Ejected { place: 0, rate: 0.5, mean: 0.9, time: rules.base };
        assert_eq!(ejected.len(), 1);
        assert!((ejected[0].mean - 0.9).abs() < 1e-9 && Ejected { mean: 0.9, ..ejected[0] } == expected, "{ejected:?}");
        assert_eq!(all.iter().filter(|health| !health.is_available()).count(), 1);
        tokio::time::advance(rules.base).await;
        assert!(!all[0].has_returned(), "nobody has asked for it yet");
        assert!(all[0].is_available());
        assert!(all[0].has_returned() && !all[0].has_returned(), "told once");
        assert!(!all[1].has_returned(), "it was never away");
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_endpoint_is_never_ejected() {
        let health = Health::default();
        assert!(!may_eject([&health].into_iter(), &Outlier::default()));
    }
}
