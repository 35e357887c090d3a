//! What one release has done and cost, in sums: for people who look at it now. Metrics tell the same over time.

use crate::observe::Cost;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// One answered request.
#[derive(Debug, Clone, Copy)]
pub struct Observed {
    pub status: StatusCode,
    pub took: Duration,
    pub calls: u32,
    pub upstream: u32,
    pub depth: u32,
    pub degraded: bool,
    /// The trace that it is part of, where somebody keeps that.
    pub trace: Option<u128>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: AtomicU64,
    failed: AtomicU64,
    degraded: AtomicU64,
    micros: AtomicU64,
    cpu_micros: AtomicU64,
    queued_micros: AtomicU64,
    most_memory: AtomicU64,
    calls: AtomicU64,
    upstream: AtomicU64,
    most_depth: AtomicU64,
    pub(super) traps: AtomicU64,
}

/// The sums, as they are now. Times in microseconds, memory in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Sums {
    pub requests: u64,
    /// Answered with 5xx.
    pub failed: u64,
    pub degraded: u64,
    pub micros: u64,
    pub cpu_micros: u64,
    pub queued_micros: u64,
    /// The most that one instance has held.
    pub most_memory: u64,
    pub calls: u64,
    pub upstream: u64,
    pub most_depth: u64,
    pub traps: u64,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Tally {
    pub(super) fn add(&self, observed: &Observed) {
        let add = |sum: &AtomicU64, value: u64| _ = sum.fetch_add(value, Relaxed);
        add(&self.requests, 1);
        add(&self.failed, observed.status.is_server_error().into());
        add(&self.degraded, observed.degraded.into());
        add(&self.micros, micros(observed.took));
        add(&self.calls, observed.calls.into());
        add(&self.upstream, observed.upstream.into());
        self.most_depth.fetch_max(observed.depth.into(), Relaxed);
    }

    /// A guest has run to its end. The most memory so far.
    pub(super) fn add_cost(&self, cost: &Cost) -> u64 {
        self.cpu_micros.fetch_add(micros(cost.cpu), Relaxed);
        self.queued_micros.fetch_add(micros(cost.queued), Relaxed);
        let memory = cost.memory as u64;
        self.most_memory.fetch_max(memory, Relaxed).max(memory)
    }

    pub(super) fn sums(&self) -> Sums {
        let now = |sum: &AtomicU64| sum.load(Relaxed);
        Sums {
            requests: now(&self.requests),
            failed: now(&self.failed),
            degraded: now(&self.degraded),
            micros: now(&self.micros),
            cpu_micros: now(&self.cpu_micros),
            queued_micros: now(&self.queued_micros),
            most_memory: now(&self.most_memory),
            calls: now(&self.calls),
            upstream: now(&self.upstream),
            most_depth: now(&self.most_depth),
            traps: now(&self.traps),
        }
    }
}
