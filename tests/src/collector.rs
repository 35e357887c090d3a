//! A receiver of traces: OTLP over gRPC or HTTP, decoded, and kept as it came.

use crate::{
    site::{Page, Site},
    upstream::{Answer, FakeUpstream},
    wait::until,
};
use bytes::Bytes;
// Written down a second time, for the demo's services: what the host writes is not read by its own word.
use demo_services::proto::otlp::v1::{
    Event, ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue, Span, any_value::Value,
};
use http::HeaderMap;
use prost::Message;
use std::{collections::BTreeMap, net::SocketAddr};
use tokio_rustls::rustls::ServerConfig;

const METHOD: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PATH: &str = "/v1/traces";

/// Takes whatever comes. Dropped, it is gone.
#[derive(Debug)]
pub struct Collector(Kind);

#[derive(Debug)]
enum Kind {
    Grpc(FakeUpstream),
    Http(Site),
}

/// One span as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub trace: String,
    pub span: String,
    /// Empty for a root.
    pub parent: String,
    pub state: String,
    pub name: String,
    /// 1: internal, 2: server, 3: client.
    pub kind: i32,
    pub attributes: BTreeMap<String, String>,
    /// Names, with the methods that they are about.
    pub events: Vec<String>,
    /// Trace and span.
    pub links: Vec<(String, String)>,
    pub is_error: bool,
    pub took: u64,
    /// What is said of who has sent it.
    pub resource: BTreeMap<String, String>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::over(FakeUpstream::start().await)
    }

    pub async fn start_tls(tls: ServerConfig) -> Self {
        Self::over(FakeUpstream::start_tls(tls).await)
    }

    fn over(upstream: FakeUpstream) -> Self {
        upstream.on(METHOD, |_| Answer::message(&ExportTraceServiceResponse {}));
        Self(Kind::Grpc(upstream))
    }

    /// Over HTTP, with binary messages.
    pub async fn start_http() -> Self {
        let site = Site::start().await;
        site.on(PATH, |_| {
            let header = ("content-type", "application/x-protobuf".to_owned());
            Page::Whole(200, vec![header], Bytes::new())
        });
        Self(Kind::Http(site))
    }

    pub fn is_http(&self) -> bool {
        matches!(self.0, Kind::Http(_))
    }

    pub fn address(&self) -> SocketAddr {
        match &self.0 {
            Kind::Grpc(upstream) => upstream.address(),
            Kind::Http(site) => site.address(),
        }
    }

    /// What has arrived, with what came before it.
    pub fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        match &self.0 {
            Kind::Grpc(upstream) => {
                upstream.calls(METHOD).into_iter().map(|call| (call.metadata, call.message)).collect()
            }
            Kind::Http(site) => site.asked().into_iter().map(|asked| (asked.headers, asked.body)).collect(),
        }
    }

    pub fn spans(&self) -> Vec<Seen> {
        self.requests().iter().flat_map(|(_, message)| decode(message)).collect()
    }

    /// Until there are spans such as these.
    pub async fn until<T>(&self, what: &str, so: impl Fn(&[Seen]) -> Option<T>) -> T {
        until(what, async || so(&self.spans())).await
    }

    /// Until all is there that belongs to one request with this path's template: its span is the last one.
    pub async fn trace_of(&self, name: &str) -> Vec<Seen> {
        self.until(name, |spans| {
            let server = spans.iter().find(|span| span.name == name && span.kind == 2)?;
            Some(spans.iter().filter(|span| span.trace == server.trace).cloned().collect())
        })
        .await
    }
}

impl Seen {
    pub fn says(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }

    /// The spans right under it.
    pub fn children<'a>(&self, spans: &'a [Self]) -> Vec<&'a Self> {
        spans.iter().filter(|span| span.parent == self.span && span.trace == self.trace).collect()
    }
}

/// # Panics
/// If it is no request of OTLP.
pub fn decode(message: &Bytes) -> Vec<Seen> {
    let request = ExportTraceServiceRequest::decode(message.clone()).unwrap();
    let mut seen = Vec::new();
    for sent in request.resource_spans {
        let resource = said(sent.resource.unwrap_or_default().attributes);
        for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            seen.push(of(span, &resource));
        }
    }
    seen
}

fn of(span: Span, resource: &BTreeMap<String, String>) -> Seen {
    let event = |event: Event| {
        let of = said(event.attributes).remove("rpc.method").unwrap_or_default();
        format!("{} {of}", event.name).trim().to_owned()
    };
    Seen {
        trace: hex(&span.trace_id),
        span: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state,
        name: span.name,
        kind: span.kind,
        attributes: said(span.attributes),
        events: span.events.into_iter().map(event).collect(),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        is_error: span.status.is_some_and(|status| status.code == 2),
        took: span.end_time_unix_nano.checked_sub(span.start_time_unix_nano).unwrap(),
        resource: resource.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn said(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let one = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value).unwrap() {
            Value::StringValue(text) => text,
            Value::BoolValue(flag) => flag.to_string(),
            Value::IntValue(number) => number.to_string(),
            Value::DoubleValue(number) => number.to_string(),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(one).collect()
}
