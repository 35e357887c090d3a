//! Metrics of sources of events.

use super::{
    Counter, Gauge,
    labels::{EventLabels, SourceLabels},
};
use prometheus_client::{
    metrics::family::Family,
    registry::{Registry, Unit},
};
use std::sync::atomic::AtomicU64;

/// Seconds are no whole numbers.
type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Default)]
pub(super) struct Events {
    messages: Family<EventLabels, Counter>,
    connected: Family<SourceLabels, Gauge>,
    pending: Family<SourceLabels, Gauge>,
    lag: Family<SourceLabels, Seconds>,
}

/// What is told of one source.
#[derive(Clone)]
pub struct EventsMetrics {
    name: String,
    all: Events,
    /// Messages of which tags were made.
    pub taken: Counter,
    /// 1 or 0.
    pub connected: Gauge,
    /// Messages that wait at the broker, as far as it tells.
    pub pending: Gauge,
    /// How old the last message was when it came, where the broker tells.
    pub lag_seconds: Seconds,
}

impl std::fmt::Debug for EventsMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventsMetrics").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a message ends: with tags, or passed over for one of these reasons.
const RESULTS: [&str; 5] = ["taken", "too-large", "unreadable", "field-missing", "too-many-tags"];

fn labels(source: &str, result: &str) -> EventLabels {
    EventLabels { source: source.to_owned(), result: result.to_owned() }
}

impl Events {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("events", "Messages of sources of events, by what became of them", self.messages.clone());
        r.register("events_connected", "1 while a source of events is there", self.connected.clone());
        r.register("events_pending", "Messages of a stream that this host has not dealt with", self.pending.clone());
        r.register_with_unit(
            "events_lag",
            "Age of the last message of a stream when it came",
            Unit::Seconds,
            self.lag.clone(),
        );
    }

    pub(super) fn of(&self, name: &str) -> EventsMetrics {
        let source = SourceLabels { source: name.to_owned() };
        EventsMetrics {
            name: name.to_owned(),
            all: self.clone(),
            taken: self.messages.get_or_create_owned(&labels(name, "taken")),
            connected: self.connected.get_or_create_owned(&source),
            pending: self.pending.get_or_create_owned(&source),
            lag_seconds: self.lag.get_or_create_owned(&source),
        }
    }

    pub(super) fn forget(&self, name: &str) {
        let source = SourceLabels { source: name.to_owned() };
        self.connected.remove(&source);
        self.pending.remove(&source);
        self.lag.remove(&source);
        for result in RESULTS {
            self.messages.remove(&labels(name, result));
        }
    }
}

impl EventsMetrics {
    /// A message that means nothing, for this reason.
    pub fn skipped(&self, reason: &str) {
        self.all.messages.get_or_create(&labels(&self.name, reason)).inc();
    }
}
