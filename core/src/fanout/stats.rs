//! What a request has cost and what befell it, counted as it goes.

use super::explain::Explain;
use crate::upstream::Answer;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// Counters of one request.
#[derive(Debug, Default)]
pub struct Stats {
    pub(super) calls: AtomicU32,
    pub(super) depth: AtomicU32,
    upstream: AtomicU32,
    retries: AtomicU32,
    refused: AtomicU32,
    pub(super) cached: AtomicU32,
    pub(super) failed: AtomicU32,
    pub(super) bytes: AtomicU64,
    degraded: Mutex<BTreeSet<(Arc<str>, Degraded)>>,
    /// Where a caller has asked for it, and may.
    pub(super) explain: Option<Explain>,
}

/// How a part of a response came to be less than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Degraded {
    /// A declared fallback stood in.
    Fallback,
    /// An old reply stood in.
    Stale,
    /// The call failed, and the plugin did without.
    Failed,
    /// A stream had not ended in time; what had come of it stands in.
    Cut,
}

impl Degraded {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Cut => "cut",
        }
    }
}

impl Stats {
    /// `explain`: every call is recorded too.
    pub fn new(explain: bool) -> Self {
        Self { explain: explain.then(Explain::default), ..Self::default() }
    }

    pub(super) fn count_refused(&self, calls: u32) {
        self.refused.fetch_add(calls, Relaxed);
    }

    pub(super) fn degrade(&self, method: &Arc<str>, how: Degraded) {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).insert((method.clone(), how));
    }

    /// Calls that the plugin made.
    pub fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// The longest chain of calls that waited for one another.
    pub fn depth(&self) -> u32 {
        self.depth.load(Relaxed)
    }

    /// Calls that left the host for this request, shared ones included.
    pub fn upstream(&self) -> u32 {
        self.upstream.load(Relaxed)
    }

    /// Attempts of those calls after the first of each.
    pub fn retries(&self) -> u32 {
        self.retries.load(Relaxed)
    }

    /// Calls that were refused here, so that nothing was sent.
    pub fn refused(&self) -> u32 {
        self.refused.load(Relaxed)
    }

    /// Calls answered by the entity cache.
    pub fn cached(&self) -> u32 {
        self.cached.load(Relaxed)
    }

    /// Calls that ended in a failure.
    pub fn failed(&self) -> u32 {
        self.failed.load(Relaxed)
    }

    /// Bytes of all replies.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The methods whose part of the response is less than it should be, and how.
    pub fn degraded(&self) -> Vec<(Arc<str>, Degraded)> {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The request's calls so far, where they are recorded.
    pub fn explanation(&self) -> Option<serde_json::Value> {
        self.explain.as_ref().map(Explain::to_json)
    }
}

/// One call upstream, counted for each request that it is for: once, however many of its calls it answers. A call that turns out to have
/// been refused here is taken back.
#[derive(Debug)]
pub(super) struct Counted(Vec<Arc<Stats>>);

impl Counted {
    pub(super) fn new(all: impl IntoIterator<Item = Arc<Stats>>) -> Self {
        let mut counted: Vec<Arc<Stats>> = Vec::new();
        for stats in all {
            if !counted.iter().any(|other| Arc::ptr_eq(other, &stats)) {
                stats.upstream.fetch_add(1, Relaxed);
                counted.push(stats);
            }
        }
        Self(counted)
    }

    pub(super) fn ended(&self, answer: &Answer) {
        for stats in &self.0 {
            if answer.refused_by.is_some() {
                stats.upstream.fetch_sub(1, Relaxed);
            } else {
                stats.retries.fetch_add(answer.attempts.saturating_sub(1), Relaxed);
            }
        }
    }
}
