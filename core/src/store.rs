//! The bounded store with a lifetime for each entry that lies under every cache of the host. moka is named here only.
//!
//! [`Generations`] beside it says which entries are no longer true, and [`SingleFlight`] lets those who miss the same thing at the same
//! time wait for one.
//!
//! moka keeps time by the system's clock; tests pause tokio's. So each entry carries its own end of life, which every read checks;
//! moka's expiry only frees memory early.

mod generations;
mod invalidations;
mod marks;
pub mod record;
mod shared;
mod single_flight;

pub use generations::Generations;
pub use invalidations::Invalidation;
pub use marks::{Found, Put, Wanted};
pub use shared::{
    Note, Shared,
    claims::{Claim, Claimed, Keyed, Known},
};
pub use single_flight::{Follower, Joined, Leader, SingleFlight};

use moka::{Expiry, sync::Cache};
use std::{
    fmt,
    hash::Hash,
    time::{Duration, Instant as SystemInstant},
};
use tokio::time::Instant;

/// A map bounded by the bytes that its entries weigh; the least valuable entry (TinyLFU) gives way.
pub struct Store<K, V> {
    cache: Cache<K, Entry<V>>,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    weight: u32,
    expires_at: Instant,
    lifetime: Duration,
}

struct ByEntry;

impl<K, V> Expiry<K, Entry<V>> for ByEntry {
    fn expire_after_create(&self, _: &K, entry: &Entry<V>, _: SystemInstant) -> Option<Duration> {
        Some(entry.lifetime)
    }

    fn expire_after_update(&self, _: &K, entry: &Entry<V>, _: SystemInstant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.lifetime)
    }
}

/// Whoever says how long something lasts, it is a time that ends.
const LONGEST: Duration = Duration::from_hours(24 * 365);

impl<K, V> Store<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// `max_weight` is in bytes, as the callers of [`Store::insert`] weigh.
    pub fn new(max_weight: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(max_weight)
            .weigher(|_, entry: &Entry<V>| entry.weight)
            .expire_after(ByEntry)
            .build();
        Self { cache }
    }

    /// The value, unless its life is over.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.cache.get(key)?;
        (entry.expires_at > Instant::now()).then_some(entry.value)
    }

    pub fn insert(&self, key: K, value: V, weight: usize, lifetime: Duration) {
        if lifetime.is_zero() {
            return;
        }
        let (weight, lifetime) = (u32::try_from(weight).unwrap_or(u32::MAX), lifetime.min(LONGEST));
        self.cache.insert(key, Entry { value, weight, expires_at: Instant::now() + lifetime, lifetime });
    }

    /// The value that is there, or the given one, which then is there; `true`: it was not there before. Of many who ask at once one
    /// gets `true`.
    pub fn get_or_insert(&self, key: K, value: V, weight: usize, lifetime: Duration) -> (V, bool)
    where
        K: Clone,
    {
        let (weight, lifetime) = (u32::try_from(weight).unwrap_or(u32::MAX), lifetime.min(LONGEST));
        let entry = Entry { value, weight, expires_at: Instant::now() + lifetime, lifetime };
        let found = self.cache.entry(key).or_insert_with_if(|| entry, |old| old.expires_at <= Instant::now());
        let is_fresh = found.is_fresh();
        (found.into_value().value, is_fresh)
    }

    pub fn remove<Q>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.invalidate(key);
    }

    /// Entries and bytes, as of the last housekeeping.
    pub fn size(&self) -> (u64, u64) {
        (self.cache.entry_count(), self.cache.weighted_size())
    }
}

impl<K, V> fmt::Debug for Store<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_end_with_tokios_clock() {
        let store = Store::<String, u8>::new(1000);
        store.insert("a".into(), 1, 10, Duration::from_secs(5));
        store.insert("never".into(), 1, 10, Duration::ZERO);
        assert_eq!((store.get("a"), store.get("never")), (Some(1), None));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(store.get("a"), None);
    }

    #[test]
    fn weight_is_bounded() {
        let store = Store::<u32, u8>::new(1000);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        for key in 0..1000 {
            store.insert(key, 1, 100, Duration::from_secs(60));
        }
        store.cache.run_pending_tasks();
        assert!(store.size().1 <= 1000, "{:?}", store.size());
    }
}
