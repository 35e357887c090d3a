//! Metrics of answers in parts.

use super::{Counter, Gauge, labels::CutLabels};
use prometheus_client::{metrics::family::Family, registry::Registry};

/// Of all streams of the host.
#[derive(Debug, Clone, Default)]
pub struct StreamMetrics {
    pub open: Gauge,
    /// Handed over by guests.
    pub events: Counter,
    ended: Family<CutLabels, Counter>,
}

impl StreamMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("streams_open", "Answers in parts that are under way", self.open.clone());
        r.register("stream_events", "Writes of events by guests", self.events.clone());
        r.register("streams_ended", "Answers in parts that have ended, by reason", self.ended.clone());
    }

    /// One has ended for this reason.
    pub fn ended(&self, reason: &str) {
        self.ended.get_or_create(&CutLabels { reason: reason.to_owned() }).inc();
    }
}
