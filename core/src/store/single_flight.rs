//! Single flight: of those who want the same at the same time one makes it, and all get what it has made.
//!
//! Whoever leads may do the work themselves ([`SingleFlight::join`]), or have it done by a task that belongs to nobody
//! ([`SingleFlight::run`]). A flight always ends: where its leader is gone without a word, those who follow hear that, and one who asks
//! from then on leads.

use crate::sync::lock;
use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::watch;

/// `None`: not yet.
type Made<V> = Option<V>;

/// What is under way, by key. Clones are the same flights.
pub struct SingleFlight<K, V>(Arc<UnderWay<K, V>>);

struct UnderWay<K, V>(Mutex<HashMap<K, watch::Receiver<Made<V>>>>);

/// Who one is to a flight.
#[derive(Debug)]
pub enum Joined<K: Hash + Eq, V> {
    Leader(Leader<K, V>),
    Follower(Follower<V>),
}

/// The duty to make it. Dropped without [`Leader::land`], it is one's who asks next.
pub struct Leader<K: Hash + Eq, V> {
    under_way: Arc<UnderWay<K, V>>,
    key: K,
    made: watch::Sender<Made<V>>,
    /// Whether others may still join.
    is_open: bool,
}

/// Waits for what another one makes. Dropped, it costs nobody the outcome.
#[derive(Debug)]
pub struct Follower<V>(watch::Receiver<Made<V>>);

impl<K: Hash + Eq, V> UnderWay<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Made<V>>>> {
        lock(&self.0)
    }
}

impl<K: Hash + Eq + Clone, V> SingleFlight<K, V> {
    /// Follows the flight of this key, or leads one.
    pub fn join(&self, key: &K) -> Joined<K, V> {
        let mut under_way = self.0.lock();
        if let Some(made) = under_way.get(key) {
            return Joined::Follower(Follower(made.clone()));
        }
        let (made, receiver) = watch::channel(None);
        under_way.insert(key.clone(), receiver);
        Joined::Leader(Leader { under_way: self.0.clone(), key: key.clone(), made, is_open: true })
    }

    /// Follows the flight of this key, or one that a task begins now. The task goes on whoever gives up waiting.
    pub fn run<F>(&self, key: &K, load: impl FnOnce() -> F) -> Follower<V>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
        F: Future<Output = V> + Send + 'static,
    {
        match self.join(key) {
            Joined::Follower(follower) => follower,
            Joined::Leader(leader) => {
                let (follower, load) = (Follower(leader.made.subscribe()), load());
                tokio::spawn(async move { leader.land(load.await) });
                follower
            }
        }
    }
}

impl<K: Hash + Eq, V> Leader<K, V> {
    pub fn key(&self) -> &K {
        &self.key
    }

    /// It is made: all who follow get it. Who asks from now on leads anew, unless they find it elsewhere; so it has to be there before.
    pub fn land(mut self, made: V) {
        self.close();
        self.made.send_replace(Some(made));
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.under_way.lock().remove(&self.key);
        }
    }
}

impl<K: Hash + Eq, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        // Before those who follow hear of it, as `made` is dropped after this.
        self.close();
    }
}

impl<V: Clone> Follower<V> {
    /// `None`: the leader has gone away, or panicked, and made nothing.
    pub async fn wait(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self(Arc::new(UnderWay(Mutex::default())))
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Leader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        time::Duration,
    };
    use tokio::time::{Instant, sleep, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    type Flights = SingleFlight<&'static str, Result<usize, &'static str>>;

    /// Loads that take five seconds, counted.
    #[derive(Default)]
    struct Source {
        flights: Flights,
        loads: Arc<AtomicUsize>,
    }

    impl Source {
        fn follow(
            &self,
            key: &'static str,
            end: fn(usize) -> Result<usize, &'static str>,
        ) -> Follower<Result<usize, &'static str>> {
            let loads = self.loads.clone();
            self.flights.run(&key, || async move {
                let load = loads.fetch_add(1, SeqCst);
                sleep(SECOND * 5).await;
                end(load)
            })
        }

        fn is_idle(&self) -> bool {
            self.flights.0.lock().is_empty()
        }
    }

    fn leader(flights: &Flights) -> Leader<&'static str, Result<usize, &'static str>> {
        match flights.join(&"a") {
            Joined::Leader(leader) => leader,
            Joined::Follower(_) => panic!("somebody leads"),
        }
    }

    fn follower(flights: &Flights) -> Follower<Result<usize, &'static str>> {
        match flights.join(&"a") {
            Joined::Leader(_) => panic!("nobody leads"),
            Joined::Follower(follower) => follower,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_want_the_same_get_one_load_and_whoever_comes_later_joins() {
        let (source, start) = (Source::default(), Instant::now());
        let (first, other) = (source.follow("a", Ok), source.follow("b", Ok));
        sleep(SECOND * 4).await;
        let late = source.follow("a", Ok);
        assert_eq!((first.wait().await, late.wait().await), (Some(Ok(0)), Some(Ok(0))));
        assert_eq!((start.elapsed(), other.wait().await), (SECOND * 5, Some(Ok(1))));
        assert!(source.is_idle());
        assert_eq!(source.follow("a", Ok).wait().await, Some(Ok(2)), "what has ended is loaded anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_goes_away_leaves_its_place_to_who_asks_next() {
        let flights = Flights::default();
        let (gone, waits) = (leader(&flights), follower(&flights));
        drop(gone);
        let next = leader(&flights);
        assert_eq!(waits.wait().await, None);
        let waits = follower(&flights);
        next.land(Ok(7));
        let after = leader(&flights);
        assert_eq!(waits.wait().await, Some(Ok(7)), "and the one that went away takes nothing from it");
        assert!(
            matches!(flights.join(&"a"), Joined::Follower(_)),
            "nor does the one that has landed from who came after it"
        );
        drop(after);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_who_wait_and_to_nobody_after_them() {
        let source = Source::default();
        let waiting = [source.follow("a", |_| Err("no")), source.follow("a", Ok)];
        for follower in waiting {
            assert_eq!(follower.wait().await, Some(Err("no")));
        }
        assert_eq!(source.follow("a", Ok).wait().await, Some(Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_runs_out_of_time_costs_nobody_the_outcome() {
        let (source, start) = (Source::default(), Instant::now());
        let first = source.follow("a", Ok);
        let other = source.follow("a", Ok);
        assert!(timeout(SECOND, first.wait()).await.is_err());
        assert_eq!((other.wait().await, start.elapsed()), (Some(Ok(0)), SECOND * 5));
        // Also where nobody is left who waits.
        drop(source.follow("a", Ok));
        sleep(SECOND * 6).await;
        assert_eq!((source.loads.load(SeqCst), source.is_idle()), (2, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_panics_is_told_as_one_that_made_nothing() {
        let source = Source::default();
        let waiting = [source.follow("a", |_| panic!("of this test")), source.follow("a", Ok)];
        for follower in waiting {
            assert_eq!(follower.wait().await, None);
        }
        assert_eq!(source.follow("a", Ok).wait().await, Some(Ok(1)));
    }
}
