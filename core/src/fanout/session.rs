//! The engine as one request sees it: tickets out, completions back.

mod alone;
mod arena;
mod bounds;
mod call_batch;
mod dedup;
mod ending;
mod starting;
mod tickets;

pub use arena::{Arena, Completion};
pub use bounds::{Limits, MostCalls};
pub use call_batch::JsonOrProto;

use super::{
    call::Outcome,
    engine::Engine,
    flight::Flight,
    inbox::Inbox,
    plan::{Plan, Plans},
    scope::{Caller, Scoped},
};
use crate::{
    model::{Code, Deadline, Failure},
    observe::{Degraded, Event, Listener, Recorder, RequestObserver},
    store::Invalidation,
};
use bytes::Bytes;
use dedup::{Ended, Takers};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tickets::{Place, Row, Tickets};
use tokio::{task::AbortHandle, time::Instant};

/// Replies of one request may fill the arena this often.
const ARENAS: usize = 8;

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
    observer: Arc<RequestObserver>,
    calls: Tickets,
    /// When its last write had ended, or was given up.
    wrote: Option<Instant>,
    open: usize,
    /// No call under way ends its wait before this.
    next_deadline: Option<Instant>,
    ready: VecDeque<Ended>,
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
    /// None where there was nothing left to run it.
    Alone(Option<AbortHandle>),
}

impl Loading {
    fn flight(&self) -> Option<&Arc<Flight>> {
        match self {
            Self::Shared(flight) => Some(flight),
            Self::Alone(_) => None,
        }
    }
}

impl Session {
    pub fn new(
        engine: Arc<Engine>,
        plans: Arc<Plans>,
        caller: Caller,
        deadline: Deadline,
        limits: Limits,
        observer: Arc<RequestObserver>,
    ) -> Self {
        Self {
            engine,
            plans,
            caller,
            scoped: [None, None, None],
            deadline,
            limits,
            inbox: Arc::new(Inbox::new(limits.arena.saturating_mul(ARENAS))),
            observer,
            calls: Tickets::default(),
            wrote: None,
            open: 0,
            next_deadline: None,
            ready: VecDeque::new(),
        }
    }

    /// Who records the request, where somebody does.
    pub fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.observer.recorder()
    }

    /// How many calls the request may make.
    pub fn most_calls(&self) -> u32 {
        self.limits.calls.most()
    }

    /// A part of the response is less than it should be, though no call of the request was: so it is shown in front of a mock.
    pub fn tell_degraded(&self, method: &str, how: Degraded) {
        self.observer.on(&Event::Degraded { method: &method.into(), how });
    }

    /// Cached replies with this tag are true no more.
    pub fn invalidate(&self, tag: &str) {
        self.engine.loads.tiers.invalidate(&Invalidation::Tags(vec![tag.to_owned()]));
    }

    /// The body of the contract's `exchange`: cancels, starts, waits until something has ended or `wait` has passed, hands over.
    pub async fn exchange(&mut self, calls: Vec<Head>, cancel: &[u32], wait: Option<Duration>) -> Arena {
        let until = wait.map(|wait| (Instant::now() + wait).min(self.deadline.instant()));
        for ticket in cancel {
            self.cancel(*ticket);
        }
        self.start(calls, Row::Told);
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
            self.leave(sent, &under_way);
        }
        self.ready.retain_mut(|ended| {
            ended.takers.remove(ticket);
            ended.takers.len() > 0
        });
    }

    /// A load that has had the call's time ends by itself, and says of its backend that it was late.
    fn leave(&self, ticket: u32, UnderWay { load, deadline, .. }: &UnderWay) {
        match load {
            Loading::Shared(flight) => self.engine.loads.flights.leave(flight, &self.inbox, ticket),
            Loading::Alone(Some(task)) if !deadline.has_passed() => task.abort(),
            Loading::Alone(_) => {}
        }
    }

    /// Takes in what has arrived, and gives up what is past its time.
    fn collect(&mut self) {
        for (ticket, outcome) in self.inbox.take() {
            if let Some(UnderWay { about, load, takers, .. }) = self.take(ticket).map(|under_way| *under_way) {
                self.end(&about, takers, load.flight(), outcome);
            }
        }
        let now = Instant::now();
        if self.next_deadline.is_none_or(|next| next > now) {
            return;
        }
        self.next_deadline = None;
        for ticket in self.calls.all() {
            let Some(Place::Open(under_way)) = self.calls.get(ticket) else { continue };
            let deadline = under_way.deadline.instant();
            if deadline > now {
                self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
            } else if let Some(under_way) = self.take(ticket) {
                self.leave(ticket, &under_way);
                let UnderWay { about, load, takers, .. } = *under_way;
                let failure = Failure::new(Code::DeadlineExceeded, "no answer in time");
                self.end(&about, takers, load.flight(), Outcome::failed(failure));
            }
        }
    }

    /// The call, which has ended with this.
    fn take(&mut self, ticket: u32) -> Option<Box<UnderWay>> {
        let place = self.calls.get_mut(ticket)?;
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
        for ticket in self.calls.all() {
            if let Some(under_way) = self.take(ticket) {
                self.leave(ticket, &under_way);
                self.abandon(&under_way);
            }
        }
    }
}
