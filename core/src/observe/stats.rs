//! What a request has cost and what befell it, in sums that go on while it does: for its headers and its line in the log.

use super::{Degraded, Ended, Event, Listener, Origin};
use crate::sync::lock;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Counters of one request.
#[derive(Debug, Default)]
pub struct Stats {
    calls: AtomicU32,
    depth: AtomicU32,
    upstream: AtomicU32,
    retries: AtomicU32,
    refused: AtomicU32,
    cached: AtomicU32,
    failed: AtomicU32,
    bytes: AtomicU64,
    guest_nanos: AtomicU64,
    degraded: Mutex<BTreeSet<(Arc<str>, Degraded)>>,
}

impl Listener for Stats {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Asked { calls, depth } => {
                self.calls.fetch_add(*calls, Relaxed);
                self.depth.fetch_max(*depth, Relaxed);
            }
            Event::Left(_) => _ = self.upstream.fetch_add(1, Relaxed),
            // Counted as it left, and taken back where it never did.
            Event::Back(trip) if trip.refused_by.is_some() => _ = self.upstream.fetch_sub(1, Relaxed),
            Event::Back(trip) => _ = self.retries.fetch_add(trip.attempts.saturating_sub(1), Relaxed),
            Event::Degraded { method, how } => {
                lock(&self.degraded).insert(((*method).clone(), *how));
            }
            Event::Ended(ended) => self.ended(ended),
            Event::GuestRan(cost) => {
                self.guest_nanos.store(u64::try_from(cost.cpu.as_nanos()).unwrap_or(u64::MAX), Relaxed);
            }
            _ => {}
        }
    }
}

impl Stats {
    fn ended(&self, Ended { takers, end, .. }: &Ended<'_>) {
        let count = takers.count();
        match end.result {
            Ok(size) => _ = self.bytes.fetch_add(size as u64 * u64::from(count), Relaxed),
            Err(_) => _ = self.failed.fetch_add(count, Relaxed),
        }
        match end.origin {
            Origin::Refused => _ = self.refused.fetch_add(count, Relaxed),
            Origin::Cache | Origin::Stale if end.trip.is_none() => _ = self.cached.fetch_add(count, Relaxed),
            _ => {}
        }
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

    /// CPU time of the guest; zero where none ran to its end.
    pub fn guest_cpu(&self) -> Duration {
        Duration::from_nanos(self.guest_nanos.load(Relaxed))
    }

    /// The methods whose part of the response is less than it should be, and how.
    pub fn degraded(&self) -> Vec<(Arc<str>, Degraded)> {
        lock(&self.degraded).iter().cloned().collect()
    }
}
