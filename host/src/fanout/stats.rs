//! What a request has cost, counted as it goes.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counters of one request.
#[derive(Debug, Default)]
pub struct Stats {
    pub(super) calls: AtomicU32,
    pub(super) depth: AtomicU32,
    upstream: AtomicU32,
    pub(super) cached: AtomicU32,
    pub(super) failed: AtomicU32,
}

impl Stats {
    pub(super) fn count_upstream(&self) {
        self.upstream.fetch_add(1, Relaxed);
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

    /// Calls answered by the entity cache.
    pub fn cached(&self) -> u32 {
        self.cached.load(Relaxed)
    }

    /// Calls that ended in a failure.
    pub fn failed(&self) -> u32 {
        self.failed.load(Relaxed)
    }
}
