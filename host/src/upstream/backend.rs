//! One backend: its endpoints, and one call to one of them.

use super::{
    Config, Outgoing, Transport,
    balance::{Load, Picker},
    grpc,
};
use crate::{
    model::{Code, Failure},
    telemetry::{BackendLabels, Metrics, UpstreamLabels},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use tonic::transport::Channel;

/// A named group of endpoints that serve the same services.
#[derive(Debug)]
pub struct Backend {
    name: String,
    endpoints: Vec<Endpoint>,
    picker: Picker,
    max_reply: usize,
    metrics: Metrics,
}

#[derive(Debug)]
struct Endpoint {
    address: String,
    channel: Channel,
    load: Load,
    /// Whether the last call that ended found the endpoint able to answer.
    answers: AtomicBool,
}

/// One endpoint as the admin interface shows it.
#[derive(Debug, serde::Serialize)]
pub struct EndpointState {
    pub address: String,
    pub state: &'static str,
}

impl Backend {
    /// Connects to nothing yet. Fails where TLS files can't be read or don't fit.
    pub fn new(name: &str, config: &Config, metrics: &Metrics) -> Result<Self, String> {
        let connect = |uri: &http::Uri| {
            grpc::connect(uri, config.connect_timeout, config.tls.as_ref())
                .map(|channel| Endpoint {
                    address: uri.authority().map(ToString::to_string).unwrap_or_default(),
                    channel,
                    load: Load::default(),
                    answers: AtomicBool::new(true),
                })
                .map_err(|error| format!("backend `{name}`, endpoint {uri}: {error}"))
        };
        let endpoints = config.endpoints.iter().map(connect).collect::<Result<Vec<_>, _>>()?;
        let backend = Self {
            name: name.to_owned(),
            endpoints,
            picker: Picker::new(config.balance),
            max_reply: config.max_reply.as_usize(),
            metrics: metrics.clone(),
        };
        backend.count_endpoints();
        Ok(backend)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn endpoints(&self) -> Vec<EndpointState> {
        let state = |e: &Endpoint| if e.answers.load(Relaxed) { "ready" } else { "failing" };
        self.endpoints.iter().map(|e| EndpointState { address: e.address.clone(), state: state(e) }).collect()
    }

    async fn unary(&self, mut outgoing: Outgoing) -> Result<Bytes, Failure> {
        let Some(endpoint) = self.picker.pick(&self.endpoints, |e| &e.load) else {
            return Err(Failure::new(Code::Unavailable, format!("backend `{}` has no endpoints", self.name)));
        };
        let remaining = outgoing.deadline.remaining();
        if remaining.is_zero() {
            return Err(Failure::new(Code::DeadlineExceeded, "no time was left to make the call"));
        }
        outgoing.metadata.insert("grpc-timeout", grpc_timeout(remaining));
        let under_way = endpoint.load.begin();
        let deadline = outgoing.deadline.instant();
        let call = grpc::unary(endpoint.channel.clone(), outgoing, self.max_reply);
        let result = tokio::time::timeout_at(deadline, call)
            .await
            .unwrap_or_else(|_| Err(Failure::new(Code::DeadlineExceeded, "no answer in time")));
        let failed = matches!(&result, Err(f) if is_endpoints_own(f.code));
        under_way.end(failed);
        if endpoint.answers.swap(!failed, Relaxed) == failed {
            self.count_endpoints();
        }
        result.map_err(|failure| Failure {
            message: format!("{} ({}): {}", self.name, endpoint.address, failure.message),
            ..failure
        })
    }

    fn count_endpoints(&self) {
        let failing = self.endpoints.iter().filter(|e| !e.answers.load(Relaxed)).count();
        for (state, count) in [("ready", self.endpoints.len() - failing), ("failing", failing)] {
            let labels = BackendLabels { backend: self.name.clone(), state: state.to_owned() };
            self.metrics.endpoints.get_or_create(&labels).set(count as i64);
        }
    }

    fn observe(&self, method: &str, result: &Result<Bytes, Failure>, took: Duration) {
        let code = result.as_ref().err().map_or(Code::Ok, |failure| failure.code);
        let method = method.trim_start_matches('/').to_owned();
        let labels = UpstreamLabels { backend: self.name.clone(), method, code: code.as_str().to_owned() };
        self.metrics.upstream_calls.get_or_create(&labels).inc();
        self.metrics.upstream_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

impl Transport for Backend {
    fn call(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Bytes, Failure>> {
        Box::pin(async move {
            let path = outgoing.path.clone();
            let since = tokio::time::Instant::now();
            let result = self.unary(outgoing).await;
            self.observe(path.as_str(), &result, since.elapsed());
            result
        })
    }
}

/// Failures that say something of the endpoint, not of the request.
fn is_endpoints_own(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Internal
            | Code::Unknown
            | Code::DataLoss
    )
}

/// What is left, less a margin for the way back, in the form of the gRPC specification: at most eight digits and a unit.
fn grpc_timeout(remaining: Duration) -> HeaderValue {
    let margin = (remaining / 20).min(Duration::from_millis(10));
    let micros = (remaining - margin).as_micros().max(1);
    let text =
        if micros < 100_000_000 { format!("{micros}u") } else { format!("{}m", (micros / 1000).min(99_999_999)) };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("1S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_header_has_at_most_eight_digits_and_leaves_a_margin() {
        assert_eq!(grpc_timeout(Duration::from_millis(100)), "95000u");
        assert_eq!(grpc_timeout(Duration::from_secs(10)), "9990000u");
        assert_eq!(grpc_timeout(Duration::from_secs(1000)), "999990m");
        assert_eq!(grpc_timeout(Duration::from_nanos(1)), "1u");
        assert_eq!(grpc_timeout(Duration::from_hours(1_000_000)), "99999999m");
    }
}
