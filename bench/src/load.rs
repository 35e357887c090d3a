//! The load driver. Connections are HTTP/1.1 with keep-alive, as gateways have them.

mod client;
mod pace;

pub(crate) use client::exchange;
pub(crate) use pace::{Load, Pace};

use crate::expected::Body;
use hdrhistogram::Histogram;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// One request and what its answer has to be.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) path: Arc<str>,
    pub(crate) body: Body,
    /// Whether it comes with a token, of a caller that no other request has.
    pub(crate) signed: bool,
}

/// What to ask for; the number counts up from 0 over all connections.
pub(crate) type Plan = Arc<dyn Fn(u64) -> Ask + Send + Sync>;

/// The same request over and over, each time by another caller.
pub(crate) fn always(path: &str, body: Body) -> Plan {
    let ask = Ask { path: path.into(), body, signed: true };
    Arc::new(move |_| ask.clone())
}

/// What became of the requests.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    /// By reason.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Microseconds, of those that went well.
    pub(crate) latency: Histogram<u64>,
    pub(crate) took: Duration,
}

impl Tally {
    pub(crate) fn new() -> Self {
        // A minute is the highest that is told apart; three digits. These bounds are always possible.
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3);
        let latency = latency.unwrap_or_else(|_| unreachable!("constant bounds"));
        Self { done: 0, failed: BTreeMap::new(), latency, took: Duration::ZERO }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.done += other.done;
        for (reason, count) in &other.failed {
            *self.failed.entry(reason.clone()).or_default() += count;
        }
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
    }

    fn note(&mut self, outcome: Result<(), String>, latency: Duration) {
        self.done += 1;
        match outcome {
            Ok(()) => self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
            Err(reason) => *self.failed.entry(reason).or_default() += 1,
        }
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// One line for people.
    pub(crate) fn told(&self, rate: f64) -> String {
        format!(
            "{} requests at {rate:.0} a second, {} failed {:?}, p50 {:.2} ms, p99 {:.2} ms",
            self.done,
            self.failures(),
            self.failed,
            self.quantile(0.5),
            self.quantile(0.99)
        )
    }

    /// Milliseconds below which this share of requests stayed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        self.latency.value_at_quantile(share) as f64 / 1000.0
    }
}
