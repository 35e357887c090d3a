//! The names of metrics and log fields, and how logs are written. What is counted is counted elsewhere.

mod contracts;
mod endpoints;
mod events;
mod labels;
mod logs;
mod metrics;
mod retired;
mod sources;
mod streams;
mod timed;

pub use contracts::Contracts;
pub use endpoints::{EndpointHealth, EndpointStates};
pub use events::EventsMetrics;
#[cfg(test)]
pub(crate) use logs::kept;
pub use logs::{Config, Listed, LogCaller, LogFormat, LogNames, LogPath, init_logs, send_logs};
pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

pub use labels::{
    AgentLabels, CacheLabels, CallLabels, CutLabels, DeprecatedLabels, DroppedLabels, EndpointLabels, EventLabels,
    ExchangeLabels, JwksLabels, KeyLabels, PluginLabels, RequestLabels, SourceLabels, TierLabels, TraceFormatLabels,
    UpstreamLabels,
};
pub use metrics::Metrics;
pub use retired::{Past, Statuses};
pub use sources::SourceStates;
pub use streams::StreamMetrics;
pub use timed::Timed;
