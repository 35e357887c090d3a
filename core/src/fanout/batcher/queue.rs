//! Where calls that may share a batch wait.

use super::{BATCHES_UNDER_WAY, Batcher, Common, QueueKey, SHARE_OF_LIMIT, Stop, batch::Batch, flights};
use crate::{
    fanout::{
        flight::{Flight, Load, LoadGuard},
        loads::spawn,
    },
    sync::lock,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use weft_wire::KeyValue;

/// One call that waits.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) key: KeyValue,
    pub(super) flight: Arc<Flight>,
}

#[derive(Debug)]
pub(super) struct Queue {
    common: Arc<Common>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Queued>,
    /// Of those, the first so many have gathered for long enough.
    due: usize,
    under_way: usize,
    gathering: bool,
    /// Somebody is sending what may leave, and sees whatever changes meanwhile.
    dispatching: bool,
}

impl Queue {
    pub(super) fn new(common: Common) -> Self {
        Self { common: Arc::new(common), state: Mutex::default() }
    }

    pub(super) fn key(&self) -> &QueueKey {
        &self.common.key
    }

    pub(super) fn add(&self, calls: Vec<Queued>) {
        lock(&self.state).waiting.extend(calls);
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.waiting.is_empty() && state.under_way == 0 && !state.gathering
    }

    /// Sends what may leave now; sees to it that the others leave soon.
    pub(super) fn dispatch(self: &Arc<Self>, batcher: &Arc<Batcher>) {
        if std::mem::replace(&mut lock(&self.state).dispatching, true) {
            return;
        }
        // A backend that was seen to take more at once gets more at once.
        let at_once = (self.common.plan.backend.concurrency() / SHARE_OF_LIMIT).max(BATCHES_UNDER_WAY);
        loop {
            let mut state = lock(&self.state);
            if state.waiting.is_empty() || (state.due == 0 && state.under_way >= at_once) {
                state.dispatching = false;
                let gathers = !state.waiting.is_empty() && !state.gathering;
                state.gathering |= gathers;
                drop(state);
                if gathers {
                    self.gather(batcher, self.common.method.gathering());
                }
                return;
            }
            let batch = self.cut(batcher, &mut state);
            // Never under the lock: where the runtime is gone, all that was to be sent ends here and now, and takes the lock.
            drop(state);
            if let Some((batch, sent)) = batch {
                batch.send(batcher, &self.common, sent);
            }
        }
    }

    /// What waits now leaves after this pause, whatever else is out.
    fn gather(self: &Arc<Self>, batcher: &Arc<Batcher>, pause: Duration) {
        let gathering = Gathering { queue: self.clone(), batcher: batcher.clone() };
        spawn(async move {
            tokio::time::sleep(pause).await;
            drop(gathering);
        });
    }

    /// Cuts one batch at its bounds. None where nobody waits for any of it.
    fn cut(self: &Arc<Self>, batcher: &Arc<Batcher>, state: &mut State) -> Option<(Batch, Sent)> {
        let (rule, rest) = (&self.common.rule, &self.common.key.rest);
        let mut places: HashMap<KeyValue, usize> = HashMap::new();
        let mut stops: Vec<Stop> = Vec::new();
        let mut bytes = rule.rule.base_len(rest);
        let before = state.waiting.len();
        while let Some(next) = state.waiting.front() {
            if let Some(stop) = places.get(&next.key).and_then(|place| stops.get_mut(*place)) {
                stop.flights.extend(state.waiting.pop_front().map(|queued| queued.flight));
                continue;
            }
            let length = rule.rule.key_len(rest, &next.key);
            if stops.len() == rule.max || (!stops.is_empty() && bytes + length > rule.max_bytes) {
                break;
            }
            let Some(Queued { key, flight }) = state.waiting.pop_front() else { break };
            bytes += length;
            places.insert(key.clone(), stops.len());
            stops.push(Stop { key, flights: vec![flight] });
        }
        state.due = state.due.saturating_sub(before - state.waiting.len());
        let load = Load::new(flights(&stops).count());
        for stop in &mut stops {
            stop.flights.retain(|flight| {
                let is_wanted = flight.attach(&load);
                if !is_wanted {
                    load.release();
                }
                is_wanted
            });
        }
        stops.retain(|stop| !stop.flights.is_empty());
        if stops.is_empty() {
            return None;
        }
        state.under_way += 1;
        let guard = LoadGuard::new(batcher.loads.flights.clone(), flights(&stops).cloned().collect());
        Some((Batch { load, stops, guard }, Sent { queue: self.clone(), batcher: batcher.clone() }))
    }

    /// Something has changed, so that more may leave, or nothing is left.
    fn go_on(self: &Arc<Self>, batcher: &Arc<Batcher>) {
        self.dispatch(batcher);
        self.common.method.remove_if_idle(self);
    }
}

/// Calls that gather. However their wait ends, they leave.
#[derive(Debug)]
struct Gathering {
    queue: Arc<Queue>,
    batcher: Arc<Batcher>,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.queue.state);
            state.gathering = false;
            state.due = state.waiting.len();
        }
        self.queue.go_on(&self.batcher);
    }
}

/// A batch that is out. However it ends, it is taken off the queue's count, and what gathered behind it is sent on.
#[derive(Debug)]
struct Sent {
    queue: Arc<Queue>,
    batcher: Arc<Batcher>,
}

impl Drop for Sent {
    fn drop(&mut self) {
        lock(&self.queue.state).under_way -= 1;
        self.queue.go_on(&self.batcher);
    }
}
