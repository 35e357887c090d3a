//! How long something took, and, where it is asked for, an example in each bucket: the trace of a request that took so long.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, MetricEncoder},
    metrics::{MetricType, TypedMetric, exemplar::HistogramWithExemplars, histogram::Histogram},
};
use std::{
    fmt::{self, Write},
    time::SystemTime,
};

/// A histogram of seconds.
#[derive(Debug, Clone)]
pub enum Timed {
    Plain(Histogram),
    /// OpenMetrics tells them; the older format has no place for them.
    WithTraces(HistogramWithExemplars<TraceLabel>),
}

/// The label of an exemplar.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TraceLabel {
    trace_id: TraceId,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TraceId(u128);

impl EncodeLabelValue for TraceId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{:032x}", self.0)
    }
}

impl Timed {
    pub(super) fn new(buckets: impl IntoIterator<Item = f64>, with_traces: bool) -> Self {
        if with_traces {
            return Self::WithTraces(HistogramWithExemplars::new(buckets.into_iter()));
        }
        Self::Plain(Histogram::new(buckets))
    }

    /// `trace`: of the one that took so long, where somebody keeps it.
    pub fn observe(&self, seconds: f64, trace: Option<u128>) {
        match self {
            Self::Plain(histogram) => histogram.observe(seconds),
            Self::WithTraces(histogram) => {
                let label = trace.map(|id| TraceLabel { trace_id: TraceId(id) });
                histogram.observe(seconds, label, trace.map(|_| SystemTime::now()));
            }
        }
    }
}

impl TypedMetric for Timed {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Timed {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Plain(histogram) => histogram.encode(encoder),
            Self::WithTraces(histogram) => histogram.encode(encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
