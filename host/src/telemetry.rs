//! The names of metrics and log fields, and how logs are written. What is counted is counted elsewhere.

mod logs;
mod metrics;

pub use logs::{Config, LogFormat, init_logs};
pub use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

pub use metrics::{
    BackendLabels, CacheLabels, CallLabels, EndpointLabels, Metrics, PluginLabels, RequestLabels, TierLabels,
    UpstreamLabels,
};
