//! The engine as one request sees it: tickets out, completions back.

mod ending;
mod twins;
mod whole;

pub use whole::JsonOrProto;

use super::{
    arena::Arena,
    cache::Lookup,
    call::{Key, Origin, Outcome, Trip},
    engine::Engine,
    flight::{Flight, Waiter},
    inbox::Inbox,
    lane::{LaneKey, Lanes, Passenger},
    plan::{Plan, Plans},
    scope::{Caller, Scoped},
    stats::Stats,
};
use crate::{
    model::{Code, Deadline, Failure, Scope},
    store::Untrue,
    upstream::Outgoing,
};
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{task::AbortHandle, time::Instant};
use twins::{Firsts, Takers};

/// Replies of one request may fill the arena this often.
const ARENAS: usize = 8;

/// What one request may ask of the engine.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls of the whole request, before batching.
    pub calls: u32,
    /// Bytes of replies handed over in one exchange.
    pub arena: usize,
    /// Bytes of one request message.
    pub message: usize,
}

/// One call of an exchange.
#[derive(Debug, Clone)]
pub struct Head {
    /// Place in the artifact's method table.
    pub method: u32,
    /// The longest chain of calls that this one waited for, itself included.
    pub depth: u16,
    pub timeout: Option<Duration>,
    /// What may stand in if the call fails, beside a fallback of the manifest.
    pub instead: Instead,
    pub message: Bytes,
}

/// What a plugin accepts instead of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Instead {
    /// An old reply, as old as there is.
    pub stale: bool,
    /// An empty message.
    pub default: bool,
}

/// The calls of one request. Dropping it cancels those under way.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    plans: Arc<Plans>,
    caller: Caller,
    scoped: [Option<Arc<Scoped>>; 3],
    deadline: Deadline,
    limits: Limits,
    inbox: Arc<Inbox>,
    stats: Arc<Stats>,
    /// By ticket.
    calls: Vec<Place>,
    open: usize,
    /// No call under way ends its wait before this.
    next_deadline: Option<Instant>,
    ready: VecDeque<(u32, Outcome)>,
}

/// What there is of one ticket.
#[derive(Debug, Default)]
enum Place {
    /// It never began, has ended, or was cancelled.
    #[default]
    Empty,
    Open(UnderWay),
    /// It ends as the call with this ticket does.
    Twin(u32),
}

#[derive(Debug)]
struct UnderWay {
    about: About,
    deadline: Deadline,
    load: Loading,
    takers: Takers,
}

/// What is remembered of a call until it has ended.
#[derive(Debug, Clone)]
struct About {
    plan: Arc<Plan>,
    method: u32,
    instead: Instead,
    started: Instant,
}

#[derive(Debug)]
enum Loading {
    Shared(Arc<Flight>),
    Alone(AbortHandle),
}

impl Loading {
    fn flight(&self) -> Option<&Arc<Flight>> {
        match self {
            Self::Shared(flight) => Some(flight),
            Self::Alone(_) => None,
        }
    }
}

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
    pub fn new(
        engine: Arc<Engine>,
        plans: Arc<Plans>,
        caller: Caller,
        deadline: Deadline,
        limits: Limits,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            engine,
            plans,
            caller,
            scoped: [None, None, None],
            deadline,
            limits,
            inbox: Arc::new(Inbox::new(limits.arena.saturating_mul(ARENAS))),
            stats,
            calls: Vec::new(),
            open: 0,
            next_deadline: None,
            ready: VecDeque::new(),
        }
    }

    /// Cached replies with this tag are true no more.
    pub fn invalidate(&self, tag: &str) {
        self.engine.invalidate(&Untrue::Tags(vec![tag.to_owned()]));
    }

    /// The body of the contract's `exchange`: cancels, starts, waits until something has ended or `wait` has passed, hands over.
    pub async fn exchange(&mut self, calls: Vec<Head>, cancel: &[u32], wait: Option<Duration>) -> Arena {
        let until = wait.map(|wait| (Instant::now() + wait).min(self.deadline.instant()));
        for ticket in cancel {
            self.cancel(*ticket);
        }
        self.start(calls);
        loop {
            self.collect();
            let idle = self.open == 0 && until.is_none();
            if idle || !self.ready.is_empty() || until.is_some_and(|end| end <= Instant::now()) {
                return Arena::fill(&mut self.ready, self.limits.arena);
            }
            self.wait(until).await;
        }
    }

    fn cancel(&mut self, ticket: u32) {
        if let Some((sent, under_way)) = self.give_up(ticket) {
            self.leave(sent, &under_way.load);
        }
        self.ready.retain(|(other, _)| *other != ticket);
    }

    fn leave(&self, ticket: u32, load: &Loading) {
        match load {
            Loading::Shared(flight) => self.engine.flights.leave(flight, &self.inbox, ticket),
            Loading::Alone(task) => task.abort(),
        }
    }

    fn start(&mut self, calls: Vec<Head>) {
        let Some(deepest) = calls.iter().map(|head| head.depth).max() else { return };
        self.stats.calls.fetch_add(u32::try_from(calls.len()).unwrap_or(u32::MAX), Relaxed);
        self.stats.depth.fetch_max(u32::from(deepest), Relaxed);
        let mut starting = Starting {
            plans: self.plans.clone(),
            now: Instant::now(),
            boarding: Boarding::new(),
            first: Firsts::of(calls.len()),
        };
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
                    first.ended(ticket, &about, &outcome);
                    self.end(&about, &takers, None, outcome);
                    return Ok(());
                }
                Loading::Shared(self.share(ticket, plan, &scoped, key, deadline, boarding))
            }
        };
        if let Some(place) = self.calls.get_mut(ticket as usize) {
            *place = Place::Open(UnderWay { about, deadline, load, takers });
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

    /// Takes in what has arrived, and gives up what is past its time.
    fn collect(&mut self) {
        for (ticket, outcome) in self.inbox.take() {
            if let Some(UnderWay { about, load, takers, .. }) = self.take(ticket) {
                self.end(&about, &takers, load.flight(), outcome);
            }
        }
        let now = Instant::now();
        if self.next_deadline.is_none_or(|next| next > now) {
            return;
        }
        self.next_deadline = None;
        for ticket in 0..self.calls.len() as u32 {
            let Some(Place::Open(UnderWay { deadline, .. })) = self.calls.get(ticket as usize) else { continue };
            let deadline = deadline.instant();
            if deadline > now {
                self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
            } else if let Some(UnderWay { about, load, takers, .. }) = self.take(ticket) {
                self.leave(ticket, &load);
                let failure = Failure::new(Code::DeadlineExceeded, "no answer in time");
                self.end(&about, &takers, load.flight(), Outcome::failed(failure));
            }
        }
    }

    /// The call, which has ended with this.
    fn take(&mut self, ticket: u32) -> Option<UnderWay> {
        let place = self.calls.get_mut(ticket as usize)?;
        match std::mem::take(place) {
            Place::Open(under_way) => {
                self.open -= 1;
                Some(under_way)
            }
            other => {
                *place = other;
                None
            }
        }
    }

    async fn wait(&self, until: Option<Instant>) {
        let next = [self.next_deadline, until].into_iter().flatten().min().unwrap_or(self.deadline.instant());
        tokio::select! {
            () = self.inbox.rung() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for ticket in 0..self.calls.len() as u32 {
            if let Some(under_way) = self.take(ticket) {
                self.leave(ticket, &under_way.load);
            }
        }
    }
}

fn not_granted(method: &str) -> Failure {
    Failure::new(
        Code::PermissionDenied,
        format!("method {method} is not granted: add it to [calls] in plugin.toml and build again"),
    )
}
