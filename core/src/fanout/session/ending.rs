//! A call has ended: what stands in for a failure, and what is counted.

use super::{
    About, Session, UnderWay,
    dedup::{Ended, Taker, Takers},
};
use crate::fanout::{
    call::{Origin, Outcome},
    flight::Flight,
    inbox::REPLIES,
    stats::{Degraded, Stats},
};
use crate::model::{Code, Failure};
use bytes::Bytes;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

impl Session {
    /// A call that was never made.
    pub(super) fn refuse(&mut self, taker: Taker, method: u32, failure: Failure, by: &'static str) {
        self.stats.failed.fetch_add(1, Relaxed);
        self.stats.count_refused(1);
        let outcome = Outcome::refused(failure, by);
        if let Some(planned) = self.plans.get(method) {
            planned.plan.calls.count(outcome.origin, 1);
            if let Some(explain) = &self.stats.explain {
                explain.record(taker, &planned.plan.name, Instant::now(), &outcome);
            }
        }
        self.ready.push_back(Ended::for_one(taker.0, outcome));
    }

    /// Counts a call that has ended, lets something stand in for a failure, and makes it ready to be handed over to all its takers.
    pub(super) fn end(&mut self, about: &About, takers: Takers, flight: Option<&Arc<Flight>>, outcome: Outcome) {
        let mut outcome = outcome;
        if !about.plan.safe {
            self.wrote = Some(Instant::now());
        }
        if outcome.cut {
            self.stats.degrade(&about.plan.name, Degraded::Cut);
        }
        if outcome.is_backend_failure() {
            outcome = self.instead(about, flight, outcome);
        } else if outcome.origin == Origin::Stale && outcome.trip.is_some() {
            self.stats.degrade(&about.plan.name, Degraded::Stale);
        }
        count(&self.stats, about, (takers.first, &takers.duplicates), &outcome);
        self.ready.push_back(Ended { takers, outcome });
    }

    /// A call that was under way when its request ended, for the waterfall.
    pub(super) fn abandon(&self, UnderWay { about, takers, .. }: &UnderWay) {
        let Some(explain) = &self.stats.explain else { return };
        let failure = Failure::new(Code::Cancelled, "the request ended before this call");
        let outcome = Outcome::failed(failure);
        takers.all().for_each(|taker| explain.record(taker, &about.plan.name, about.started, &outcome));
    }

    /// Another taker for a call that is ready already.
    pub(super) fn end_duplicate(&mut self, about: &About, place: usize, duplicate: Taker) -> bool {
        let Self { ready, stats, .. } = self;
        let Some(Ended { takers, outcome }) = ready.get_mut(place) else { return false };
        takers.duplicates.push(duplicate);
        count(stats, about, (None, &[duplicate]), outcome);
        true
    }

    /// An old reply, a declared fallback or an empty message, in this order, if one is there and allowed; else the failure.
    fn instead(&self, about: &About, flight: Option<&Arc<Flight>>, outcome: Outcome) -> Outcome {
        // A load that goes on after the call's own time can't see to what the operator has declared for that case.
        let declared = about.plan.cache.map_or(Duration::ZERO, |rule| rule.stale_if_error);
        let within = if about.instead.stale { Duration::MAX } else { declared };
        // What is too much is too much from the cache as well.
        let stale = flight
            .filter(|_| outcome.refused_by != Some(REPLIES))
            .and_then(|flight| self.engine.loads.tiers.own.standby(&flight.key, within));
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

/// Counts the outcome for a first taker and for duplicates.
fn count(stats: &Stats, about: &About, (first, duplicates): (Option<Taker>, &[Taker]), outcome: &Outcome) {
    let count = u32::from(first.is_some()) + duplicates.len() as u32;
    match &outcome.result {
        Ok(bytes) => drop(stats.bytes.fetch_add(bytes.len() as u64 * u64::from(count), Relaxed)),
        Err(_) => drop(stats.failed.fetch_add(count, Relaxed)),
    }
    if outcome.origin == Origin::Refused {
        stats.count_refused(count);
    }
    if matches!(outcome.origin, Origin::Cache | Origin::Stale) && outcome.trip.is_none() {
        stats.cached.fetch_add(count, Relaxed);
    }
    about.plan.calls.count(outcome.origin, first.is_some().into());
    about.plan.calls.count(outcome.origin.for_duplicates(), duplicates.len() as u64);
    let Some(explain) = &stats.explain else { return };
    let record = |taker: Taker, outcome: &Outcome| explain.record(taker, &about.plan.name, about.started, outcome);
    first.into_iter().for_each(|taker| record(taker, outcome));
    let for_duplicates = outcome.for_duplicates();
    duplicates.iter().for_each(|taker| record(*taker, &for_duplicates));
}
