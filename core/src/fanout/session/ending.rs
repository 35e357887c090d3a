//! A call has ended: what stands in for a failure, and what is counted.

use super::{About, Session};
use crate::fanout::{
    call::{Origin, Outcome},
    flight::Flight,
    stats::Degraded,
};
use bytes::Bytes;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

impl Session {
    /// Counts a call that has ended, lets something stand in for a failure, and makes it ready to be handed over.
    pub(super) fn end(&mut self, ticket: u32, about: Option<About>, flight: Option<&Arc<Flight>>, outcome: Outcome) {
        let Some(about) = about else {
            self.stats.failed.fetch_add(1, Relaxed);
            self.ready.push_back((ticket, outcome));
            return;
        };
        let mut outcome = outcome;
        let loaded_now = outcome.trip.is_some();
        if outcome.is_backend_failure() {
            outcome = self.instead(&about, flight, outcome);
        } else if outcome.origin == Origin::Stale && loaded_now {
            self.stats.degrade(&about.plan.name, Degraded::Stale);
        }
        match &outcome.result {
            Ok(bytes) => drop(self.stats.bytes.fetch_add(bytes.len() as u64, Relaxed)),
            Err(_) => drop(self.stats.failed.fetch_add(1, Relaxed)),
        }
        if matches!(outcome.origin, Origin::Cache | Origin::Stale) && !loaded_now {
            self.stats.cached.fetch_add(1, Relaxed);
        }
        about.plan.calls.count(outcome.origin);
        if let Some(explain) = &self.stats.explain {
            explain.record(ticket, &about.plan.name, about.depth, about.started, &outcome);
        }
        self.ready.push_back((ticket, outcome));
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
