//! Whole responses, kept: found again by key, made once for all who ask at the same time, old ones served while one request makes a
//! new one. What a key holds, and what may be kept, the gateway decides; what a response is, this module does not know.

use crate::store::{Follower, Joined, Leader, SingleFlight, Store};
use std::{fmt, hash::Hash, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Responses by key, bounded by bytes.
pub struct Responses<K, V> {
    kept: Store<K, Kept<V>>,
    /// Those that are being made now.
    making: SingleFlight<K, Waited<V>>,
}

/// What came of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited<V> {
    Shared(V),
    /// It was made, and is for the one who made it.
    NotShared,
    /// Its maker made nothing: who waited may make it.
    Nothing,
}

#[derive(Debug, Clone)]
struct Kept<V> {
    value: V,
    made_at: Instant,
    ttl: Duration,
}

/// What is there for a key.
#[derive(Debug)]
pub enum Found<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> {
    /// With its age and the time for which it is still fresh.
    Fresh { value: V, age: Duration, left: Duration },
    /// It has been old for the time `over`. With a maker the caller is the one who makes it anew, beside.
    Stale { value: V, age: Duration, over: Duration, maker: Option<Maker<K, V>> },
    /// Nothing, and the caller is the one who makes it.
    Make(Maker<K, V>),
    /// Somebody makes it.
    Wait(Waiter<V>),
}

/// The duty to make a response. Dropped without [`Maker::done`], it falls to one of those who wait.
#[derive(Debug)]
pub struct Maker<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> {
    responses: Arc<Responses<K, V>>,
    leader: Leader<K, Waited<V>>,
}

/// Waits for what another one makes.
#[derive(Debug)]
pub struct Waiter<V>(Follower<Waited<V>>);

/// How long to keep a response: fresh, and then stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    pub ttl: Duration,
    pub stale: Duration,
    /// Bytes that it takes.
    pub weight: usize,
}

impl<K, V> Responses<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self { kept: Store::new(max_bytes), making: SingleFlight::default() })
    }

    pub fn find(self: &Arc<Self>, key: &K) -> Found<K, V> {
        if let Some(kept) = self.kept.get(key) {
            let age = kept.made_at.elapsed();
            let left = kept.ttl.saturating_sub(age);
            if !left.is_zero() {
                return Found::Fresh { value: kept.value, age, left };
            }
            let (over, maker) = (age.saturating_sub(kept.ttl), self.start(key).ok());
            return Found::Stale { value: kept.value, age, over, maker };
        }
        match self.start(key) {
            Ok(maker) => Found::Make(maker),
            Err(waiter) => Found::Wait(waiter),
        }
    }

    fn start(self: &Arc<Self>, key: &K) -> Result<Maker<K, V>, Waiter<V>> {
        match self.making.join(key) {
            Joined::Leader(leader) => Ok(Maker { responses: self.clone(), leader }),
            Joined::Follower(follower) => Err(Waiter(follower)),
        }
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Maker<K, V> {
    /// The response is there. Kept if `keep` says so; given to those who wait if it may be `shared`.
    pub fn done(self, value: V, keep: Option<Keep>, shared: bool) {
        if let Some(Keep { ttl, stale, weight }) = keep {
            let kept = Kept { value: value.clone(), made_at: Instant::now(), ttl };
            self.responses.kept.insert(self.leader.key().clone(), kept, weight, ttl + stale);
        }
        self.leader.land(if shared { Waited::Shared(value) } else { Waited::NotShared });
    }
}

impl<V: Clone> Waiter<V> {
    pub async fn wait(self) -> Waited<V> {
        self.0.wait().await.unwrap_or(Waited::Nothing)
    }
}

impl<K, V> fmt::Debug for Responses<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { ttl: Duration::from_secs(10), stale: Duration::from_secs(20), weight: 100 };

    fn responses() -> Arc<Responses<u32, &'static str>> {
        Responses::new(1 << 20)
    }

    fn make(found: Found<u32, &'static str>) -> Maker<u32, &'static str> {
        match found {
            Found::Make(maker) | Found::Stale { maker: Some(maker), .. } => maker,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_makes_it_and_the_others_wait() {
        let responses = responses();
        let maker = make(responses.find(&1));
        let Found::Wait(waiter) = responses.find(&1) else { panic!() };
        let Found::Make(_other) = responses.find(&2) else { panic!() };
        maker.done("one", Some(KEEP), true);
        assert_eq!(waiter.wait().await, Waited::Shared("one"));
        tokio::time::advance(Duration::from_secs(9)).await;
        let Found::Fresh { value: "one", age, left } = responses.find(&1) else { panic!() };
        assert_eq!((age.as_secs(), left.as_secs()), (9, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_one_serves_while_one_caller_makes_it_anew() {
        let responses = responses();
        make(responses.find(&1)).done("old", Some(KEEP), true);
        tokio::time::advance(Duration::from_secs(13)).await;
        let found = responses.find(&1);
        assert!(matches!(found, Found::Stale { value: "old", maker: Some(_), .. }));
        let Found::Stale { value: "old", age, over, maker: None } = responses.find(&1) else { panic!() };
        assert_eq!((age.as_secs(), over.as_secs()), (13, 3));
        make(found).done("new", Some(KEEP), true);
        assert!(matches!(responses.find(&1), Found::Fresh { value: "new", .. }));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(matches!(responses.find(&1), Found::Make(_)), "stale ones end too");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_kept_or_not_shared_leaves_nothing() {
        let responses = responses();
        for (shared, expected) in [(true, Waited::Shared("error")), (false, Waited::NotShared)] {
            let maker = make(responses.find(&1));
            let Found::Wait(waiter) = responses.find(&1) else { panic!() };
            maker.done("error", None, shared);
            assert_eq!(waiter.wait().await, expected);
        }
        let maker = make(responses.find(&1));
        let Found::Wait(waiter) = responses.find(&1) else { panic!() };
        drop(maker);
        assert_eq!(waiter.wait().await, Waited::Nothing, "its maker went away");
        assert!(matches!(responses.find(&1), Found::Make(_)));
    }
}
