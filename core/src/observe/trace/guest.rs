//! The span of a guest's run.

use super::{recorder::Recorder, span::SpanKind};
use crate::observe::Cost;
use std::{borrow::Cow, sync::Arc};
use tokio::time::Instant;

/// A guest runs. One that is dropped without having ended was given up.
#[derive(Debug)]
pub struct GuestRun(Option<Running>);

#[derive(Debug)]
struct Running {
    recorder: Arc<Recorder>,
    plugin: Arc<str>,
    version: String,
    request_id: String,
    since: Instant,
}

impl GuestRun {
    /// The rest is asked for only where it is recorded.
    pub fn of(recorder: Option<&Arc<Recorder>>, about: impl FnOnce() -> (Arc<str>, String, String)) -> Self {
        Self(recorder.map(|recorder| {
            let (plugin, version, request_id) = about();
            Running { recorder: recorder.clone(), plugin, version, request_id, since: Instant::now() }
        }))
    }

    /// `error`: a word for why there is no answer of its own.
    pub fn ended(mut self, cost: Option<&Cost>, error: Option<&'static str>) {
        if let Some(running) = self.0.take() {
            running.end(cost, error);
        }
    }
}

impl Drop for GuestRun {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.end(None, Some("abandoned"));
        }
    }
}

impl Running {
    fn end(self, cost: Option<&Cost>, error: Option<&'static str>) {
        let Self { recorder, plugin, version, request_id, since } = self;
        recorder.end_spans();
        let ids = (recorder.guest(), Some(recorder.context().span_id));
        let mut span = recorder.span(ids, &plugin, SpanKind::Internal, (since, Instant::now()));
        span.attributes
            .put("faas.name", &plugin)
            .put("faas.version", version)
            .put("faas.trigger", "http")
            .put("faas.invocation_id", request_id);
        if let Some(cost) = cost {
            span.attributes
                .put("weft.guest.queued_seconds", cost.queued.as_secs_f64())
                .put("weft.guest.cpu_seconds", cost.cpu.as_secs_f64())
                .put("weft.guest.memory_bytes", cost.memory)
                .put("weft.guest.crossings", cost.crossings);
        }
        span.attributes.put_any("error.type", error);
        span.error = error.map(Cow::Borrowed);
        (span.events, span.dropped_events) = recorder.take_moments().into_events(|at| recorder.at(at));
        recorder.hand_over(span);
    }
}
