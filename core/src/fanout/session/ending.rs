//! A call has ended: what stands in for a failure, and what is counted.

use super::{About, Session, Takers};
use crate::fanout::{
    call::{Origin, Outcome},
    flight::Flight,
    stats::Degraded,
};
use crate::model::Failure;
use bytes::Bytes;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

impl Session {
    /// A call that was never made.
    pub(super) fn refuse(&mut self, ticket: u32, failure: Failure) {
        self.stats.failed.fetch_add(1, Relaxed);
        self.ready.push_back((ticket, Outcome::failed(failure)));
    }

    /// Counts a call that has ended, lets something stand in for a failure, and makes it ready to be handed over to all its takers.
    pub(super) fn end(&mut self, about: &About, takers: &Takers, flight: Option<&Arc<Flight>>, outcome: Outcome) {
        let mut outcome = outcome;
        let loaded_now = outcome.trip.is_some();
        if outcome.is_backend_failure() {
            outcome = self.instead(about, flight, outcome);
        } else if outcome.origin == Origin::Stale && loaded_now {
            self.stats.degrade(&about.plan.name, Degraded::Stale);
        }
        let count = takers.len() as u32;
        match &outcome.result {
            Ok(bytes) => drop(self.stats.bytes.fetch_add(bytes.len() as u64 * u64::from(count), Relaxed)),
            Err(_) => drop(self.stats.failed.fetch_add(count, Relaxed)),
        }
        if matches!(outcome.origin, Origin::Cache | Origin::Stale) && !loaded_now {
            self.stats.cached.fetch_add(count, Relaxed);
        }
        let for_twins = outcome.for_twins();
        about.plan.calls.count(outcome.origin, takers.first.is_some().into());
        about.plan.calls.count(for_twins.origin, takers.twins.len() as u64);
        let first = takers.first.iter().map(|taker| (taker, &outcome));
        for ((ticket, depth), own) in first.chain(takers.twins.iter().map(|taker| (taker, &for_twins))) {
            if let Some(explain) = &self.stats.explain {
                explain.record(*ticket, &about.plan.name, *depth, about.started, own);
            }
            self.ready.push_back((*ticket, own.clone()));
        }
    }

    /// An old reply, a declared fallback or an empty message, in this order, if one is there and allowed; else the failure.
    fn instead(&self, about: &About, flight: Option<&Arc<Flight>>, outcome: Outcome) -> Outcome {
        let stale = flight
            .filter(|_| about.instead.stale)
            .and_then(|flight| self.engine.cache.standby(&flight.key, Duration::MAX));
        if let Some((bytes, age)) = stale {
            self.stats.degrade(&about.plan.name, Degraded::Stale);
            return outcome.instead(bytes, Origin::Stale, age);
        }
        let declared = self.plans.get(about.method).and_then(|planned| planned.fallback.clone());
        if let Some(bytes) = declared.or_else(|| about.instead.default.then(Bytes::new)) {
            self.stats.degrade(&about.plan.name, Degraded::Fallback);
            return outcome.instead(bytes, Origin::Fallback, Duration::ZERO);
        }
        self.stats.degrade(&about.plan.name, Degraded::Failed);
        outcome
    }
}
