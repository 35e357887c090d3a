//! Which requests are recorded, and how others are told of their traces.

use super::{recorder::Recorder, span::SpanSink};
use crate::{
    model::{Trace, TraceFormats},
    telemetry::{Metrics, TraceFormatLabels},
};
use http::HeaderMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Takes in what callers say of their traces, and decides which are recorded.
#[derive(Debug)]
pub struct Tracer {
    formats: TraceFormats,
    metrics: Metrics,
    /// `None`: nothing is recorded.
    recording: Option<Recording>,
}

#[derive(Debug)]
struct Recording {
    sink: Arc<dyn SpanSink>,
    /// Of requests of which nobody who may has said anything.
    ratio: f64,
}

impl Tracer {
    /// Passes traces on, and records none.
    pub fn new(formats: TraceFormats, metrics: &Metrics) -> Self {
        Self { formats, metrics: metrics.clone(), recording: None }
    }

    /// Records this share of those requests of whose traces nobody who may has said whether to.
    pub fn recording(self, sink: Arc<dyn SpanSink>, ratio: f64) -> Self {
        Self { recording: Some(Recording { sink, ratio }), ..self }
    }

    /// The trace of a request. `trusted`: it comes from a listed peer, whose word on recording counts.
    pub fn receive(&self, headers: &HeaderMap, trusted: bool) -> Trace {
        let received = Trace::receive(headers, self.formats, trusted);
        for format in received.broken.formats() {
            self.metrics.traces_broken.get_or_create(&TraceFormatLabels { format: format.as_str().to_owned() }).inc();
        }
        let mut trace = received.trace;
        if let (Some(Recording { ratio, .. }), None) = (&self.recording, trace.wish) {
            trace.context.sampled = *ratio > 0.0 && rand::random::<f64>() < *ratio;
        }
        trace
    }

    /// Who records the request, if it is one of those. `since`: its beginning.
    pub fn record(&self, trace: &Trace, since: Instant) -> Option<Arc<Recorder>> {
        let Recording { sink, .. } = self.recording.as_ref().filter(|_| trace.context.sampled)?;
        Some(Arc::new(Recorder::new(sink.clone(), trace.clone(), since)))
    }

    /// The same for a request whose caller has asked for it, and may.
    pub fn insist(&self, trace: &mut Trace, since: Instant) -> Option<Arc<Recorder>> {
        trace.context.sampled |= self.recording.is_some();
        self.record(trace, since)
    }
}
