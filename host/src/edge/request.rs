//! A request as it comes in: checked for what every request has to have, and given an id and a trace.

use super::accept::Peer;
use crate::{
    gateway,
    model::{Fault, TraceContext},
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// What stays at the edge of a request, for its answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) request_id: HeaderValue,
    pub(super) trace: TraceContext,
}

/// Splits a request into what stays here and what goes on to the gateway.
pub(super) fn take_in(request: Request<Body>, max_body: usize) -> (Head, Result<gateway::Request, Fault>) {
    let (parts, body) = request.into_parts();
    let request_id = parts.headers.get("x-request-id").filter(|id| is_id(id)).cloned().unwrap_or_else(new_id);
    let trace = match parts.headers.get("traceparent") {
        Some(parent) => TraceContext::from_header(parent.as_bytes()),
        None => TraceContext::fresh(),
    };
    let head =
        Head { method: parts.method.clone(), path: parts.uri.path().to_owned(), request_id: request_id.clone(), trace };
    let checked = check_host(&parts).and_then(|()| check_length(&parts.headers, max_body));
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let request = checked.map(|()| gateway::Request {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: collect(body, max_body),
        request_id,
        trace,
        peer,
        // Listeners with TLS will know.
        certified: false,
    });
    (head, request)
}

/// HTTP/1.1 asks for exactly one Host (RFC 9112, section 3.2); the HTTP library lets none or several pass.
fn check_host(parts: &http::request::Parts) -> Result<(), Fault> {
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    let wrong = if parts.version == Version::HTTP_11 { hosts != 1 } else { hosts > 1 };
    if wrong {
        let text = format!("expected exactly one Host header, found {hosts}");
        return Err(Fault::client(StatusCode::BAD_REQUEST, "bad-host", text));
    }
    Ok(())
}

fn check_length(headers: &HeaderMap, max_body: usize) -> Result<(), Fault> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max_body as u64) {
        return Err(too_large(max_body));
    }
    Ok(())
}

fn too_large(max_body: usize) -> Fault {
    let text = format!("the body is larger than the {max_body} bytes that this host takes");
    Fault::client(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", text).with("field", "body")
}

fn collect(body: Body, max_body: usize) -> BoxFuture<'static, Result<Bytes, Fault>> {
    Box::pin(async move {
        match Limited::new(body, max_body).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large(max_body)),
            Err(error) => {
                let fault = Fault::client(StatusCode::BAD_REQUEST, "bad-body", "the body did not arrive whole");
                Err(fault.with("field", "body").because(error))
            }
        }
    })
}

/// An id that the gateway gave, if it is fit for logs and headers.
fn is_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=128).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
}

fn new_id() -> HeaderValue {
    let id: u128 = rand::random();
    HeaderValue::try_from(format!("{id:032x}")).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
