//! Spans on their way to a collector, by OTLP (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! Whoever records hands spans to a bounded queue and is done ([`queue`]). A task takes them from there in batches, writes them as OTLP has
//! them ([`encode`], [`messages`]) and sends them ([`collector`]). A collector that is away, slow or something else than a collector costs
//! nothing but the spans: they are counted by the reason why they fell, and the log has one line when that begins and one when it is over.

mod collector;
mod config;
mod encode;
mod messages;
mod queue;

pub use config::{Config, Export, TraceProtocol};
pub use queue::{Exporter, MOST_BYTES};

use crate::{observe::Tracer, telemetry::Metrics};
use std::sync::Arc;

/// Starts to send spans, where the configuration says where to. Fails where TLS files or secrets can't be read.
pub fn start(config: &Config, metrics: &Metrics) -> Result<(Arc<Tracer>, Option<Exporter>), String> {
    let tracer = Tracer::new(config.formats, metrics);
    let Some(export) = &config.export else { return Ok((Arc::new(tracer), None)) };
    let collector = collector::Collector::new(export)?;
    let (exporter, sink) = Exporter::start(Arc::new(collector), &export.endpoint, metrics);
    Ok((Arc::new(tracer.recording(sink, export.ratio)), Some(exporter)))
}
