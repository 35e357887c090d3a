//! A span for each call that belongs to a recorded trace, sent to a receiver by OTLP.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Request, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tonic::transport::Endpoint;
use tower::Service;

use crate::proto::otlp::v1::any_value::Value;
use crate::proto::otlp::v1::trace_service_client::TraceServiceClient;
use crate::proto::otlp::v1::{
    AnyValue, ExportTraceServiceRequest, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span, Status,
};
use crate::service;

/// Spans that wait; what comes when there are so many is lost.
const WAITING: usize = 1024;
/// Spans that come soon after each other leave together.
const GATHERING: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(2);
/// OTLP's kind of a server's span, and its status of a failed one.
const SERVER: i32 = 2;
const ERROR: i32 = 2;

/// Takes spans; clones are the same.
#[derive(Clone, Debug)]
pub struct Spans(mpsc::Sender<Span>);

/// What sends them.
#[derive(Debug)]
pub struct Sending(JoinHandle<()>);

impl Spans {
    /// To the receiver at this URL, which may come later, or never.
    pub fn to(
        receiver: String,
        service: service::Service,
        address: SocketAddr,
    ) -> Result<(Self, Sending), tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(receiver)?.timeout(PATIENCE).connect_timeout(PATIENCE);
        let client = TraceServiceClient::new(endpoint.connect_lazy());
        let address = address.to_string();
        let attributes = vec![said("service.name", service.name()), said("service.instance.id", &address)];
        let (sender, spans) = mpsc::channel(WAITING);
        let sending = tokio::spawn(send(client, Resource { attributes }, spans));
        Ok((Self(sender), Sending(sending)))
    }

    fn record(&self, parent: Parent, method: String, began: SystemTime, took: Duration, code: &str) {
        let is_good = code == "0";
        let mut attributes = vec![said("rpc.system.name", "grpc"), said("rpc.method", &method)];
        if !is_good {
            attributes.push(said("error.type", code));
        }
        let start = began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let span = Span {
            trace_id: parent.trace.to_vec(),
            span_id: RandomState::new().build_hasher().finish().to_be_bytes().to_vec(),
            parent_span_id: parent.span.to_vec(),
            name: method,
            kind: SERVER,
            start_time_unix_nano: nanos(start),
            end_time_unix_nano: nanos(start + took),
            attributes,
            status: Some(Status { code: if is_good { 0 } else { ERROR } }),
            ..Span::default()
        };
        // Nobody waits for a receiver.
        let _ = self.0.try_send(span);
    }
}

impl Sending {
    /// Once what was recorded is sent, and every [`Spans`] is gone; or after two seconds.
    pub async fn end(self) {
        let _ = timeout(PATIENCE, self.0).await;
    }
}

async fn send(
    mut client: TraceServiceClient<tonic::transport::Channel>,
    resource: Resource,
    mut waiting: mpsc::Receiver<Span>,
) {
    let mut spans = Vec::new();
    while waiting.recv_many(&mut spans, WAITING).await > 0 {
        let more = async {
            sleep(GATHERING).await;
            while let Ok(span) = waiting.try_recv() {
                spans.push(span);
            }
        };
        more.await;
        let scope = Some(Scope { name: "demo-services".to_owned() });
        let scope_spans = vec![ScopeSpans { scope, spans: std::mem::take(&mut spans) }];
        let resource_spans = vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }];
        // Lost, if nobody takes them.
        let _ = client.export(ExportTraceServiceRequest { resource_spans }).await;
    }
}

fn said(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value }
}

/// The caller's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
}

impl Parent {
    /// Of `traceparent`, if the caller records it.
    fn recorded(headers: &HeaderMap) -> Option<Self> {
        let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
        let (Some("00"), Some(trace), Some(span), Some(flags)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let is_recorded = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let (trace, span) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        is_recorded.then(|| Self { trace: trace.to_be_bytes(), span: span.to_be_bytes() })
    }
}

/// A gRPC service whose calls are recorded, if there is somebody to send them to.
#[derive(Clone, Debug)]
pub struct Recorded<S> {
    inner: S,
    spans: Option<Spans>,
}

impl<S> Recorded<S> {
    pub(crate) fn new(inner: S, spans: Option<Spans>) -> Self {
        Self { inner, spans }
    }
}

impl<S: NamedService> NamedService for Recorded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Recorded<S>
where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        >,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    /// A call that is not recorded costs a look at the option.
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let recorded = self.spans.clone().and_then(|spans| Some((spans, Parent::recorded(request.headers())?)));
        let Some((spans, parent)) = recorded else { return self.inner.call(request) };
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let (began, since) = (SystemTime::now(), Instant::now());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            // Where a call has failed, its status is in the head.
            let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok()).unwrap_or("0");
            spans.record(parent, method, began, since.elapsed(), code);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_caller_records_is_recorded() {
        let parent = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", http::HeaderValue::from_static(text));
            Parent::recorded(&headers)
        };
        let recorded = parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(recorded.span, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
        for text in ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "00-0af7651916cd43dd", "", "01-a-b-01"]
        {
            assert_eq!(parent(text), None, "{text}");
        }
    }
}
