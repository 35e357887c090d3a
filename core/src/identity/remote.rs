//! Keys behind a URL: fetched ahead of need by one task, kept through an outage, and asked for again when a token names a key that
//! is not there.
//!
//! One task does all the fetching, so there is never more than one fetch under way. What a token says can bring it about at most
//! once in [`COOLDOWN`]. A fetch that fails leaves the keys as they are, until they are older than the hard limit.

use super::keys::{Key, KeySet, KeySource, KeyState, NoKeys, is_key_id};
use crate::{
    sync::lock,
    telemetry::{Counter, Gauge, JwksLabels, Listed, Metrics, SourceLabels},
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};

/// One fetch, headers and body.
pub(super) const FETCH: Duration = Duration::from_secs(5);
/// Between two fetches because of key ids that are not there.
const COOLDOWN: Duration = Duration::from_secs(30);
/// For how long fetched keys count as new, where the response doesn't say, and within which bounds it may.
const LIFETIME: Duration = Duration::from_mins(10);
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);
/// After the first fetch that fails; doubled with each further one.
const BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_mins(1);
/// Requests that may wait for a fetch at once; further ones are told to come again.
const WAITERS: usize = 64;

/// A JWKS document, and for how long it says that it is good.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) body: Bytes,
    pub(super) max_age: Option<Duration>,
}

/// Where documents come from.
pub(super) trait Fetch: Send + Sync + fmt::Debug {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, String>>;
}

#[derive(Debug)]
pub(super) struct Remote {
    url: String,
    origin: Box<dyn Fetch>,
    hard_limit: Duration,
    state: Mutex<State>,
    /// Somebody waits for a key.
    wanted: Notify,
    /// Counts the fetches that have ended.
    ended: watch::Sender<u64>,
    waiters: Semaphore,
    counts: Counts,
}

#[derive(Debug, Default)]
struct State {
    /// With the moment at which they came.
    keys: Option<(Arc<KeySet>, Instant)>,
    /// A fetch is under way, or about to be.
    pending: bool,
    /// When a missing key last led to a fetch.
    asked_at: Option<Instant>,
    /// Since the last good one.
    failures: u32,
    failure: Option<String>,
}

#[derive(Debug)]
struct Counts {
    good: Counter,
    failed: Counter,
    fetched_at: Gauge,
}

impl Counts {
    fn new(metrics: &Metrics, source: &str) -> Self {
        let labels = |result: &str| JwksLabels { source: source.to_owned(), result: result.to_owned() };
        Self {
            good: metrics.jwks_fetches.get_or_create_owned(&labels("good")),
            failed: metrics.jwks_fetches.get_or_create_owned(&labels("failed")),
            fetched_at: metrics.jwks_fetched_at.get_or_create_owned(&SourceLabels { source: source.to_owned() }),
        }
    }
}

impl Remote {
    pub(super) fn new(url: String, origin: Box<dyn Fetch>, hard_limit: Duration, metrics: &Metrics) -> Self {
        let counts = Counts::new(metrics, &url);
        let (state, wanted, ended) = (Mutex::default(), Notify::new(), watch::Sender::new(0));
        Self { url, origin, hard_limit, state, wanted, ended, waiters: Semaphore::new(WAITERS), counts }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The keys, unless they are too old to be believed.
    fn current(&self) -> Option<Arc<KeySet>> {
        let state = self.lock();
        let (keys, came_at) = state.keys.as_ref()?;
        (came_at.elapsed() < self.hard_limit).then(|| keys.clone())
    }

    /// Sees to it that there is a fetch. `false`: there was one for the same reason a moment ago.
    fn ask(&self) -> bool {
        let mut state = self.lock();
        if state.pending {
            return true;
        }
        if state.asked_at.is_some_and(|at| at.elapsed() < COOLDOWN) {
            return false;
        }
        (state.pending, state.asked_at) = (true, Some(Instant::now()));
        self.wanted.notify_one();
        true
    }

    /// Looks again after a fetch, if there may be one.
    async fn find_anew(&self, id: &str) -> Result<Vec<Arc<Key>>, NoKeys> {
        let mut ended = self.ended.subscribe();
        if self.ask() {
            let _place = self.waiters.try_acquire().map_err(|_| NoKeys)?;
            // Longer than a fetch may take: it says itself that it was too slow.
            let _ = tokio::time::timeout(FETCH + BACKOFF, ended.changed()).await;
        }
        let found = self.current().ok_or(NoKeys)?.find(Some(id));
        // Whether the issuer has such a key by now is not known while it can't be asked.
        if found.is_empty() && self.lock().failures > 0 { Err(NoKeys) } else { Ok(found) }
    }

    async fn fetch(&self) -> Result<(KeySet, Duration), String> {
        let fetched = tokio::time::timeout(FETCH, self.origin.fetch()).await;
        let fetched = fetched.map_err(|_| format!("no whole answer within {FETCH:?}"))??;
        let (keys, complaints) = KeySet::parse(&fetched.body)?;
        if !complaints.is_empty() {
            tracing::warn!(url = self.url, complaints = %Listed(&complaints), "keys that can't be used are left out");
        }
        Ok((keys, fetched.max_age.unwrap_or(LIFETIME).clamp(SHORTEST, LONGEST)))
    }

    /// Takes in what a fetch has brought; when to fetch again.
    fn take_in(&self, outcome: Result<(KeySet, Duration), String>) -> Duration {
        let mut state = self.lock();
        state.pending = false;
        match outcome {
            Ok((keys, lifetime)) => {
                self.counts.good.inc();
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
                self.counts.fetched_at.set(i64::try_from(now).unwrap_or(i64::MAX));
                let names = keys.names();
                if state.failures > 0 || state.keys.as_ref().is_none_or(|(before, _)| before.names() != names) {
                    tracing::info!(url = self.url, keys = %Listed(&names), "verification keys fetched");
                }
                state.keys = Some((Arc::new(keys), Instant::now()));
                (state.failures, state.failure) = (0, None);
                // Ahead of the end, and not all hosts at once.
                lifetime.mul_f64(rand::random_range(0.7..0.9))
            }
            Err(reason) => {
                self.counts.failed.inc();
                let pause = BACKOFF.saturating_mul(1 << state.failures.min(10)).min(LONGEST_BACKOFF);
                state.failures = state.failures.saturating_add(1);
                let seconds_old = state.keys.as_ref().map(|(_, came_at)| came_at.elapsed().as_secs());
                tracing::warn!(url = self.url, reason, seconds_old, retry_in = ?pause, "verification keys can't be fetched");
                state.failure = Some(reason);
                pause
            }
        }
    }
}

impl KeySource for Remote {
    fn find<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Arc<Key>>, NoKeys>> {
        async move {
            let found = self.current().ok_or(NoKeys)?.find(id);
            match id {
                Some(id) if found.is_empty() && is_key_id(id) => self.find_anew(id).await,
                _ => Ok(found),
            }
        }
        .boxed()
    }

    fn keep(self: Arc<Self>) -> BoxFuture<'static, ()> {
        async move {
            loop {
                self.lock().pending = true;
                let outcome = self.fetch().await;
                let pause = self.take_in(outcome);
                self.ended.send_modify(|count| *count += 1);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.wanted.notified() => {}
                }
            }
        }
        .boxed()
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        async move {
            let mut ended = self.ended.subscribe();
            // The sender is this object's own, so it is there.
            while self.current().is_none() && ended.changed().await.is_ok() {}
        }
        .boxed()
    }

    fn fetched(&self, url: &str) -> Option<(Arc<KeySet>, Instant)> {
        self.lock().keys.clone().filter(|_| self.url == url)
    }

    fn adopt(&self, fetched: (Arc<KeySet>, Instant)) {
        self.lock().keys.get_or_insert(fetched);
    }

    fn state(&self) -> KeyState {
        let state = self.lock();
        let keys = state.keys.as_ref();
        KeyState {
            source: self.url.clone(),
            keys: keys.map(|(keys, _)| keys.names()).unwrap_or_default(),
            usable: keys.is_some_and(|(_, came_at)| came_at.elapsed() < self.hard_limit),
            seconds_old: keys.map(|(_, came_at)| came_at.elapsed().as_secs()),
            failure: state.failure.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
