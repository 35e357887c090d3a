//! Coalescing: equal calls under way share one load, from whichever request they come.
//!
//! A load is a task of its own. Those who wait for it come and go at their own deadlines; when the last one goes, the load is
//! cancelled. Nobody's going away costs another one the answer.

use super::{
    call::{Key, Origin, Outcome},
    inbox::{Inbox, Post},
    plan::Plan,
    stats::Stats,
};
use crate::model::{Code, Deadline, Failure};
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
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
    /// When the credentials that it travels with end.
    pub(super) expires_at: Option<SystemTime>,
    /// The cache's clock when it began.
    pub(super) generation: u64,
    pub(super) started: Instant,
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
    pub(super) generation: u64,
}

/// One call that waits for a flight.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) inbox: Arc<Inbox>,
    pub(super) ticket: u32,
    pub(super) deadline: Deadline,
    pub(super) stats: Arc<Stats>,
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
    pub(super) fn runs_as(&self, task: AbortHandle) {
        let _ = self.task.set(task);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flight {
    fn new(start: Start<'_>, key: Key, first: Option<Waiter>) -> Arc<Self> {
        let detached = first.is_none();
        let state = State { waiters: first.into_iter().collect(), closed: false, load: None };
        let Start { plan, expires_at, generation } = start;
        let started = Instant::now();
        Arc::new(Self { key, plan: plan.clone(), expires_at, generation, started, detached, state: Mutex::new(state) })
    }

    /// Gives the waiter back where the flight has ended already.
    fn join(&self, waiter: Waiter) -> Result<(), Waiter> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(waiter);
        }
        state.waiters.push(Waiter { origin: Origin::Coalesced, ..waiter });
        Ok(())
    }

    /// The load that will end this flight. `false`: nobody waits any more, so it need not travel.
    pub(super) fn board(&self, load: &Arc<Load>) -> bool {
        let mut state = lock(&self.state);
        if !state.closed {
            state.load = Some(load.clone());
        }
        !state.closed
    }

    /// The latest deadline of those who wait; `None` where nobody does. A refresh has the method's time.
    pub(super) fn latest_deadline(&self) -> Option<Deadline> {
        let latest = lock(&self.state).waiters.iter().map(|waiter| waiter.deadline).max();
        latest.or_else(|| self.detached.then(|| Deadline::after(self.plan.timeout)))
    }

    /// Counts one upstream call for each request that waits, once.
    pub(super) fn stats(&self) -> Vec<Arc<Stats>> {
        lock(&self.state).waiters.iter().map(|waiter| waiter.stats.clone()).collect()
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

    /// Joins the flight with this key, or starts one. `true`: it is new, and the caller has to load it.
    pub(super) fn join_or_start(&self, start: Start<'_>, key: Key, mut waiter: Waiter) -> (Arc<Flight>, bool) {
        let mut shard = self.shard(&key);
        if let Some(flight) = shard.get(&key) {
            match flight.join(waiter) {
                Ok(()) => return (flight.clone(), false),
                Err(back) => waiter = back,
            }
        }
        let flight = Flight::new(start, key.clone(), Some(waiter));
        shard.insert(key, flight.clone());
        (flight, true)
    }

    /// Starts a flight that nobody waits for, unless there is one with this key.
    pub(super) fn start_refresh(&self, start: Start<'_>, key: Key) -> Option<Arc<Flight>> {
        let mut shard = self.shard(&key);
        if shard.get(&key).is_some_and(|flight| !lock(&flight.state).closed) {
            return None;
        }
        let flight = Flight::new(start, key.clone(), None);
        shard.insert(key, flight.clone());
        Some(flight)
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

    /// One call waits no longer. The last to leave cancels the load.
    pub(super) fn leave(&self, flight: &Arc<Flight>, inbox: &Arc<Inbox>, ticket: u32) {
        let load = {
            let mut state = lock(&flight.state);
            state.waiters.retain(|waiter| waiter.ticket != ticket || !Arc::ptr_eq(&waiter.inbox, inbox));
            if state.closed || flight.detached || !state.waiters.is_empty() {
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

/// Ends its flights if the load ends without doing so (a panic in it), so that nobody waits in vain.
#[derive(Debug)]
pub(super) struct Boarded<'a> {
    pub(super) flights: &'a Flights,
    pub(super) boarded: Vec<Arc<Flight>>,
}

impl Drop for Boarded<'_> {
    fn drop(&mut self) {
        for flight in self.boarded.drain(..) {
            let failure = Failure::new(Code::Internal, "the load ended without an answer");
            self.flights.end(&flight, &Outcome::failed(failure), &mut Post::default());
        }
    }
}
