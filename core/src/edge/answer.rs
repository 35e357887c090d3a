//! Answers as they go out: every error a problem document (RFC 9457), every answer with its id, trace and timing.

use super::request::Head;
use crate::{
    gateway::{self, Reply, Trail},
    model::{Blame, Digest, Fault, HostProblem, LogOnly, Party, Scope, ShareKey},
    observe::{Noted, Recent, Stats, unix_millis},
    release::Observed,
    telemetry::{LogCaller, LogNames, LogPath},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};
use tracing::field::display;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The whole HTTP response, as a GET has it, and the fault if it was one.
pub(super) fn give_out(
    head: &Head,
    result: Result<Reply, Fault>,
    trail: &Trail,
    took: Duration,
) -> (Response<Bytes>, Option<Fault>) {
    let is_stream = matches!(&result, Ok(Reply { body: gateway::Body::Stream(_), .. }));
    let (status, mut headers, body, fault) = match result {
        Ok(reply) => {
            let mut headers = reply.headers;
            let body = match reply.body {
                gateway::Body::Bytes(bytes) => bytes,
                // It comes behind the head.
                gateway::Body::Stream(_) => Bytes::new(),
                gateway::Body::Problem { kind, title, detail, members } => {
                    headers.insert(header::CONTENT_TYPE, PROBLEM);
                    let members = members.into_iter().map(|(name, value)| (name, Value::String(value)));
                    problem(head, reply.status, &kind, &title, &detail, members).into()
                }
            };
            (reply.status, headers, body, None)
        }
        Err(fault) => {
            let HostProblem { kind, status, ref detail, ref members, ref headers } = fault.problem;
            let mut headers: HeaderMap = headers.iter().cloned().collect();
            headers.insert(header::CONTENT_TYPE, PROBLEM);
            let members = members.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())));
            let body = problem(head, status, &kind.uri(), kind.title(), detail, members).into();
            (status, headers, body, Some(fault))
        }
    };
    headers.insert("x-request-id", head.request_id.clone());
    insert(&mut headers, "traceparent", &head.trace.to_header());
    insert(&mut headers, "server-timing", timing(trail, took).as_bytes());
    for (name, value) in &trail.headers {
        // Both the plugin and the host may have something to say of these; of all else there is one, and the host's counts.
        if [header::VARY, header::LINK].contains(name) {
            headers.append(name.clone(), value.clone());
        } else {
            headers.insert(name.clone(), value.clone());
        }
    }
    tell_of_rates(&mut headers, trail);
    if headers.get(header::CONTENT_TYPE) == Some(&PROBLEM) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else if trail.is_private {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
    }
    if status.is_success()
        && let Some(degraded) = degraded(trail)
    {
        insert(&mut headers, "x-weft-degraded", degraded.as_bytes());
    }
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    if is_read && status == StatusCode::OK && !is_stream {
        headers.entry(header::ETAG).or_insert_with(|| gateway::weak_tag(&body));
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    (response, fault)
}

/// What is left of the caller's rates: on answers that no cache gives to others.
fn tell_of_rates(headers: &mut HeaderMap, trail: &Trail) {
    let Some(left) = &trail.left else { return };
    let mut lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let is_public = lines.any(|line| {
        let mut words = line.split(',').map(|word| word.split('=').next().unwrap_or_default().trim());
        words.any(|word| word.eq_ignore_ascii_case("public") || word.eq_ignore_ascii_case("s-maxage"))
    });
    // A refusal by a rate has said it already.
    if is_public || headers.contains_key("ratelimit") {
        return;
    }
    for (name, value) in left.headers() {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
}

/// A client that has this very answer already is told so, with all that caches have to know of it, and nothing else.
pub(super) fn if_new(head: &Head, mut response: Response<Bytes>) -> Response<Bytes> {
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    if is_read && response.status() == StatusCode::OK && is_known(head, response.headers()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            response.headers_mut().remove(name);
        }
    }
    response
}

/// Whether the client has this very answer already (RFC 9110, section 13.1.2); or, where it says nothing of tags, whether the answer is no
/// newer than what it has (section 13.1.3).
fn is_known(head: &Head, headers: &HeaderMap) -> bool {
    if head.has.is_empty() {
        let date = |value: Option<&HeaderValue>| httpdate::parse_http_date(value?.to_str().ok()?).ok();
        let (since, modified) = (date(head.since.as_ref()), date(headers.get(header::LAST_MODIFIED)));
        return matches!((since, modified), (Some(since), Some(modified)) if modified <= since);
    }
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Some(Ok(tag)) = headers.get(header::ETAG).map(|tag| tag.to_str().map(opaque)) else { return false };
    let mut has = head.has.iter().filter_map(|line| line.to_str().ok());
    has.any(|has| has.trim() == "*" || has.split(',').any(|one| opaque(one) == tag))
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn problem(
    head: &Head,
    status: StatusCode,
    kind: &str,
    title: &str,
    detail: &str,
    members: impl Iterator<Item = (String, Value)>,
) -> Vec<u8> {
    let mut document: Map<String, Value> = members.collect();
    // The standard members go last: nothing that a plugin adds replaces them.
    let request_id = head.request_id.to_str().unwrap_or_default();
    let trace_id = format!("{:032x}", head.trace.trace_id);
    let standard = json!({
        "type": kind, "title": title, "status": status.as_u16(), "detail": detail, "instance": head.path, "request_id": request_id,
        "trace_id": trace_id,
    });
    if let Value::Object(standard) = standard {
        document.extend(standard);
    }
    Value::Object(document).to_string().into_bytes()
}

/// The parts of a good response that are less than they should be: `recommend.v1.Recommend/ForUser;how=fallback`. Made from what
/// happened; a plugin has no say in it.
fn degraded(trail: &Trail) -> Option<String> {
    let parts = trail.stats()?.degraded();
    let parts: Vec<_> = parts.iter().map(|(method, how)| format!("{method};how={}", how.as_str())).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `total;dur=12.3, guest;dur=0.8, calls;desc="102 calls, 2 upstream, depth 2"` (<https://www.w3.org/TR/server-timing/>).
fn timing(trail: &Trail, took: Duration) -> String {
    // Room for nearly all of them. Writing to a string can't fail.
    let mut text = String::with_capacity(128);
    let (whole, part) = millis(took);
    let _ = write!(text, "total;dur={whole}.{part:02}");
    if let Some(stats) = trail.stats() {
        let (whole, part) = millis(stats.guest_cpu());
        let _ = write!(
            text,
            ", guest;dur={whole}.{part:02}, calls;desc=\"{} made, {} upstream{}{}, {} cached, depth {}\"",
            stats.calls(),
            stats.upstream(),
            if_any(stats.retries(), "retries"),
            if_any(stats.refused(), "refused"),
            stats.cached(),
            stats.depth()
        );
    }
    text
}

/// Milliseconds and their hundredths: whole numbers are written for a fraction of what floats take.
fn millis(time: Duration) -> (u64, u64) {
    let hundredths = u64::try_from(time.as_micros() / 10).unwrap_or(u64::MAX);
    (hundredths / 100, hundredths % 100)
}

/// `, 2 retries`; nothing where there were none.
fn if_any(count: u32, what: &str) -> String {
    if count == 0 { String::new() } else { format!(", {count} {what}") }
}

/// A request that is over.
#[derive(Debug)]
pub(super) struct Over<'a> {
    pub(super) status: StatusCode,
    pub(super) fault: Option<&'a Fault>,
    pub(super) took: Duration,
    /// `cache-status` of its answer.
    pub(super) cache: Option<&'a HeaderValue>,
}

/// Counts the request, and writes its one line.
pub(super) fn record(head: &Head, trail: &Trail, names: LogNames, over: &Over<'_>) {
    let Over { status, fault, took, .. } = *over;
    let stats = trail.stats();
    if let Some(found) = &trail.endpoint {
        found.observe(&Observed {
            status,
            took,
            calls: stats.map_or(0, Stats::calls),
            upstream: stats.map_or(0, Stats::upstream),
            depth: stats.map_or(0, Stats::depth),
            degraded: status.is_success() && stats.is_some_and(|stats| !stats.degraded().is_empty()),
            trace: head.trace.sampled.then_some(head.trace.trace_id),
        });
    }
    let is_ours = fault.is_some_and(|fault| fault.blame() != Blame::Client);
    // Nothing is put together for a line that nobody wants.
    if is_ours || tracing::enabled!(target: "access", tracing::Level::INFO) {
        write_line(head, trail, names, over);
    }
}

/// Keeps it for whom it may concern: by its route, with nothing that it said.
pub(super) fn note(recent: &Recent, trail: &Trail, names: LogNames, over: &Over<'_>) {
    let Some(found) = &trail.endpoint else { return };
    let stats = trail.stats();
    let names = if names.caller == LogCaller::None { LogCaller::None } else { LogCaller::Hashed };
    let what = (over.took, stats.map_or(0, Stats::upstream), over.status.is_server_error());
    recent.note(unix_millis(SystemTime::now()), what, |at| Noted {
        at,
        client: found.release.client.clone(),
        endpoint: found.name.clone(),
        plugin: format!("{} {}", found.release.name, found.release.version),
        status: over.status.as_u16(),
        problem: over.fault.map(|fault| fault.problem.kind.as_str()),
        took_ms: over.took.as_secs_f64() * 1e3,
        guest_cpu_ms: stats.map_or(0.0, |stats| stats.guest_cpu().as_secs_f64() * 1e3),
        calls: stats.map_or(0, Stats::calls),
        upstream: stats.map_or(0, Stats::upstream),
        retries: stats.map_or(0, Stats::retries),
        depth: stats.map_or(0, Stats::depth),
        degraded: stats.map_or(0, |stats| stats.degraded().len()),
        caller: caller(trail, names),
    });
}

fn write_line(head: &Head, trail: &Trail, names: LogNames, over: &Over<'_>) {
    let found = trail.endpoint.as_ref();
    let (plugin, endpoint) = (found.map(|found| &*found.release.name), found.map(|found| &*found.name));
    let version = found.map(|found| display(&found.release.version));
    let (client, caller) = (trail.client.as_deref(), caller(trail, names.caller));
    let address = head.source.map(display);
    let upstream = trail.stats().map(Stats::upstream);
    let cache = over.cache.and_then(|cache| cache.to_str().ok());
    let degraded = degraded(trail).filter(|_| over.status.is_success());
    let request_id = head.request_id.to_str().unwrap_or_default();
    let trace_id = format_args!("{:032x}", head.trace.trace_id);
    let path = match names.path {
        LogPath::Whole => Some(head.path.as_str()),
        LogPath::Route => found.and_then(|found| found.name.split_once(' ')).map(|(_, route)| route),
    };
    let (method, status) = (&head.method, over.status.as_u16());
    let took_ms = over.took.as_secs_f64() * 1e3;
    match over.fault.filter(|fault| fault.blame() != Blame::Client) {
        None => {
            tracing::info!(target: "access", %method, path, status, took_ms, client, caller, address, plugin, version, endpoint, upstream,
                cache, degraded, request_id, %trace_id);
        }
        Some(fault) => {
            let (blame, cause) = (fault.blame().as_str(), fault.cause.as_ref().map_or("", LogOnly::for_log));
            tracing::error!(target: "access", %method, path, status, took_ms, client, caller, address, plugin, version, endpoint, upstream,
                cache, degraded, request_id, %trace_id, blame, cause, "{}", fault.problem.detail);
        }
    }
}

/// The caller as the operator wants to see it.
fn caller(trail: &Trail, names: LogCaller) -> Option<String> {
    let identity = trail.caller.as_ref()?;
    match names {
        LogCaller::None => None,
        LogCaller::Named => Some(format!("{} {}", identity.issuer, identity.subject)),
        LogCaller::Hashed => {
            let mut key = Vec::new();
            ShareKey::of(Scope::Principal, &Party::Caller(identity.clone()))?.write(&mut key);
            let digest = Digest::of(&key).to_string();
            Some(digest.trim_start_matches("sha256:").chars().take(16).collect())
        }
    }
}
