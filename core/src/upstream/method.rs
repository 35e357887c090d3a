//! What is kept for one method of a backend.

use super::{latency::Latency, rest::Rest};
use crate::{
    model::Code,
    observe::{Event, Listener, Spoken},
    telemetry::{Counter, Histogram, Metrics, UpstreamLabels},
};
use http::uri::PathAndQuery;
use std::sync::{Arc, OnceLock};

/// How much of a stream is taken. At the first bound it is cut, and what came so far is the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamBounds {
    pub items: usize,
    pub bytes: usize,
    /// `None`: the call's time, less a tenth for the way back.
    pub time: Option<std::time::Duration>,
    /// Whether each bound is told as a cut: where a list that is not whole is not what somebody has asked for.
    pub whole: bool,
}

/// One method: how it is reached, how it may be treated, and what is measured of it.
#[derive(Debug)]
pub struct Method {
    /// `catalog.v1.Films/GetFilm`.
    pub name: Arc<str>,
    /// `/catalog.v1.Films/GetFilm`.
    pub path: PathAndQuery,
    /// Whether it may be tried again and hedged.
    pub safe: bool,
    /// How it is called where the backend speaks REST.
    pub rest: Option<Rest>,
    /// For a method that answers with a stream: how much of it is taken.
    pub stream: Option<StreamBounds>,
    pub(super) latency: Latency,
    backend: String,
    metrics: Metrics,
    by_code: [OnceLock<(Counter, Histogram)>; 17],
}

impl Method {
    pub fn new(backend: &str, name: &str, safe: bool, rest: Option<Rest>, metrics: &Metrics) -> Self {
        // Names come out of descriptors, which hold identifiers only; anything else can't be called.
        let path = PathAndQuery::try_from(format!("/{name}")).unwrap_or_else(|_| PathAndQuery::from_static("/"));
        Self {
            name: name.into(),
            path,
            safe,
            rest,
            stream: None,
            latency: Latency::default(),
            backend: backend.to_owned(),
            metrics: metrics.clone(),
            by_code: [const { OnceLock::new() }; 17],
        }
    }

    pub(super) fn spoken(&self) -> Spoken<'_> {
        self.rest.as_ref().map_or(Spoken::Grpc, Rest::spoken)
    }

    /// The same method, answering with a stream.
    pub fn streaming(self, stream: Option<StreamBounds>) -> Self {
        Self { stream, ..self }
    }
}

impl Listener for Method {
    /// Counts each attempt, by how it ended.
    fn on(&self, event: &Event<'_>) {
        let Event::AttemptEnded { code, took, .. } = *event else { return };
        if code == Code::Ok {
            self.latency.observe(took);
        }
        let Some(place) = self.by_code.get(code as usize) else { return };
        let (calls, seconds) = place.get_or_init(|| {
            let (backend, method) = (self.backend.clone(), self.name.to_string());
            let labels = UpstreamLabels { backend, method, code: code.as_str().to_owned() };
            let calls = self.metrics.upstream_calls.get_or_create_owned(&labels);
            (calls, self.metrics.upstream_seconds.get_or_create_owned(&labels))
        });
        calls.inc();
        seconds.observe(took.as_secs_f64());
    }
}
