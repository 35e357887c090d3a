//! Calls on their way out: refused, found in the cache, shared, or sent.

use super::{
    About, Head, Loading, Place, Session, UnderWay,
    twins::{Firsts, Takers},
};
use crate::{
    fanout::{
        cache::Lookup,
        call::{Key, Origin, Outcome, Trip},
        flight::{Flight, Waiter},
        lane::{LaneKey, Lanes, Passenger},
        plan::{Plan, Plans},
        scope::Scoped,
    },
    model::{Code, Deadline, Failure, Scope},
    upstream::Outgoing,
};
use bytes::Bytes;
use hashbrown::HashMap;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{task::AbortHandle, time::Instant};

/// Calls of one exchange that go into lanes, gathered so that each lane is entered once.
type Boarding = HashMap<(u32, LaneKey), (Arc<Plan>, Arc<Scoped>, Vec<Passenger>)>;

/// What the calls of one exchange have in common.
#[derive(Debug)]
struct Starting {
    plans: Arc<Plans>,
    now: Instant,
    boarding: Boarding,
    first: Firsts,
}

impl Session {
    pub(super) fn start(&mut self, calls: Vec<Head>) {
        let Some(deepest) = calls.iter().map(|head| head.depth).max() else { return };
        self.stats.calls.fetch_add(u32::try_from(calls.len()).unwrap_or(u32::MAX), Relaxed);
        self.stats.depth.fetch_max(u32::from(deepest), Relaxed);
        let mut starting = Starting {
            plans: self.plans.clone(),
            now: Instant::now(),
            boarding: Boarding::new(),
            first: Firsts::of(calls.len()),
        };
        self.calls.reserve(calls.len());
        for head in calls {
            let ticket = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
            self.calls.push(Place::Empty);
            if let Err(failure) = self.start_one(ticket, head, &mut starting) {
                self.refuse(ticket, failure);
            }
        }
        for ((_, lane), (plan, scoped, passengers)) in starting.boarding {
            Lanes::enter(&self.engine, &plan, lane, &scoped, passengers);
        }
    }

    fn start_one(&mut self, ticket: u32, head: Head, starting: &mut Starting) -> Result<(), Failure> {
        let Starting { plans, now, boarding, first } = starting;
        let planned = plans.get(head.method).ok_or_else(|| not_granted(&format!("number {}", head.method)))?;
        let plan = &planned.plan;
        self.check_limits(ticket, &head, &plan.name)?;
        if plan.safe && self.is_twin(ticket, &head, first) {
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
                if let Some(outcome) = self.look_up(plan, &scoped, &key, boarding) {
                    self.end(&about, takers, None, outcome);
                    first.ended(ticket, about, self.ready.len() - 1);
                    return Ok(());
                }
                Loading::Shared(self.share(ticket, plan, &scoped, key, deadline, boarding))
            }
        };
        if let Some(place) = self.calls.get_mut(ticket as usize) {
            *place = Place::Open(Box::new(UnderWay { about, deadline, load, takers }));
            self.open += 1;
            self.next_deadline =
                Some(self.next_deadline.map_or(deadline.instant(), |next| next.min(deadline.instant())));
        }
        Ok(())
    }

    /// What the cache has; a reply that is old, or soon will be, is loaded anew beside.
    fn look_up(&self, plan: &Arc<Plan>, scoped: &Arc<Scoped>, key: &Key, boarding: &mut Boarding) -> Option<Outcome> {
        plan.cache?;
        let lookup = self.engine.cache.get(key);
        plan.lookups.count(&lookup);
        let Lookup::Hit { result, age, stale, refresh } = lookup else { return None };
        if refresh
            && let Some(flight) = self.engine.flights.start_refresh(self.engine.start_of(plan, scoped), key.clone())
        {
            self.send(flight, scoped, boarding);
        }
        let origin = if stale { Origin::Stale } else { Origin::Cache };
        Some(Outcome { result, origin, age, trip: None })
    }

    fn check_limits(&self, ticket: u32, head: &Head, method: &str) -> Result<(), Failure> {
        if ticket >= self.limits.calls {
            let text = format!(
                "{method}: the request has made its {} calls; ask for many items in one call, or raise `calls` in [limits] of plugin.toml",
                self.limits.calls
            );
            return Err(Failure::new(Code::ResourceExhausted, text));
        }
        if head.message.len() > self.limits.message {
            let text = format!(
                "{method}: a message of {} bytes is over the bound of {}",
                head.message.len(),
                self.limits.message
            );
            return Err(Failure::new(Code::ResourceExhausted, text));
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

    /// A call that nobody shares: not safe, or nobody to share it with. A write that went well invalidates what it is declared to.
    fn send_alone(
        &self,
        ticket: u32,
        plan: &Arc<Plan>,
        scoped: &Scoped,
        message: Bytes,
        deadline: Deadline,
    ) -> AbortHandle {
        let (engine, plan) = (self.engine.clone(), plan.clone());
        let (inbox, stats) = (self.inbox.clone(), self.stats.clone());
        let (metadata, source) = (scoped.metadata.clone(), scoped.source);
        let task = tokio::spawn(async move {
            stats.count_upstream();
            let started = Instant::now();
            let outgoing =
                Outgoing { method: plan.method.clone(), message: message.clone(), metadata, deadline, source };
            let answer = plan.backend.call(outgoing).await;
            if answer.result.is_ok() && !plan.safe {
                // Before the plugin hears of it: who reads after a write finds nothing old.
                engine.invalidate_written(&plan, &message).await;
            }
            let (via, attempts, ended) = (plan.name.to_string(), answer.attempts, Instant::now());
            let trip = Some(Arc::new(Trip { via, keys: 1, attempts, gathered: Duration::ZERO, started, ended }));
            inbox.put(ticket, Outcome { trip, ..Outcome::upstream(answer.result.map_err(Arc::new)) });
        });
        task.abort_handle()
    }

    fn share(
        &self,
        ticket: u32,
        plan: &Arc<Plan>,
        scoped: &Arc<Scoped>,
        key: Key,
        deadline: Deadline,
        boarding: &mut Boarding,
    ) -> Arc<Flight> {
        let (inbox, stats) = (self.inbox.clone(), self.stats.clone());
        let waiter = Waiter { inbox, ticket, deadline, stats, origin: Origin::Upstream };
        let (flight, is_new) = self.engine.flights.join_or_start(self.engine.start_of(plan, scoped), key, waiter);
        if is_new {
            self.send(flight.clone(), scoped, boarding);
        }
        flight
    }

    /// A new flight goes into a lane with others, or on its own.
    fn send(&self, flight: Arc<Flight>, scoped: &Arc<Scoped>, boarding: &mut Boarding) {
        let plan = flight.plan.clone();
        let single = plan.batch.as_ref().and_then(|batch| batch.rule.split_request(&flight.key.request).ok());
        match single {
            Some(single) => {
                let lane = LaneKey { scope: flight.key.scope.clone(), rest: single.rest };
                let entry = boarding.entry((plan.id, lane)).or_insert_with(|| (plan, scoped.clone(), Vec::new()));
                entry.2.push(Passenger { key: single.key, flight });
            }
            None => self.engine.load(flight, scoped),
        }
    }
}

pub(super) fn not_granted(method: &str) -> Failure {
    Failure::new(
        Code::PermissionDenied,
        format!("method {method} is not granted: add it to [calls] in plugin.toml and build again"),
    )
}
