//! What a backend answers by HTTP: heads, frames, trailers, details, bodies.
//!
//! A line `grpc STATUS`, `stream STATUS` or `rest STATUS`, lines of the head, an empty line, lines of the trailers, an empty line, and
//! the body. Where it is cut into frames is what its first byte says.

use crate::json::SHAPE;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::runtime::Runtime;
use weft_core::{
    model::{Code, Deadline},
    observe::Audience,
    telemetry::Metrics,
    upstream::{Method, Outgoing, Rest, StreamBounds, read_grpc},
};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

/// Bytes of a reply.
const MOST: usize = 4 << 10;

/// Whatever is answered, the call ends, with a reply within its bounds or with a code, and a status that is there is the code.
pub fn backend(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let first = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let Some((protocol, status)) = first.split_once(' ') else { return false };
    let Ok(status) = status.parse::<StatusCode>() else { return false };
    let (head, rest) = fields(parts.next().unwrap_or_default());
    if protocol == "rest" {
        return rest_reply(status, &head, Bytes::copy_from_slice(rest));
    }
    let (trailers, body) = fields(rest);
    let stream = (protocol == "stream").then_some(StreamBounds { items: 3, bytes: MOST, time: None, whole: false });
    grpc_reply(status, head, trailers, body, stream);
    true
}

/// Lines up to an empty one, and what comes behind it. Lines that can't be fields are passed over.
fn fields(bytes: &[u8]) -> (HeaderMap, &[u8]) {
    let (mut map, mut rest) = (HeaderMap::new(), bytes);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    (map, rest)
}

fn grpc_reply(status: StatusCode, head: HeaderMap, trailers: HeaderMap, body: &[u8], stream: Option<StreamBounds>) {
    // Heads that say what is over or unreadable before its trailers come.
    let said = |map: &HeaderMap| {
        let text = map.get("grpc-status")?.to_str().ok()?;
        text.parse::<u32>().ok().filter(|number| number.to_string() == text)
    };
    let (in_head, is_packed) = (said(&head), head.contains_key("grpc-encoding"));
    let mut frames: Vec<Result<Frame<Bytes>, Infallible>> = Vec::new();
    let piece = usize::from(body.first().copied().unwrap_or(0) % 7) + 1;
    frames.extend(body.chunks(piece * 8).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))));
    frames.push(Ok(Frame::trailers(trailers)));
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    *response.status_mut() = status;
    *response.headers_mut() = head;
    let method = Method::new("fuzzed", "fuzz.Service/Call", false, None, &Metrics::default()).streaming(stream);
    let outgoing = Outgoing {
        method: Arc::new(method),
        message: Bytes::new(),
        metadata: HeaderMap::new(),
        deadline: Deadline::after(Duration::from_secs(1)),
        source: None,
        cut: Arc::default(),
        audience: Audience::default(),
    };
    // A stream has a timer, which asks for a runtime though it never comes to its end here.
    let _inside = RUNTIME.enter();
    let reply = read_grpc(response, outgoing, MOST).now_or_never();
    // Everything is there, so nothing is waited for.
    match reply.unwrap() {
        Ok(message) => assert!(message.len() <= MOST + 100, "{} bytes", message.len()),
        Err(failure) => {
            assert_ne!(failure.code, Code::Ok);
            if let Some(number @ 1..=16) = in_head
                && !is_packed
            {
                assert_eq!(failure.code, Code::from_number(number), "{failure}");
            }
        }
    }
}

/// A reply that is one, or a failure; a body that is no JSON never becomes a reply.
fn rest_reply(status: StatusCode, head: &HeaderMap, body: Bytes) -> bool {
    let rest = |response_body| Rest::resolve("POST /v1/shapes", response_body, SHAPE.clone(), SHAPE.clone()).unwrap();
    for rest in [rest(None), rest(Some("numbers"))] {
        match rest.read(status, head, &body) {
            Ok(_) => assert!(status.is_success()),
            Err(failure) => assert_ne!(failure.code, Code::Ok),
        }
    }
    true
}
