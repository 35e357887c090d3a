//! A request as it comes in: checked for what every request has to have, and given an id and a trace.

use super::{
    accept::Peer,
    body::{self, Coding, Intake, Place},
    held::{Held, Holding, Owner},
    room,
};
use crate::{
    gateway,
    model::{Fault, ProblemType, TraceContext, hex},
    net::Peers,
    observe::{Recorder, Tracer},
};
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header, uri::Authority};
use std::{net::IpAddr, sync::Arc};
use tokio::{sync::Notify, time::Instant};

/// What stays at the edge of a request, for its answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) request_id: HeaderValue,
    pub(super) trace: TraceContext,
    /// Who records it, where its trace is sampled.
    pub(super) recorder: Option<Arc<Recorder>>,
    /// What the client has already (`if-none-match`).
    pub(super) has: Vec<HeaderValue>,
    /// Since when it has what it has (`if-modified-since`).
    pub(super) since: Option<HeaderValue>,
    /// Where it comes from, by the word of listed peers.
    pub(super) source: Option<IpAddr>,
    /// For whom its bytes are held.
    pub(super) owner: Owner,
    /// Ends the request before it has ended by itself; `None` where there is no connection.
    pub(super) end: Option<Arc<Notify>>,
    /// Told when the request has to give way to others.
    pub(super) gives_way: Arc<Notify>,
    /// It counts until it is answered.
    pub(super) holding: Option<Arc<Holding>>,
}

/// What a line of a head takes beside its bytes.
const LINE: usize = 64;

/// Splits a request into what stays here and what goes on to the gateway.
pub(super) fn take_in(
    request: Request<Body>,
    intake: &Intake,
    held: &Arc<Held>,
    (peers, tracer, since): (&Peers, &Tracer, Instant),
) -> (Head, Result<gateway::Request, Fault>) {
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.remove::<Peer>();
    let is_listed = peer.as_ref().is_some_and(|peer| peers.contains(peer.address.ip()));
    let owner = peer.as_ref().map_or_else(Owner::default, |peer| Owner {
        caller: peers.caller_of(peer.address, &parts.headers),
        connection: (!is_listed).then_some(peer.connection),
    });
    let request_id = parts.headers.get("x-request-id").filter(|id| is_id(id)).cloned().unwrap_or_else(new_id);
    let trace = tracer.receive(&parts.headers, is_listed);
    let recorder = tracer.record(&trace, since);
    let source = peer.as_ref().map(|peer| peers.client_of(peer.address, &parts.headers));
    let mut head = Head {
        source: source.map(|source| source.ip()),
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        request_id: request_id.clone(),
        trace: trace.context,
        recorder: recorder.clone(),
        has: parts.headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect(),
        since: parts.headers.get(header::IF_MODIFIED_SINCE).cloned(),
        owner,
        end: peer.as_ref().map(|peer| peer.end.clone()),
        gives_way: Arc::default(),
        holding: None,
    };
    let checked = check_host(&parts).and_then(|()| check_framing(&parts.headers));
    let checked = checked.and_then(|()| check_length(&parts.headers, intake.max_body));
    let checked = checked.and_then(|()| Coding::of(&parts.headers));
    let checked = checked.and_then(|coding| {
        let size = size(&parts);
        let holding = held.work(owner, size, head.gives_way.clone()).map_err(room::of_requests)?;
        let place = Place { holding: Arc::new(holding), head: size };
        head.holding = Some(place.holding.clone());
        Ok((coding, place))
    });
    let request = checked.map(|(coding, place)| gateway::Request {
        method: parts.method,
        uri: parts.uri,
        body: body::collect(body, coding, intake.clone(), place),
        request_id,
        trace,
        recorder,
        since,
        peer: peer.as_ref().map(|peer| peer.address),
        certified: peer.as_ref().is_some_and(|peer| peer.certified),
        source,
        caller: owner.caller,
        headers: parts.headers,
    });
    (head, request)
}

/// What a request's head takes.
fn size(parts: &http::request::Parts) -> usize {
    let lines: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + LINE).sum();
    lines + parts.uri.path_and_query().map_or(0, |path| path.as_str().len())
}

/// HTTP/1.1 asks for exactly one Host (RFC 9112, section 3.2); the HTTP library lets none or several pass.
fn check_host(parts: &http::request::Parts) -> Result<(), Fault> {
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    let wrong = if parts.version == Version::HTTP_11 { hosts != 1 } else { hosts > 1 };
    if wrong {
        let text = format!("expected exactly one Host header, found {hosts}");
        return Err(bad_host(text));
    }
    let named = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    // A name and perhaps a port, and nothing else that somebody before us may have read in another way.
    let is_host = |name: &[u8]| Authority::try_from(name).is_ok_and(|host| !host.as_str().contains('@'));
    if !named.is_none_or(is_host) {
        return Err(bad_host("the Host header is no host name".to_owned()));
    }
    // The absolute form carries the host twice (RFC 9112, section 3.2.2); two that differ are an attempt to be taken for two sites.
    match (parts.uri.authority(), named) {
        (Some(authority), Some(named)) if !named.eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            Err(bad_host(format!("the request is for `{authority}`, and its Host header names another host")))
        }
        _ => Ok(()),
    }
}

fn bad_host(text: String) -> Fault {
    Fault::new(ProblemType::BadHost, text)
}

/// Chunked, and nothing around it: what else a list names would be a body that nobody here unpacks, and lists are read in many ways.
fn check_framing(headers: &HeaderMap) -> Result<(), Fault> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_none_or(is_chunked) && codings.next().is_none() {
        return Ok(());
    }
    let text = "the only transfer-encoding that is understood is `chunked`";
    Err(Fault::new(ProblemType::UnknownEncoding, text).with_status(StatusCode::NOT_IMPLEMENTED))
}

fn check_length(headers: &HeaderMap, max_body: usize) -> Result<(), Fault> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max_body as u64) {
        return Err(body::too_large(max_body));
    }
    Ok(())
}

/// An id that the gateway gave, if it is fit for logs and headers.
fn is_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=128).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
}

fn new_id() -> HeaderValue {
    HeaderValue::from_bytes(&hex::<32>(rand::random())).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
