//! A call has ended: what stands in for a failure, and what is counted.

use super::{
    About, Session, UnderWay,
    dedup::{Ended, Takers},
};
use crate::{
    fanout::{call::Outcome, flight::Flight},
    model::Failure,
    observe::{Degraded, Ended as Report, Event, Listener, Origin, RefusedBy, RequestObserver, TakenBy, Taker},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

impl Session {
    /// A call that was never made.
    pub(super) fn refuse(&mut self, taker: Taker, method: u32, failure: Failure, by: RefusedBy) {
        let outcome = Outcome::refused(failure, by);
        let plan = self.plans.get(method).map(|planned| &planned.plan);
        let takers = TakenBy { first: Some(taker), duplicates: &[] };
        let ended = Report { method: plan.map(|plan| &plan.name), takers, started: None, end: outcome.end() };
        (plan.map(|plan| &plan.series), &*self.observer).on(&Event::Ended(ended));
        self.ready.push_back(Ended::for_one(taker.0, outcome));
    }

    /// Reports a call that has ended, lets something stand in for a failure, and makes it ready to be handed over to all its takers.
    pub(super) fn end(&mut self, about: &About, takers: Takers, flight: Option<&Arc<Flight>>, outcome: Outcome) {
        let mut outcome = outcome;
        if !about.plan.safe {
            self.wrote = Some(Instant::now());
        }
        if outcome.cut {
            self.degraded(about, Degraded::Cut);
        }
        if outcome.is_backend_failure() {
            outcome = self.instead(about, flight, outcome);
        } else if outcome.origin == Origin::Stale && outcome.trip.is_some() {
            self.degraded(about, Degraded::Stale);
        }
        report(&self.observer, about, takers.as_taken(), &outcome);
        self.ready.push_back(Ended { takers, outcome });
    }

    /// A call that was under way when its request ended.
    pub(super) fn abandon(&self, UnderWay { about, takers, .. }: &UnderWay) {
        let (method, takers, started) = (&about.plan.name, takers.as_taken(), about.started);
        self.observer.on(&Event::Abandoned { method, takers, started });
    }

    fn degraded(&self, about: &About, how: Degraded) {
        self.observer.on(&Event::Degraded { method: &about.plan.name, how });
    }

    /// Another taker for a call that is ready already.
    pub(super) fn end_duplicate(&mut self, about: &About, place: usize, duplicate: Taker) -> bool {
        let Self { ready, observer, .. } = self;
        let Some(Ended { takers, outcome }) = ready.get_mut(place) else { return false };
        takers.duplicates.push(duplicate);
        report(observer, about, TakenBy { first: None, duplicates: &[duplicate] }, outcome);
        true
    }

    /// An old reply, a declared fallback or an empty message, in this order, if one is there and allowed; else the failure.
    fn instead(&self, about: &About, flight: Option<&Arc<Flight>>, outcome: Outcome) -> Outcome {
        // A load that goes on after the call's own time can't see to what the operator has declared for that case.
        let declared = about.plan.cache.map_or(Duration::ZERO, |rule| rule.stale_if_error);
        let within = if about.instead.stale { Duration::MAX } else { declared };
        // What is too much is too much from the cache as well.
        let stale = flight
            .filter(|_| outcome.refused_by != Some(RefusedBy::RepliesBound))
            .and_then(|flight| self.engine.loads.tiers.own.standby(&flight.key, within));
        if let Some((bytes, age)) = stale {
            self.degraded(about, Degraded::Stale);
            return outcome.instead(bytes, Origin::Stale, age);
        }
        let declared = self.plans.get(about.method).and_then(|planned| planned.fallback.clone());
        if let Some(bytes) = declared.or_else(|| about.instead.default.then(Bytes::new)) {
            self.degraded(about, Degraded::Fallback);
            return outcome.instead(bytes, Origin::Fallback, Duration::ZERO);
        }
        self.degraded(about, Degraded::Failed);
        outcome
    }
}

fn report(observer: &RequestObserver, about: &About, takers: TakenBy<'_>, outcome: &Outcome) {
    let plan = &about.plan;
    let ended = Report { method: Some(&plan.name), takers, started: Some(about.started), end: outcome.end() };
    (&plan.series, observer).on(&Event::Ended(ended));
}
