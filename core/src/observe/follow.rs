//! Requests as they end, for a program that is a host and shows what it does: `weft dev`. While nobody follows, a request pays for one
//! look at a flag.

use super::{Degraded, Origin, Stats};
use crate::sync::lock;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Requests that may wait for who follows; those beyond are not told of.
const MOST: usize = 1_000;

/// Who is told of requests, if anybody.
#[derive(Debug, Default)]
pub struct Follow {
    is_followed: AtomicBool,
    to: Mutex<Option<mpsc::Sender<Followed>>>,
}

/// A request that has ended, with all that it said of where it went.
#[derive(Debug, Clone)]
pub struct Followed {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub status: u16,
    pub took: Duration,
    /// Method and template, and the release; none where nothing was found.
    pub endpoint: Option<String>,
    pub plugin: Option<String>,
    /// Why it went wrong, with what its caller is not told.
    pub trouble: Option<String>,
    /// `cache-status` of its answer.
    pub cache: Option<String>,
    /// None where no guest ran for it.
    pub calls: Option<FollowedCalls>,
}

/// What became of its calls.
#[derive(Debug, Clone)]
pub struct FollowedCalls {
    pub made: u32,
    pub upstream: u32,
    pub retries: u32,
    pub failed: u32,
    pub depth: u32,
    pub guest_cpu: Duration,
    /// Where replies came from, by how many calls.
    pub origins: BTreeMap<&'static str, usize>,
    /// Methods whose part of the answer is less than it should be, and how.
    pub degraded: Vec<(Arc<str>, Degraded)>,
    /// As in the waterfall of a request that was asked for it.
    pub waterfall: Value,
}

impl Follow {
    pub fn is_followed(&self) -> bool {
        self.is_followed.load(Relaxed)
    }

    /// From now on requests are told of there; who has followed before is told no more.
    pub fn begin(&self) -> mpsc::Receiver<Followed> {
        let (to, followed) = mpsc::channel(MOST);
        *lock(&self.to) = Some(to);
        self.is_followed.store(true, Relaxed);
        followed
    }

    pub fn tell(&self, request: Followed) {
        let mut to = lock(&self.to);
        if to.as_ref().is_some_and(mpsc::Sender::is_closed) {
            *to = None;
            self.is_followed.store(false, Relaxed);
        }
        if let Some(to) = &*to {
            // What there is no room for is not told of.
            let _ = to.try_send(request);
        }
    }
}

impl FollowedCalls {
    pub(super) fn new(stats: &Stats, origins: impl Iterator<Item = Origin>, waterfall: Value) -> Self {
        let mut counts = BTreeMap::new();
        origins.for_each(|origin| *counts.entry(origin.as_str()).or_default() += 1);
        Self {
            made: stats.calls(),
            upstream: stats.upstream(),
            retries: stats.retries(),
            failed: stats.failed(),
            depth: stats.depth(),
            guest_cpu: stats.guest_cpu(),
            origins: counts,
            degraded: stats.degraded(),
            waterfall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(status: u16) -> Followed {
        let (method, target, took) = ("GET".to_owned(), "/".to_owned(), Duration::ZERO);
        let (endpoint, plugin, trouble, cache, calls) = Default::default();
        Followed { method, target, status, took, endpoint, plugin, trouble, cache, calls }
    }

    #[test]
    fn who_looks_no_more_is_paid_for_no_more_and_who_is_slow_misses_some() {
        let follow = Follow::default();
        follow.tell(request(200));
        assert!(!follow.is_followed());
        let mut followed = follow.begin();
        (0..=MOST).for_each(|number| follow.tell(request(number as u16)));
        assert!(follow.is_followed());
        let told: Vec<u16> = std::iter::from_fn(|| followed.try_recv().ok()).map(|request| request.status).collect();
        assert_eq!((told.len(), told.first(), told.last()), (MOST, Some(&0), Some(&(MOST as u16 - 1))));
        drop(followed);
        follow.tell(request(200));
        assert!(!follow.is_followed());
    }
}
