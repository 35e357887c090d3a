//! Where the new flights of one exchange are put before any of them leaves.

use super::{Batcher, QueueKey, queue::Queued};
use crate::fanout::{
    flight::{Unsent, end_without_answer},
    plan::{BatchRule, Plan},
    scope::Scoped,
};
use hashbrown::HashMap;
use std::sync::Arc;

/// Those who go into one queue.
#[derive(Debug)]
struct Together {
    plan: Arc<Plan>,
    rule: Arc<BatchRule>,
    scoped: Arc<Scoped>,
    calls: Vec<Queued>,
}

/// Calls of one exchange that go into queues, gathered so that all that may share a batch come at once. Dropped before they were sent,
/// they end.
#[derive(Debug)]
pub(in crate::fanout) struct Collector {
    batcher: Arc<Batcher>,
    queues: HashMap<(u32, QueueKey), Together>,
}

impl Collector {
    pub(in crate::fanout) fn new(batcher: Arc<Batcher>) -> Self {
        Self { batcher, queues: HashMap::new() }
    }

    /// A new flight goes into a queue with others, or on its own.
    pub(in crate::fanout) fn add(&mut self, unsent: Unsent<'_>, scoped: &Arc<Scoped>) {
        let Some(flight) = unsent.flight() else { return };
        let plan = &flight.plan;
        let split =
            plan.batch.as_ref().and_then(|batch| Some((batch, batch.rule.split_request(&flight.key.request).ok()?)));
        let Some((rule, single)) = split else { return self.batcher.loads.start(unsent, scoped) };
        let key = (plan.id, QueueKey { scope: flight.key.scope.clone(), rest: single.rest });
        let entry = self.queues.entry(key).or_insert_with(|| Together {
            plan: plan.clone(),
            rule: rule.clone(),
            scoped: scoped.clone(),
            calls: Vec::new(),
        });
        entry.calls.extend(unsent.take().map(|flight| Queued { key: single.key, flight }));
    }

    pub(in crate::fanout) fn dispatch(mut self) {
        let batcher = self.batcher.clone();
        for ((_, key), Together { plan, rule, scoped, calls }) in self.queues.drain() {
            batcher.enqueue((plan, rule, scoped), key, calls);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let calls = self.queues.drain().flat_map(|(_, together)| together.calls);
        end_without_answer(&self.batcher.loads.flights, calls.map(|queued| queued.flight));
    }
}
