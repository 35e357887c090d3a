//! The entity cache: replies of safe methods, item by item, by key and scope.

use super::{call::Key, config::CacheConfig};
use crate::{model::Code, model::Failure, store::Store};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// What an entry weighs beside its key and its bytes.
const OVERHEAD: usize = 160;
/// Lifetimes differ by up to this share, so that what was loaded together does not end together.
const JITTER: f64 = 0.1;

#[derive(Debug)]
pub(super) struct EntityCache {
    store: Store<Key, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// NOT_FOUND is remembered too.
    result: Result<Bytes, Arc<Failure>>,
    stored_at: Instant,
}

impl EntityCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { store: Store::new(max_bytes) }
    }

    /// The reply and its age.
    pub(super) fn get(&self, key: &Key) -> Option<(Result<Bytes, Arc<Failure>>, Duration)> {
        let entry = self.store.get(key)?;
        Some((entry.result, entry.stored_at.elapsed()))
    }

    /// Keeps what the rule says is worth keeping: replies, and NOT_FOUND where it has a lifetime. Never longer than `until`.
    pub(super) fn keep(
        &self,
        key: &Key,
        result: &Result<Bytes, Arc<Failure>>,
        rule: CacheConfig,
        until: Option<SystemTime>,
    ) {
        let (ttl, size) = match result {
            Ok(bytes) => (rule.ttl, bytes.len()),
            Err(failure) if failure.code == Code::NotFound => (rule.negative_ttl, failure.message.len()),
            Err(_) => return,
        };
        let left = until.map_or(Duration::MAX, |end| end.duration_since(SystemTime::now()).unwrap_or_default());
        let jittered = ttl.mul_f64(1.0 - rand::random_range(0.0..JITTER));
        // A reply is a slice of its batch's buffer: an entry of its own keeps the rest of the buffer from living on with it.
        let result = result.as_ref().map(|bytes| Bytes::copy_from_slice(bytes)).map_err(Arc::clone);
        let weight = OVERHEAD + key.request.len() + size;
        let key = Key { request: Bytes::copy_from_slice(&key.request), ..key.clone() };
        self.store.insert(key, Entry { result, stored_at: Instant::now() }, weight, jittered.min(left));
    }

    /// Entries and bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        self.store.size()
    }
}
