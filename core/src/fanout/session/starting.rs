//! Calls on their way out: refused, found in the cache, shared, or sent.

use super::{
    About, Head, Limits, Loading, Session, UnderWay,
    dedup::{Firsts, Takers},
    tickets::{Place, Row},
};
use crate::{
    fanout::{
        batcher::Collector,
        cache::Lookup,
        call::{Key, Outcome},
        flight::{Flight, Start, Waiter},
        plan::{Plan, Plans},
        scope::Scoped,
    },
    model::{Code, Deadline, Failure, Scope},
    observe::{Event, Listener, Origin, RefusedBy},
};
use std::sync::Arc;
use tokio::time::Instant;

/// What the calls of one exchange have in common.
#[derive(Debug)]
struct Starting {
    plans: Arc<Plans>,
    now: Instant,
    collector: Collector,
    first: Firsts,
}

impl Session {
    pub(super) fn start(&mut self, calls: Vec<Head>, row: Row) {
        let Some(deepest) = calls.iter().map(|head| head.depth).max() else { return };
        let count = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        self.observer.on(&Event::Asked { calls: count, depth: deepest.into() });
        let mut starting = Starting {
            plans: self.plans.clone(),
            now: Instant::now(),
            collector: Collector::new(self.engine.batcher.clone()),
            first: Firsts::of(calls.len()),
        };
        self.calls.reserve(row, calls.len());
        for head in calls {
            let ticket = self.calls.add(row);
            let (method, depth) = (head.method, head.depth);
            if let Err((failure, by)) = self.start_one(ticket, head, &mut starting) {
                self.refuse((ticket, depth), method, failure, by);
            }
        }
        starting.collector.dispatch();
    }

    /// Fails where the call is refused, and says by whom.
    fn start_one(&mut self, ticket: u32, head: Head, starting: &mut Starting) -> Result<(), (Failure, RefusedBy)> {
        let Starting { plans, now, collector, first } = starting;
        let not_granted = || (not_granted(&format!("number {}", head.method)), RefusedBy::Grants);
        let planned = plans.get(head.method).ok_or_else(not_granted)?;
        let plan = &planned.plan;
        self.check_limits(&head, &plan.name)?;
        if plan.safe && self.is_duplicate(ticket, &head, first) {
            return Ok(());
        }
        let Head { method, depth, timeout, instead, message } = head;
        let about = About { plan: plan.clone(), method, instead, started: *now };
        let takers = Takers::of(ticket, depth);
        let deadline = self.deadline.capped_from(*now, timeout.unwrap_or(plan.timeout).min(plan.timeout));
        let scoped = self.scoped(plan.scope);
        let load = match scoped.key.clone().filter(|_| plan.safe) {
            None => Loading::Alone(self.send_alone(ticket, plan, &scoped, message, deadline)),
            Some(scope) => {
                let key = Key { plan: plan.id, scope, request: message };
                if let Some(outcome) = self.look_up(plan, &scoped, &key, (*now, &mut *collector)) {
                    self.end(&about, takers, None, outcome);
                    first.ended(ticket, about, self.ready.len() - 1);
                    return Ok(());
                }
                let start = self.start_of(plan, &scoped, *now);
                Loading::Shared(self.share(ticket, start, &scoped, key, deadline, collector))
            }
        };
        if let Some(place) = self.calls.get_mut(ticket) {
            *place = Place::Open(Box::new(UnderWay { about, deadline, load, takers }));
            self.open += 1;
            self.next_deadline =
                Some(self.next_deadline.map_or(deadline.instant(), |next| next.min(deadline.instant())));
        }
        Ok(())
    }

    /// What a flight of this plan begins with.
    fn start_of<'a>(&'a self, plan: &'a Arc<Plan>, scoped: &Scoped, now: Instant) -> Start<'a> {
        let generations = &self.engine.loads.tiers.own.generations;
        Start { plan, expires_at: scoped.expires_at, generations, now, wrote: self.wrote }
    }

    /// What the cache has; a reply that is old, or soon will be, is loaded anew beside.
    fn look_up(
        &self,
        plan: &Arc<Plan>,
        scoped: &Arc<Scoped>,
        key: &Key,
        (now, collector): (Instant, &mut Collector),
    ) -> Option<Outcome> {
        let rule = plan.cache?;
        let mut lookup = self.engine.loads.tiers.own.get(key);
        // Where a failure is all that can be waited for, what would stand in for it need not wait.
        if matches!(lookup, Lookup::Miss)
            && !rule.stale_if_error.is_zero()
            && plan.backend.is_away()
            && let Some((bytes, age)) = self.engine.loads.tiers.own.standby(key, rule.stale_if_error)
        {
            lookup = Lookup::Hit { result: Ok(bytes), age, stale: true, refresh: true };
        }
        let found = lookup.found();
        (&plan.series, &*self.observer).on(&Event::LookedUp { method: &plan.name, found });
        let Lookup::Hit { result, age, stale, refresh } = lookup else { return None };
        if refresh {
            let refresh = self.engine.loads.flights.start_refresh(self.start_of(plan, scoped, now), key.clone());
            refresh.into_iter().for_each(|unsent| collector.add(unsent, scoped));
        }
        Some(Outcome::cached(result, if stale { Origin::Stale } else { Origin::Cache }, age))
    }

    fn check_limits(&self, head: &Head, method: &str) -> Result<(), (Failure, RefusedBy)> {
        let Limits { calls, message, .. } = self.limits;
        if !calls.allows(self.calls.len()) {
            return Err((calls.exceeded(), calls.whose()));
        }
        let size = head.message.len();
        if size > message {
            let text = format!("{method}: a message of {size} bytes is over the host's bound of {message}");
            return Err((Failure::new(Code::ResourceExhausted, text), RefusedBy::MessageBound));
        }
        Ok(())
    }

    fn scoped(&mut self, scope: Scope) -> Arc<Scoped> {
        let [principal, tenant, public] = &mut self.scoped;
        let place = match scope {
            Scope::Principal => principal,
            Scope::Tenant => tenant,
            Scope::Public => public,
        };
        place.get_or_insert_with(|| Arc::new(self.caller.scoped(scope, &self.engine.forward))).clone()
    }

    fn share(
        &self,
        ticket: u32,
        start: Start<'_>,
        scoped: &Arc<Scoped>,
        key: Key,
        deadline: Deadline,
        collector: &mut Collector,
    ) -> Arc<Flight> {
        let (inbox, observer, method) = (self.inbox.clone(), self.observer.clone(), &start.plan.name);
        let waiter = Waiter { inbox, ticket, deadline, observer, origin: Origin::Upstream };
        let (flight, unsent) = self.engine.loads.flights.join_or_start(start, key, waiter);
        match unsent {
            Some(unsent) => collector.add(unsent, scoped),
            None => self.observer.on(&Event::Joined { method }),
        }
        flight
    }
}

pub(super) fn not_granted(method: &str) -> Failure {
    Failure::new(
        Code::PermissionDenied,
        format!("method {method} is not granted: add it to [calls] in plugin.toml and build again"),
    )
}
