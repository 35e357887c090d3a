//! Coalescing: equal calls under way share one load, from whichever request they come.
//!
//! A load is a task of its own, and has the method's own time, whoever began it. Those who wait for it come and go at their own
//! deadlines; when the last one cancels its call, the load is cancelled. When the last one's time is over it goes on: what it brings is
//! kept, and that the backend was slow is learnt. Nobody's going away costs another one the answer.
//!
//! Whoever finds a load under way joins it only if its answer will be true for them, and has a fair part of its time before it.
//!
//! It is no [`SingleFlight`](crate::store::SingleFlight): one load may end many flights (a batch), some of them early; who joins is asked
//! first whether the answer will be true for them; the last one to leave cancels the load; and outcomes are posted to the inboxes of
//! requests, each with its own origin, instead of being awaited one by one.

use super::{
    call::{Key, Outcome},
    inbox::{Inbox, Post},
    plan::Plan,
};
use crate::{
    model::{Code, Deadline, Failure},
    observe::{Audience, Origin, RequestObserver},
    store::Generations,
    sync::lock,
};
use bytes::Bytes;
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use tokio::{task::AbortHandle, time::Instant};

const SHARDS: usize = 16;

/// All loads under way that may be shared.
#[derive(Debug)]
pub(super) struct Flights {
    shards: [Mutex<HashMap<Key, Arc<Flight>>>; SHARDS],
    hasher: RandomState,
}

/// One load and those who wait for it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) plan: Arc<Plan>,
    /// When the credentials that it is sent with end.
    pub(super) expires_at: Option<SystemTime>,
    /// The cache's clock when it began.
    pub(super) generation: u64,
    /// The marks that its tags had in the shared tier before it was loaded.
    pub(super) marks: OnceLock<Bytes>,
    pub(super) started: Instant,
    /// Its time is over: the method's, or of a stream that of who began it.
    ends: Deadline,
    /// A refresh: it goes on although nobody waits.
    detached: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiters: Vec<Waiter>,
    closed: bool,
    load: Option<Arc<Load>>,
}

/// What a flight begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) plan: &'a Arc<Plan>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) generations: &'a Generations,
    pub(super) now: Instant,
    /// When the last write of the same request had ended: what has begun before knows nothing of it.
    pub(super) wrote: Option<Instant>,
}

impl Start<'_> {
    /// Whether the flight's reply will be true for who comes now, however late the write that made others untrue.
    fn is_served_by(&self, flight: &Flight) -> bool {
        if self.wrote.is_some_and(|wrote| flight.started <= wrote) {
            return false;
        }
        if self.generations.now() == flight.generation {
            return true;
        }
        let tags = flight.tags();
        self.generations.is_true(flight.generation, tags.iter().map(String::as_str))
    }
}

/// One call that waits for a flight.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) inbox: Arc<Inbox>,
    pub(super) ticket: u32,
    pub(super) deadline: Deadline,
    pub(super) observer: Arc<RequestObserver>,
    pub(super) origin: Origin,
}

/// The task behind one or (in a batch) many flights. Aborted when none of them has a waiter left.
#[derive(Debug)]
pub(super) struct Load {
    wanted: AtomicUsize,
    task: OnceLock<AbortHandle>,
}

impl Load {
    pub(super) fn new(flights: usize) -> Arc<Self> {
        Arc::new(Self { wanted: AtomicUsize::new(flights), task: OnceLock::new() })
    }

    /// Names the task, after it was spawned.
    pub(super) fn runs_as(&self, task: Option<AbortHandle>) {
        if let Some(task) = task {
            let _ = self.task.set(task);
        }
        if self.wanted.load(Ordering::SeqCst) == 0 {
            self.abort();
        }
    }

    pub(super) fn release(&self) {
        if self.wanted.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.abort();
        }
    }

    fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Flight {
    fn new(start: Start<'_>, key: Key, first: Option<Waiter>) -> Arc<Self> {
        let detached = first.is_none();
        let hurry = first.as_ref().map(|first| first.deadline).filter(|_| start.plan.method.stream.is_some());
        let state = State { waiters: first.into_iter().collect(), closed: false, load: None };
        let Start { plan, expires_at, generations, now: started, .. } = start;
        // A stream is cut in time for who has asked for it: half a list is better than none.
        let ends = hurry.unwrap_or_else(|| Deadline::after_from(started, plan.timeout));
        let (plan, generation) = (plan.clone(), generations.now());
        let (marks, state) = (OnceLock::new(), Mutex::new(state));
        Arc::new(Self { key, plan, expires_at, generation, marks, started, ends, detached, state })
    }

    /// Gives the waiter back where the flight has ended already, or would end long before the waiter's own time.
    fn join(&self, waiter: Waiter, now: Instant) -> Result<(), Waiter> {
        let left = |until: Deadline| until.instant().saturating_duration_since(now);
        let is_late = left(self.ends) < left(waiter.deadline) / 2;
        let mut state = lock(&self.state);
        if state.closed || is_late {
            return Err(waiter);
        }
        state.waiters.push(Waiter { origin: Origin::Coalesced, ..waiter });
        Ok(())
    }

    fn is_open(&self) -> bool {
        !lock(&self.state).closed
    }

    /// The load that will end this flight. `false`: nobody waits any more, so it need not be sent.
    pub(super) fn attach(&self, load: &Arc<Load>) -> bool {
        let mut state = lock(&self.state);
        if !state.closed {
            state.load = Some(load.clone());
        }
        !state.closed
    }

    /// When its load ends at the latest; `None` where nobody wants it any more.
    pub(super) fn ends(&self) -> Option<Deadline> {
        self.is_open().then_some(self.ends)
    }

    /// The tags of its reply.
    pub(super) fn tags(&self) -> Arc<[String]> {
        self.plan.tags.of(&self.key.request)
    }

    /// Adds the requests that wait.
    pub(super) fn invite(&self, audience: &mut Audience) {
        lock(&self.state).waiters.iter().for_each(|waiter| audience.add(&waiter.observer));
    }
}

impl Flights {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        // In range by the remainder; the first is as good as any.
        let [first, ..] = &self.shards;
        lock(self.shards.get(at).unwrap_or(first))
    }

    /// Joins the flight with this key, or starts one, which the caller has to load.
    pub(super) fn join_or_start(
        &self,
        start: Start<'_>,
        key: Key,
        mut waiter: Waiter,
    ) -> (Arc<Flight>, Option<Unsent<'_>>) {
        let mut shard = self.shard(&key);
        if let Some(flight) = shard.get(&key).filter(|flight| start.is_served_by(flight)) {
            match flight.join(waiter, start.now) {
                Ok(()) => return (flight.clone(), None),
                Err(back) => waiter = back,
            }
        }
        let flight = Flight::new(start, key.clone(), Some(waiter));
        // One that could not be joined goes on for those who wait for it.
        shard.insert(key, flight.clone());
        (flight.clone(), Some(Unsent { flights: self, flight: Some(flight) }))
    }

    /// Starts a flight that nobody waits for, unless there is one with this key.
    pub(super) fn start_refresh(&self, start: Start<'_>, key: Key) -> Option<Unsent<'_>> {
        let mut shard = self.shard(&key);
        if shard.get(&key).is_some_and(|flight| flight.is_open() && start.is_served_by(flight)) {
            return None;
        }
        let flight = Flight::new(start, key.clone(), None);
        shard.insert(key, flight.clone());
        Some(Unsent { flights: self, flight: Some(flight) })
    }

    /// Ends the flight: all who wait get the outcome, by this post.
    pub(super) fn end(&self, flight: &Arc<Flight>, outcome: &Outcome, post: &mut Post) {
        let waiters = {
            let mut state = lock(&flight.state);
            state.closed = true;
            state.load = None;
            std::mem::take(&mut state.waiters)
        };
        self.forget(flight);
        for waiter in waiters {
            let mut own = outcome.clone();
            if own.origin == Origin::Upstream {
                own.origin = waiter.origin;
            }
            post.add(waiter.inbox, waiter.ticket, own);
        }
    }

    /// One call waits no longer. The last to leave cancels the load, unless its time was over.
    pub(super) fn leave(&self, flight: &Arc<Flight>, inbox: &Arc<Inbox>, ticket: u32) {
        let load = {
            let mut state = lock(&flight.state);
            let is_it = |waiter: &Waiter| waiter.ticket == ticket && Arc::ptr_eq(&waiter.inbox, inbox);
            let Some(place) = state.waiters.iter().position(is_it) else { return };
            let gone = state.waiters.swap_remove(place);
            if state.closed || flight.detached || !state.waiters.is_empty() || gone.deadline.has_passed() {
                return;
            }
            state.closed = true;
            state.load.take()
        };
        self.forget(flight);
        if let Some(load) = load {
            load.release();
        }
    }

    fn forget(&self, flight: &Arc<Flight>) {
        let mut shard = self.shard(&flight.key);
        if shard.get(&flight.key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            shard.remove(&flight.key);
        }
    }

    /// Loads under way.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

/// A flight that no load has yet. Dropped as it is, it ends, so that nobody waits in vain.
#[derive(Debug)]
pub(super) struct Unsent<'a> {
    flights: &'a Flights,
    flight: Option<Arc<Flight>>,
}

impl Unsent<'_> {
    /// The flight, for a guard of longer life.
    pub(super) fn take(mut self) -> Option<Arc<Flight>> {
        self.flight.take()
    }

    pub(super) fn flight(&self) -> Option<&Arc<Flight>> {
        self.flight.as_ref()
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        end_without_answer(self.flights, self.flight.take());
    }
}

/// Ends its flights if their load ends without doing so: by a panic, aborted, before it was ever run or with its runtime.
#[derive(Debug)]
pub(super) struct LoadGuard {
    flights: Arc<Flights>,
    open: Vec<Arc<Flight>>,
}

impl LoadGuard {
    pub(super) fn new(flights: Arc<Flights>, open: Vec<Arc<Flight>>) -> Self {
        Self { flights, open }
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        end_without_answer(&self.flights, self.open.drain(..));
    }
}

/// Ends those that are open still.
pub(super) fn end_without_answer(flights: &Flights, open: impl IntoIterator<Item = Arc<Flight>>) {
    let mut post = Post::default();
    for flight in open.into_iter().filter(|flight| flight.is_open()) {
        let failure = Failure::new(Code::Internal, "the load ended without an answer");
        flights.end(&flight, &Outcome::failed(failure), &mut post);
    }
}
