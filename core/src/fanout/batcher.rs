//! Batching: calls of one method and scope whose requests are equal but for the key leave as one batch.
//!
//! A whole exchange is put in before any batch is cut, so one exchange never splits by accident. While fewer than
//! [`BATCHES_UNDER_WAY`] batches are out, the next one leaves at once; else calls gather for at most half a round trip and never
//! longer than [`LONGEST_GATHERING`], so a stalled batch holds nobody up.

mod batch;
mod collector;
mod queue;

use super::{
    flight::Flight,
    loads::Loads,
    plan::{BatchRule, Plan},
    scope::{ScopeKey, Scoped},
};
use crate::sync::{lock, read, write};
use bytes::Bytes;
pub(super) use collector::Collector;
use queue::{Queue, Queued};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, RwLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Batches of one queue that may be out before calls begin to gather.
const BATCHES_UNDER_WAY: usize = 2;
/// The part of a backend's learnt concurrency that one queue may use before its calls begin to gather.
const SHARE_OF_LIMIT: usize = 8;
const LONGEST_GATHERING: Duration = Duration::from_millis(2);

/// What is under way of all methods that are batched.
#[derive(Debug)]
pub(super) struct Batcher {
    loads: Arc<Loads>,
    /// By the plan's number. They go when their plan does.
    methods: RwLock<HashMap<u32, Arc<BatchedMethod>>>,
}

/// What is under way of one method, and what was learnt of its batches.
#[derive(Debug)]
struct BatchedMethod {
    plan: Weak<Plan>,
    queues: Mutex<HashMap<QueueKey, Arc<Queue>>>,
    /// Average answer time of batches, in seconds, as the bits of an f64.
    round_trip: AtomicU64,
}

/// Calls that may share a batch: same scope, same request but for the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct QueueKey {
    scope: ScopeKey,
    rest: Bytes,
}

impl Batcher {
    pub(super) fn new(loads: Arc<Loads>) -> Arc<Self> {
        Arc::new(Self { loads, methods: RwLock::default() })
    }

    /// Puts all calls of one exchange into their queue at once, then lets the queue decide.
    fn enqueue(
        self: &Arc<Self>,
        (plan, rule, scoped): (Arc<Plan>, Arc<BatchRule>, Arc<Scoped>),
        key: QueueKey,
        calls: Vec<Queued>,
    ) {
        let method = self.method(&plan);
        let queue = {
            let mut queues = lock(&method.queues);
            let queue = queues.entry(key.clone()).or_insert_with(|| {
                let method = method.clone();
                Arc::new(Queue::new(Common { key, plan, rule, method, scoped }))
            });
            // Under the map's lock, so that the queue can't be taken away as empty in between.
            queue.add(calls);
            queue.clone()
        };
        queue.dispatch(self);
    }

    fn method(&self, plan: &Arc<Plan>) -> Arc<BatchedMethod> {
        let known = read(&self.methods).get(&plan.id).cloned();
        known.unwrap_or_else(|| {
            let mut methods = write(&self.methods);
            // Who has calls waiting or under way holds the plan.
            methods.retain(|_, method| method.plan.strong_count() > 0);
            methods.entry(plan.id).or_insert_with(|| Arc::new(BatchedMethod::new(plan))).clone()
        })
    }

    /// Queues of one method, and methods of which anything is known.
    #[cfg(test)]
    pub(super) fn size(&self, plan: &Arc<Plan>) -> (usize, usize) {
        let queues = lock(&self.method(plan).queues).len();
        (queues, read(&self.methods).len())
    }
}

impl BatchedMethod {
    fn new(plan: &Arc<Plan>) -> Self {
        Self { plan: Arc::downgrade(plan), queues: Mutex::default(), round_trip: AtomicU64::new(0) }
    }

    fn remove_if_idle(&self, queue: &Arc<Queue>) {
        let mut queues = lock(&self.queues);
        if queue.is_idle() && queues.get(queue.key()).is_some_and(|current| Arc::ptr_eq(current, queue)) {
            queues.remove(queue.key());
        }
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

/// What the calls of one queue have in common.
#[derive(Debug)]
struct Common {
    key: QueueKey,
    plan: Arc<Plan>,
    rule: Arc<BatchRule>,
    method: Arc<BatchedMethod>,
    scoped: Arc<Scoped>,
}

/// One key of a batch, and the flights that wait for it.
#[derive(Debug)]
struct Stop {
    key: weft_wire::KeyValue,
    flights: Vec<Arc<Flight>>,
}

fn flights(stops: &[Stop]) -> impl Iterator<Item = &Arc<Flight>> {
    stops.iter().flat_map(|stop| &stop.flights)
}
