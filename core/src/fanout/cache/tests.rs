//! The lives of an entry, in paused time.

use super::*;
use crate::{fanout::scope::ScopeKey, model::ShareKey};

const SECOND: Duration = Duration::from_secs(1);

fn rule() -> CacheConfig {
    CacheConfig {
        ttl: SECOND * 10,
        negative_ttl: SECOND * 2,
        stale_while_revalidate: SECOND * 10,
        stale_if_error: SECOND * 100,
    }
}

fn key(request: &'static [u8]) -> Key {
    Key { plan: 1, scope: ScopeKey::Alike(ShareKey::EVERYBODY), request: Bytes::from_static(request) }
}

fn keep(cache: &EntityCache, key: &Key, result: Loaded, generation: u64, until: Option<SystemTime>) {
    let tags = vec!["m".to_owned(), "film:7".to_owned()].into();
    let cost = Duration::from_millis(50);
    cache.keep(Ended { key, result: &result, rule: rule(), tags, generation, cost, expires_at: until });
}

fn put(cache: &EntityCache, key: &Key) {
    keep(cache, key, Ok(Bytes::from_static(b"reply")), cache.generations.now(), None);
}

fn not_found() -> Loaded {
    Err(Arc::new(Failure::new(Code::NotFound, "no such film")))
}

#[tokio::test(start_paused = true)]
async fn fresh_then_stale_with_a_refresh_then_only_instead_of_a_failure_then_gone() {
    let (cache, key) = (EntityCache::new(1 << 20, 1000), key(b"7"));
    put(&cache, &key);
    assert!(matches!(cache.get(&key), Lookup::Hit { stale: false, refresh: false, .. }));
    tokio::time::advance(SECOND * 11).await;
    assert!(matches!(cache.get(&key), Lookup::Hit { stale: true, refresh: true, .. }));
    tokio::time::advance(SECOND * 11).await;
    assert!(matches!(cache.get(&key), Lookup::Miss));
    assert!(cache.standby(&key, SECOND * 1000).is_some());
    tokio::time::advance(SECOND * 100).await;
    assert!(cache.standby(&key, SECOND * 1000).is_none());
}

#[tokio::test(start_paused = true)]
async fn not_found_is_remembered_for_its_own_time_and_other_failures_not_at_all() {
    let (cache, missing, broken) = (EntityCache::new(1 << 20, 1000), key(b"8"), key(b"9"));
    keep(&cache, &missing, not_found(), 0, None);
    keep(&cache, &broken, Err(Arc::new(Failure::new(Code::Unavailable, "down"))), 0, None);
    assert!(matches!(cache.get(&missing), Lookup::Hit { result: Err(_), stale: false, .. }));
    assert!(matches!(cache.get(&broken), Lookup::Miss));
    tokio::time::advance(SECOND * 2).await;
    assert!(matches!(cache.get(&missing), Lookup::Miss));
    assert!(cache.standby(&missing, SECOND * 1000).is_none());
}

#[tokio::test(start_paused = true)]
async fn early_refreshes_grow_more_likely_towards_the_end() {
    let (cache, key) = (EntityCache::new(1 << 20, 1000), key(b"7"));
    let refreshes = || (0..1000).filter(|_| matches!(cache.get(&key), Lookup::Hit { refresh: true, .. })).count();
    put(&cache, &key);
    tokio::time::advance(SECOND * 5).await;
    assert_eq!(refreshes(), 0, "with a load of 50 ms nobody refreshes seconds ahead");
    let fresh_until = cache.store.get(&key).unwrap().fresh_until;
    tokio::time::advance(fresh_until - Instant::now() - Duration::from_millis(50)).await;
    let near_the_end = refreshes();
    // P = e^(−50 ms / 50 ms) = 0.37
    assert!((300..440).contains(&near_the_end), "{near_the_end}");
}

#[tokio::test(start_paused = true)]
async fn what_a_write_invalidated_is_gone_and_a_load_begun_before_it_fills_nothing() {
    let (cache, key) = (EntityCache::new(1 << 20, 1000), key(b"7"));
    put(&cache, &key);
    let begun_before = cache.generations.now();
    cache.generations.invalidate("film:7");
    assert!(matches!(cache.get(&key), Lookup::Miss));
    assert!(cache.standby(&key, SECOND * 1000).is_none());
    keep(&cache, &key, Ok(Bytes::from_static(b"old")), begun_before, None);
    assert!(matches!(cache.get(&key), Lookup::Miss));
    put(&cache, &key);
    assert!(matches!(cache.get(&key), Lookup::Hit { .. }));
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_the_credentials_that_it_was_loaded_with() {
    let (cache, key) = (EntityCache::new(1 << 20, 1000), key(b"7"));
    keep(&cache, &key, Ok(Bytes::from_static(b"mine")), 0, Some(SystemTime::now() + SECOND * 3));
    assert!(matches!(cache.get(&key), Lookup::Hit { .. }));
    tokio::time::advance(SECOND * 3).await;
    assert!(cache.standby(&key, SECOND * 1000).is_none());
}

#[tokio::test(start_paused = true)]
async fn lifetimes_differ_by_up_to_a_tenth() {
    let cache = EntityCache::new(1 << 20, 1000);
    let ends: Vec<_> = (0..100_u32)
        .map(|request| {
            let key = Key { request: Bytes::copy_from_slice(&request.to_be_bytes()), ..key(b"") };
            put(&cache, &key);
            cache.store.get(&key).unwrap().fresh_until - Instant::now()
        })
        .collect();
    assert!(ends.iter().all(|end| (SECOND * 9..=SECOND * 10).contains(end)));
    assert!(ends.iter().max().unwrap().abs_diff(*ends.iter().min().unwrap()) > SECOND / 2);
}

#[test]
fn the_number_of_entries_is_bounded_too() {
    let cache = EntityCache::new(1_000_000, 10);
    assert_eq!(cache.least_weight, 100_000);
}
