//! The entity cache: replies of safe methods, item by item, by key and scope.
//!
//! An entry is fresh for its `ttl` (less up to a tenth, so that what was loaded together does not end together), then may be served
//! while one refresh runs (`stale-while-revalidate`), then only instead of a failure (`stale-if-error`). Shortly before its end a hit
//! refreshes it early, the more likely the nearer the end and the slower its load (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal
//! Probabilistic Cache Stampede Prevention", 2015).

use super::{call::Key, config::CacheConfig};
use crate::{
    model::{Code, Failure},
    observe::Found,
    store::{Generations, Store},
};
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// What an entry weighs beside its key and its bytes.
const OVERHEAD: usize = 200;
/// Lifetimes differ by up to this share.
const JITTER: f64 = 0.1;
/// How eager early refreshes are; 1 is the paper's optimum.
const BETA: f64 = 1.0;

type Loaded = Result<Bytes, Arc<Failure>>;

#[derive(Debug)]
pub(super) struct EntityCache {
    store: Store<Key, Entry>,
    pub(super) generations: Generations,
    /// Keys of entries that stand in the shared tier too, by their names there.
    named: Store<String, Key>,
    /// Least weight of an entry, which bounds their number.
    least_weight: usize,
    doubts: AtomicUsize,
}

/// As long as it is held nothing is served from the cache, but for what stands in for a failure: something may have changed of which
/// nobody has told yet. What is loaded meanwhile is kept for later.
#[derive(Debug)]
pub struct Doubt(Arc<EntityCache>);

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.doubts.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug, Clone)]
struct Entry {
    /// NOT_FOUND is remembered too.
    result: Loaded,
    stored_at: Instant,
    fresh_until: Instant,
    revalidate_until: Instant,
    /// How long the load took.
    cost: Duration,
    tags: Arc<[String]>,
    generation: u64,
}

/// What the cache has for a key.
#[derive(Debug)]
pub(super) enum Lookup {
    /// To be served. `refresh`: and to be loaded anew, for those who come later.
    Hit {
        result: Loaded,
        age: Duration,
        stale: bool,
        refresh: bool,
    },
    Miss,
}

/// A load that has ended, for the cache to keep.
#[derive(Debug)]
pub(super) struct Ended<'a> {
    pub(super) key: &'a Key,
    pub(super) result: &'a Loaded,
    pub(super) rule: CacheConfig,
    pub(super) tags: Arc<[String]>,
    /// The clock of [`Generations`] when the load began.
    pub(super) generation: u64,
    pub(super) cost: Duration,
    /// When the credentials that it was loaded with end.
    pub(super) expires_at: Option<SystemTime>,
}

impl EntityCache {
    pub(super) fn new(max_bytes: u64, max_entries: u64) -> Self {
        let least_weight = usize::try_from(max_bytes / max_entries.max(1)).unwrap_or(usize::MAX);
        let named = Store::new(max_entries);
        Self {
            store: Store::new(max_bytes),
            generations: Generations::default(),
            named,
            least_weight,
            doubts: AtomicUsize::new(0),
        }
    }

    pub(super) fn doubt(self: &Arc<Self>) -> Doubt {
        self.doubts.fetch_add(1, Relaxed);
        Doubt(self.clone())
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.doubts.load(Relaxed) > 0
    }

    fn entry(&self, key: &Key) -> Option<Entry> {
        let entry = self.store.get(key)?;
        if self.generations.is_true(entry.generation, entry.tags.iter().map(String::as_str)) {
            return Some(entry);
        }
        self.store.remove(key);
        None
    }

    pub(super) fn get(&self, key: &Key) -> Lookup {
        if self.is_doubted() {
            return Lookup::Miss;
        }
        let Some(entry) = self.entry(key) else { return Lookup::Miss };
        let now = Instant::now();
        let age = now.saturating_duration_since(entry.stored_at);
        let stale = now >= entry.fresh_until;
        if stale && now >= entry.revalidate_until {
            return Lookup::Miss;
        }
        let early = entry.cost.mul_f64(-BETA * rand::random_range(f64::MIN_POSITIVE..1.0).ln());
        let refresh = stale || now + early >= entry.fresh_until;
        Lookup::Hit { result: entry.result, age, stale, refresh }
    }

    /// What may stand in for a failure: the last good reply, if it is still there and ended no longer than `within` ago.
    pub(super) fn standby(&self, key: &Key, within: Duration) -> Option<(Bytes, Duration)> {
        let entry = self.entry(key)?;
        let ended = Instant::now().saturating_duration_since(entry.fresh_until);
        if ended > within {
            return None;
        }
        Some((entry.result.ok()?, entry.stored_at.elapsed()))
    }

    /// Keeps what the rule says is worth keeping: replies, and NOT_FOUND where it has a lifetime. Never what was invalidated while
    /// it was loaded, and never longer than its credentials last.
    pub(super) fn keep(&self, ended: Ended<'_>) {
        let Ended { key, result, rule, tags, generation, cost, expires_at } = ended;
        let (ttl, spare, size) = match result {
            Ok(bytes) => (rule.ttl, rule.retention(), bytes.len()),
            Err(failure) if failure.code == Code::NotFound => {
                (rule.negative_ttl, Duration::ZERO, failure.message.len())
            }
            Err(_) => return,
        };
        if ttl.is_zero() || !self.generations.is_true(generation, tags.iter().map(String::as_str)) {
            return;
        }
        let left = expires_at.map_or(Duration::MAX, |end| end.duration_since(SystemTime::now()).unwrap_or_default());
        let fresh = ttl.mul_f64(1.0 - rand::random_range(0.0..JITTER)).min(left);
        let lifetime = fresh.saturating_add(spare).min(left);
        // A reply is a slice of its batch's buffer: an entry of its own keeps the rest of the buffer from living on with it.
        let result = result.as_ref().map(|bytes| Bytes::copy_from_slice(bytes)).map_err(Arc::clone);
        let weight = (OVERHEAD + key.request.len() + size).max(self.least_weight);
        let key = Key { request: Bytes::copy_from_slice(&key.request), ..key.clone() };
        let now = Instant::now();
        let revalidate = if result.is_ok() { rule.stale_while_revalidate } else { Duration::ZERO };
        let entry = Entry {
            result,
            stored_at: now,
            fresh_until: now + fresh,
            revalidate_until: now + fresh.saturating_add(revalidate).min(lifetime),
            cost,
            tags,
            generation,
        };
        self.store.insert(key, entry, weight, lifetime);
    }

    /// An entry of the shared tier goes by this name.
    pub(super) fn name(&self, name: String, key: &Key, lifetime: Duration) {
        self.named.insert(name, key.clone(), 1, lifetime);
    }

    /// The entry with this name in the shared tier was changed there.
    pub(super) fn forget_named(&self, name: &str) {
        if let Some(key) = self.named.get(name) {
            self.store.remove(&key);
            self.named.remove(name);
        }
    }

    /// Entries and bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        self.store.size()
    }
}

impl Lookup {
    pub(super) fn found(&self) -> Found {
        match self {
            Self::Hit { stale: true, .. } => Found::Stale,
            Self::Hit { result: Err(_), .. } => Found::Negative,
            Self::Hit { .. } => Found::Hit,
            Self::Miss => Found::Miss,
        }
    }
}

#[cfg(test)]
mod tests;
