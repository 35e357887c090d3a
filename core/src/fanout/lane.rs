//! Batching: calls of one method and scope whose requests are equal but for the key travel together.
//!
//! A whole exchange is put in before any batch is cut, so one exchange never splits by accident. While fewer than
//! [`BATCHES_UNDER_WAY`] batches are out, the next one leaves at once; else calls gather for at most half a round trip and never
//! longer than [`LONGEST_GATHERING`], so a stalled batch holds nobody up.

use super::{
    call::Trip,
    config::Missing,
    engine::{Engine, Loaded},
    flight::{Boarded, Flight, Load},
    inbox::Post,
    plan::{Batch, Plan},
    scope::{ScopeKey, Scoped},
    stats::Stats,
};
use crate::{
    model::{Code, Failure},
    upstream::Outgoing,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, join};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;
use weft_wire::{Item, KeyValue};

/// Batches of one lane that may be out before calls begin to gather.
const BATCHES_UNDER_WAY: usize = 2;
/// The part of a backend's learnt concurrency that one lane may use before its calls begin to gather.
const SHARE_OF_LIMIT: usize = 8;
const LONGEST_GATHERING: Duration = Duration::from_millis(2);

/// The lanes of one method.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<HashMap<LaneKey, Arc<Lane>>>);

/// Calls that may share a batch: same scope, same request but for the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) scope: ScopeKey,
    pub(super) rest: Bytes,
}

/// One call on its way into a batch.
#[derive(Debug)]
pub(super) struct Passenger {
    pub(super) key: KeyValue,
    pub(super) flight: Arc<Flight>,
}

/// Where calls gather.
#[derive(Debug)]
pub(super) struct Lane {
    key: LaneKey,
    plan: Arc<Plan>,
    scoped: Arc<Scoped>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Passenger>,
    under_way: usize,
    gathering: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    /// Puts all passengers of one exchange into their lane at once, then lets the lane decide.
    pub(super) fn enter(
        engine: &Arc<Engine>,
        plan: &Arc<Plan>,
        key: LaneKey,
        scoped: &Arc<Scoped>,
        passengers: Vec<Passenger>,
    ) {
        let Some(batch) = &plan.batch else { return };
        let lane = {
            let mut lanes = lock(&batch.lanes.0);
            let lane = lanes.entry(key.clone()).or_insert_with(|| {
                Arc::new(Lane { key, plan: plan.clone(), scoped: scoped.clone(), state: Mutex::default() })
            });
            let lane = lane.clone();
            // Under the map's lock, so that the lane can't be taken away as empty in between.
            lock(&lane.state).waiting.extend(passengers);
            lane
        };
        lane.depart(engine, batch);
    }

    fn remove_if_idle(&self, lane: &Arc<Lane>) {
        let mut lanes = lock(&self.0);
        let idle = {
            let state = lock(&lane.state);
            state.waiting.is_empty() && state.under_way == 0 && !state.gathering
        };
        if idle && lanes.get(&lane.key).is_some_and(|current| Arc::ptr_eq(current, lane)) {
            lanes.remove(&lane.key);
        }
    }
}

impl Lane {
    /// Sends what may leave now; sees to it that the others leave soon.
    fn depart(self: &Arc<Self>, engine: &Arc<Engine>, batch: &Batch) {
        let mut state = lock(&self.state);
        // A backend that was seen to take more at once gets more at once.
        let at_once = (self.plan.backend.concurrency() / SHARE_OF_LIMIT).max(BATCHES_UNDER_WAY);
        while state.under_way < at_once && !state.waiting.is_empty() {
            self.send_next(engine, batch, &mut state);
        }
        if state.waiting.is_empty() || state.gathering {
            return;
        }
        state.gathering = true;
        let (lane, engine) = (self.clone(), engine.clone());
        let pause = batch.gathering();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let Some(batch) = &lane.plan.batch else { return };
            let mut state = lock(&lane.state);
            state.gathering = false;
            while !state.waiting.is_empty() {
                lane.send_next(&engine, batch, &mut state);
            }
            drop(state);
            batch.lanes.remove_if_idle(&lane);
        });
    }

    /// Cuts one batch at its bounds and starts it.
    fn send_next(self: &Arc<Self>, engine: &Arc<Engine>, batch: &Batch, state: &mut State) {
        let mut places: HashMap<KeyValue, usize> = HashMap::new();
        let mut keys: Vec<KeyValue> = Vec::new();
        let mut groups: Vec<Vec<Arc<Flight>>> = Vec::new();
        let mut bytes = batch.rule.base_len(&self.key.rest);
        while let Some(next) = state.waiting.front() {
            if let Some(group) = places.get(&next.key).and_then(|place| groups.get_mut(*place)) {
                group.extend(state.waiting.pop_front().map(|passenger| passenger.flight));
                continue;
            }
            let length = batch.rule.key_len(&self.key.rest, &next.key);
            if keys.len() == batch.max || (!keys.is_empty() && bytes + length > batch.max_bytes) {
                break;
            }
            let Some(passenger) = state.waiting.pop_front() else { break };
            bytes += length;
            places.insert(passenger.key.clone(), keys.len());
            keys.push(passenger.key);
            groups.push(vec![passenger.flight]);
        }
        let load = Load::new(groups.iter().map(Vec::len).sum());
        for group in &mut groups {
            group.retain(|flight| {
                let wanted = flight.board(&load);
                if !wanted {
                    load.release();
                }
                wanted
            });
        }
        let (keys, groups): (Vec<_>, Vec<_>) =
            keys.into_iter().zip(groups).filter(|(_, group)| !group.is_empty()).unzip();
        if keys.is_empty() {
            return;
        }
        state.under_way += 1;
        let (lane, engine) = (self.clone(), engine.clone());
        let task = tokio::spawn(async move {
            let _arrival = Arrival { lane: &lane, engine: &engine };
            let _boarded = Boarded { flights: &engine.flights, boarded: groups.iter().flatten().cloned().collect() };
            let (keys, groups) = lane.only_misses(&engine, keys, groups).await;
            lane.travel(&engine, keys, groups).await;
        });
        load.runs_as(task.abort_handle());
    }

    /// Without those that the second tier has.
    async fn only_misses(
        &self,
        engine: &Engine,
        keys: Vec<KeyValue>,
        groups: Vec<Vec<Arc<Flight>>>,
    ) -> (Vec<KeyValue>, Vec<Vec<Arc<Flight>>>) {
        if engine.shared.is_none() || self.plan.cache.is_none() {
            return (keys, groups);
        }
        let left = engine.take_shared(groups.iter().flatten().cloned().collect()).await;
        let is_left = |flight: &Arc<Flight>| left.iter().any(|other| Arc::ptr_eq(other, flight));
        let groups = groups.into_iter().map(|group| group.into_iter().filter(is_left).collect::<Vec<_>>());
        keys.into_iter().zip(groups).filter(|(_, group)| !group.is_empty()).unzip()
    }

    /// One batch out and back; in halves where it failed because of one item.
    fn travel<'a>(
        &'a self,
        engine: &'a Engine,
        keys: Vec<KeyValue>,
        groups: Vec<Vec<Arc<Flight>>>,
    ) -> BoxFuture<'a, ()> {
        async move {
            let (Some(batch), Some(first)) = (&self.plan.batch, groups.first().and_then(|group| group.first())) else {
                return;
            };
            engine.metrics.batch_size.observe(keys.len() as f64);
            if keys.len() == 1 {
                let loaded = engine.load_single(first, &self.scoped).await;
                settle_all(engine, groups.iter().flatten(), &loaded);
                return;
            }
            let Loaded { result, trip } = self.call(batch, &keys, &groups).await;
            match result {
                Err(failure) if batch.missing == Missing::Fails && is_about_an_item(failure.code) => {
                    let middle = keys.len() / 2;
                    let (mut keys, mut groups) = (keys, groups);
                    let (back_keys, back_groups) = (keys.split_off(middle), groups.split_off(middle));
                    join(self.travel(engine, keys, groups), self.travel(engine, back_keys, back_groups)).await;
                }
                Err(failure) => settle_all(engine, groups.iter().flatten(), &Loaded { result: Err(failure), trip }),
                Ok(reply) => self.hand_out(engine, batch, (&reply, trip), &keys, &groups),
            }
        }
        .boxed()
    }

    async fn call(&self, batch: &Batch, keys: &[KeyValue], groups: &[Vec<Arc<Flight>>]) -> Loaded {
        let Some(deadline) = groups.iter().flatten().filter_map(|flight| flight.latest_deadline()).max() else {
            return Loaded { result: Err(Failure::new(Code::Cancelled, "nobody waits for the reply")), trip: None };
        };
        count_upstream(groups);
        let message = batch.rule.merge(&self.key.rest, keys);
        let started = Instant::now();
        let gathered = groups.iter().flatten().map(|flight| started.saturating_duration_since(flight.started)).max();
        let outgoing = Outgoing {
            method: batch.method.clone(),
            message,
            metadata: self.scoped.metadata.clone(),
            deadline: deadline.capped(self.plan.timeout),
            source: self.scoped.source,
        };
        let answer = self.plan.backend.call(outgoing).await;
        batch.observe_round_trip(started.elapsed());
        let trip = Trip {
            via: batch.method.name.clone(),
            keys: keys.len(),
            attempts: answer.attempts,
            gathered: gathered.unwrap_or_default(),
            started,
            ended: Instant::now(),
        };
        Loaded { result: answer.result, trip: Some(Arc::new(trip)) }
    }

    fn hand_out(
        &self,
        engine: &Engine,
        batch: &Batch,
        (reply, trip): (&Bytes, Option<Arc<Trip>>),
        keys: &[KeyValue],
        groups: &[Vec<Arc<Flight>>],
    ) {
        let items = match batch.rule.split_reply(reply, keys) {
            Ok(items) => items,
            Err(error) => {
                let via = &batch.method.name;
                tracing::warn!(method = %self.plan.name, %via, %error, "malformed batch reply");
                let text = format!("the reply of {via} can't be split into replies of {}: {error}", self.plan.name);
                let result = Err(Failure::new(Code::Internal, text));
                settle_all(engine, groups.iter().flatten(), &Loaded { result, trip });
                return;
            }
        };
        let mut post = Post::default();
        for (item, group) in items.into_iter().zip(groups) {
            let result = match item {
                Item::Found(bytes) => Ok(bytes),
                Item::Missing => Err(Failure::new(Code::NotFound, format!("{}: no such item", self.plan.name))),
                Item::Failed(failure) => {
                    let code = Code::from_number(failure.code);
                    Err(Failure { code, message: failure.message, details: failure.status })
                }
            };
            for flight in group {
                engine.settle(flight, Loaded { result: result.clone(), trip: trip.clone() }, &mut post);
            }
        }
    }
}

/// Takes the batch off the lane's count however it ended, and sends on what gathered behind it.
struct Arrival<'a> {
    lane: &'a Arc<Lane>,
    engine: &'a Arc<Engine>,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        lock(&self.lane.state).under_way -= 1;
        if let Some(batch) = &self.lane.plan.batch {
            self.lane.depart(self.engine, batch);
            batch.lanes.remove_if_idle(self.lane);
        }
    }
}

impl Batch {
    /// How long calls gather while enough batches are out.
    fn gathering(&self) -> Duration {
        let seconds = f64::from_bits(self.round_trip.load(Relaxed));
        Duration::from_secs_f64(seconds / 2.0).min(LONGEST_GATHERING)
    }

    fn observe_round_trip(&self, took: Duration) {
        let before = f64::from_bits(self.round_trip.load(Relaxed));
        let now = took.as_secs_f64();
        let average = if before == 0.0 { now } else { before.mul_add(0.8, now * 0.2) };
        self.round_trip.store(average.to_bits(), Relaxed);
    }
}

/// Codes with which an atomic batch says that one of its items is at fault.
fn is_about_an_item(code: Code) -> bool {
    matches!(
        code,
        Code::NotFound | Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition | Code::OutOfRange
    )
}

fn settle_all<'a>(engine: &Engine, flights: impl IntoIterator<Item = &'a Arc<Flight>>, loaded: &Loaded) {
    let mut post = Post::default();
    for flight in flights {
        engine.settle(flight, loaded.clone(), &mut post);
    }
}

/// Each request that takes part counts the batch once.
fn count_upstream(groups: &[Vec<Arc<Flight>>]) {
    let mut counted: Vec<Arc<Stats>> = Vec::new();
    for stats in groups.iter().flatten().flat_map(|flight| flight.stats()) {
        if !counted.iter().any(|other| Arc::ptr_eq(other, &stats)) {
            stats.count_upstream();
            counted.push(stats);
        }
    }
}
