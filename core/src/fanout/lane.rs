//! Batching: calls of one method and scope whose requests are equal but for the key travel together.
//!
//! A whole exchange is put in before any batch is cut, so one exchange never splits by accident. While fewer than
//! [`BATCHES_UNDER_WAY`] batches are out, the next one leaves at once; else calls gather for at most half a round trip and never
//! longer than [`LONGEST_GATHERING`], so a stalled batch holds nobody up.

mod boarding;
mod travel;

use super::{
    engine::{Engine, spawn},
    flight::{Boarded, Flight, Load},
    plan::{Batch, Plan},
    scope::{ScopeKey, Scoped},
};
pub(super) use boarding::Boarding;
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;
use travel::{Aboard, Departure, Groups};
use weft_wire::KeyValue;

/// Batches of one lane that may be out before calls begin to gather.
const BATCHES_UNDER_WAY: usize = 2;
/// The part of a backend's learnt concurrency that one lane may use before its calls begin to gather.
const SHARE_OF_LIMIT: usize = 8;
const LONGEST_GATHERING: Duration = Duration::from_millis(2);
const BETWEEN_WARNINGS: Duration = Duration::from_mins(1);

/// The lanes of one method.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<HashMap<LaneKey, Arc<Lane>>>);

/// Calls that may share a batch: same scope, same request but for the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LaneKey {
    scope: ScopeKey,
    rest: Bytes,
}

/// One call on its way into a batch.
#[derive(Debug)]
struct Passenger {
    key: KeyValue,
    flight: Arc<Flight>,
}

/// Where calls gather.
#[derive(Debug)]
struct Lane {
    key: LaneKey,
    plan: Arc<Plan>,
    scoped: Arc<Scoped>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Passenger>,
    /// Of those, the first so many have gathered for long enough.
    due: usize,
    under_way: usize,
    gathering: bool,
    /// Somebody is sending what may leave, and sees whatever changes meanwhile.
    departing: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    /// Puts all passengers of one exchange into their lane at once, then lets the lane decide.
    fn enter(engine: &Arc<Engine>, plan: &Arc<Plan>, key: LaneKey, scoped: &Arc<Scoped>, passengers: Vec<Passenger>) {
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
        lane.depart(engine);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
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
    /// Takes itself away where there is nothing to do.
    fn tidy(self: &Arc<Self>) {
        if let Some(batch) = &self.plan.batch {
            batch.lanes.remove_if_idle(self);
        }
    }

    /// Sends what may leave now; sees to it that the others leave soon.
    fn depart(self: &Arc<Self>, engine: &Arc<Engine>) {
        let Some(batch) = &self.plan.batch else { return };
        if std::mem::replace(&mut lock(&self.state).departing, true) {
            return;
        }
        // A backend that was seen to take more at once gets more at once.
        let at_once = (self.plan.backend.concurrency() / SHARE_OF_LIMIT).max(BATCHES_UNDER_WAY);
        loop {
            let mut state = lock(&self.state);
            if state.waiting.is_empty() || (state.due == 0 && state.under_way >= at_once) {
                state.departing = false;
                let gathers = !state.waiting.is_empty() && !state.gathering;
                state.gathering |= gathers;
                drop(state);
                if gathers {
                    self.gather(engine, batch.gathering());
                }
                return;
            }
            let departure = self.cut(engine, batch, &mut state);
            // Never under the lock: where the runtime is gone, all that was to travel ends here and now, and takes the lock.
            drop(state);
            if let Some(departure) = departure {
                departure.leave();
            }
        }
    }

    /// What waits now leaves after this pause, whatever else is out.
    fn gather(self: &Arc<Self>, engine: &Arc<Engine>, pause: Duration) {
        let gathering = Gathering { lane: self.clone(), engine: engine.clone() };
        spawn(async move {
            tokio::time::sleep(pause).await;
            drop(gathering);
        });
    }

    /// Cuts one batch at its bounds. None where nobody waits for any of it.
    fn cut(self: &Arc<Self>, engine: &Arc<Engine>, batch: &Batch, state: &mut State) -> Option<Departure> {
        let mut places: HashMap<KeyValue, usize> = HashMap::new();
        let mut keys: Vec<KeyValue> = Vec::new();
        let mut groups: Groups = Vec::new();
        let mut bytes = batch.rule.base_len(&self.key.rest);
        let before = state.waiting.len();
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
        state.due = state.due.saturating_sub(before - state.waiting.len());
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
        let (keys, groups): (Vec<_>, Groups) =
            keys.into_iter().zip(groups).filter(|(_, group)| !group.is_empty()).unzip();
        if keys.is_empty() {
            return None;
        }
        state.under_way += 1;
        let boarded = Boarded { engine: engine.clone(), flights: groups.iter().flatten().cloned().collect() };
        let arrival = Arrival { lane: self.clone(), engine: engine.clone() };
        Some(Departure { load, keys, groups, aboard: Aboard { boarded, _arrival: arrival } })
    }
}

/// Calls that gather. However their wait ends, they leave.
#[derive(Debug)]
struct Gathering {
    lane: Arc<Lane>,
    engine: Arc<Engine>,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.lane.state);
            state.gathering = false;
            state.due = state.waiting.len();
        }
        self.lane.depart(&self.engine);
        self.lane.tidy();
    }
}

/// A batch that is out. However it ends, it is taken off the lane's count, and what gathered behind it is sent on.
#[derive(Debug)]
struct Arrival {
    lane: Arc<Lane>,
    engine: Arc<Engine>,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        lock(&self.lane.state).under_way -= 1;
        self.lane.depart(&self.engine);
        self.lane.tidy();
    }
}

impl Batch {
    /// Whether it is time again to tell of something that many replies may have: once in a minute.
    fn may_tell(&self) -> bool {
        let mut told = lock(&self.told);
        let now = Instant::now();
        let may = told.is_none_or(|told| now.saturating_duration_since(told) >= BETWEEN_WARNINGS);
        if may {
            *told = Some(now);
        }
        may
    }

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
