//! One collector: spans out, and what it says of them.
//!
//! Both protocols go through the client that all outbound HTTP takes; a unary gRPC call is a POST over HTTP/2 with five bytes before the
//! message and the status in the trailers (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use super::{
    config::{Export, TraceProtocol},
    encode::Sender,
    messages::{ExportTraceServiceResponse, PartialSuccess},
    queue::{Deliver, Delivery},
};
use crate::{
    model::hex,
    net::{HttpClient, HttpError, Response, framed},
    observe::Span,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost::Message;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
/// Of an answer: more than any has to say.
const ANSWER: usize = 64 << 10;
const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PATH: &str = "/v1/traces";

/// Where spans are sent to.
#[derive(Debug)]
pub(super) struct Collector {
    client: HttpClient,
    url: String,
    protocol: TraceProtocol,
    headers: HeaderMap,
    timeout: Duration,
    sender: Sender,
}

impl Collector {
    pub(super) fn new(export: &Export) -> Result<Self, String> {
        let base = export.endpoint.to_string();
        let base = base.trim_end_matches('/');
        let is_grpc = export.protocol == TraceProtocol::Grpc;
        let url = match export.endpoint.path() {
            _ if is_grpc => format!("{base}{METHOD}"),
            "" | "/" => format!("{base}{PATH}"),
            _ => base.to_owned(),
        };
        let mut headers = HeaderMap::new();
        for (name, secret) in &export.headers {
            let value = HeaderValue::try_from(secret.read()?).map_err(|error| format!("{name}: {error}"))?;
            headers.insert(name, HeaderValue::clone(&value));
        }
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let kind = if is_grpc { "application/grpc" } else { "application/x-protobuf" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if is_grpc {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let client = if is_grpc { HttpClient::over_http2 } else { HttpClient::trusting };
        let instance = String::from_utf8_lossy(&hex::<32>(rand::random())).into_owned();
        Ok(Self {
            client: client(CONNECT, export.trust.as_ref())?,
            url,
            protocol: export.protocol,
            headers,
            timeout: export.timeout,
            sender: Sender { service: export.service.clone(), instance },
        })
    }

    async fn send(&self, spans: &[Span]) -> Delivery {
        let message = self.sender.request(spans);
        let body = match self.protocol {
            TraceProtocol::Grpc => framed(&message),
            TraceProtocol::Http => message.into(),
        };
        let sent = self.client.post_for_trailers(self.url.clone(), self.headers.clone(), body, ANSWER);
        match tokio::time::timeout(self.timeout, sent).await {
            Err(_) => Delivery::Failed { reason: "timeout", detail: format!("no answer within {:?}", self.timeout) },
            Ok(Err(HttpError::TooLarge(_))) => refused("it answers with more than a collector has to say"),
            Ok(Err(error)) => Delivery::Failed { reason: "unreachable", detail: error.to_string() },
            Ok(Ok((response, trailers))) => match self.protocol {
                TraceProtocol::Grpc => grpc(&response, &trailers),
                TraceProtocol::Http => http(&response),
            },
        }
    }
}

impl Deliver for Collector {
    fn deliver<'a>(&'a self, spans: &'a [Span]) -> BoxFuture<'a, Delivery> {
        Box::pin(self.send(spans))
    }
}

fn refused(detail: impl Into<String>) -> Delivery {
    Delivery::Refused { detail: detail.into() }
}

fn is_of(response: &Response, kind: &str) -> bool {
    let found = response.headers.get(header::CONTENT_TYPE).and_then(|found| found.to_str().ok());
    found.is_some_and(|found| found.trim().to_ascii_lowercase().starts_with(kind))
}

fn odd(response: &Response) -> Delivery {
    let kind = response.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("nothing");
    refused(format!(
        "it answers {} with {kind}: is it a collector, and is `protocol` its own?",
        response.status.as_u16()
    ))
}

/// A status of gRPC, in the trailers or, where there is nothing else, in the head.
fn grpc(response: &Response, trailers: &HeaderMap) -> Delivery {
    if !is_of(response, "application/grpc") {
        return by_status(response);
    }
    let said =
        |name: &str| trailers.get(name).or_else(|| response.headers.get(name)).and_then(|said| said.to_str().ok());
    match said("grpc-status").and_then(|status| status.parse::<u32>().ok()) {
        Some(0) => taken(response.body.get(5..).unwrap_or_default()),
        // Those that the specification lets be tried again: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
        Some(code @ (1 | 4 | 10 | 11 | 14 | 15)) => {
            Delivery::Failed { reason: "unavailable", detail: format!("gRPC status {code}") }
        }
        Some(code) => refused(format!("gRPC status {code}: {}", said("grpc-message").unwrap_or_default())),
        None => odd(response),
    }
}

fn http(response: &Response) -> Delivery {
    let is_otlp = response.body.is_empty() || is_of(response, "application/x-protobuf");
    match response.status {
        StatusCode::OK if is_otlp => taken(&response.body),
        // Some say in JSON that all is well.
        StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT
            if is_otlp || is_of(response, "application/json") =>
        {
            Delivery::Taken { rejected: 0, why: String::new() }
        }
        _ => by_status(response),
    }
}

fn by_status(response: &Response) -> Delivery {
    match response.status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Delivery::Failed { reason: "unavailable", detail: format!("it answers {}", response.status.as_u16()) }
        }
        _ => odd(response),
    }
}

fn taken(body: &[u8]) -> Delivery {
    match ExportTraceServiceResponse::decode(Bytes::copy_from_slice(body)) {
        Ok(ExportTraceServiceResponse { partial_success: Some(PartialSuccess { rejected_spans, error_message }) }) => {
            Delivery::Taken { rejected: u64::try_from(rejected_spans).unwrap_or(0), why: error_message }
        }
        Ok(_) => Delivery::Taken { rejected: 0, why: String::new() },
        Err(_) => refused("its answer is none of a collector's"),
    }
}
