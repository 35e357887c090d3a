//! What of a guest's answer is let out.

use super::{cache_control, stream::Stream};
use crate::{
    artifact::EndpointPolicy,
    model::{Fault, ProblemType, hex},
    plugin,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Header bytes of one response.
const MOST_HEADER_BYTES: usize = 16 << 10;
const MOST_HEADERS: usize = 100;

/// An answer for the client.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

/// Bytes of the plugin's own, or a problem that the edge completes.
#[derive(Debug, Clone)]
pub enum Body {
    Bytes(Bytes),
    Problem {
        kind: String,
        title: String,
        detail: String,
        members: Vec<(String, String)>,
    },
    /// Events, as they come.
    Stream(Stream),
}

impl Reply {
    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        let body = match &self.body {
            Body::Bytes(bytes) => bytes.len(),
            Body::Stream(_) => 0,
            Body::Problem { kind, title, detail, members } => {
                let members: usize = members.iter().map(|(name, value)| name.len() + value.len()).sum();
                kind.len() + title.len() + detail.len() + members
            }
        };
        headers + body
    }
}

/// The tag of an answer to which its plugin gave none, made of its content. A weak one: it is the same whether the answer then is packed
/// or not.
pub fn weak_tag(body: &[u8]) -> HeaderValue {
    let mut tag = *b"W/\"................................\"";
    tag[3..35].copy_from_slice(&hex::<32>(xxhash_rust::xxh3::xxh3_128(body)));
    HeaderValue::from_bytes(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Headers that every plugin may set: what they say is for the client alone. All others need a grant, because a gateway in front of the
/// host may take them for a command: `x-accel-redirect` serves any file of nginx, `x-envoy-…` steers Envoy, and there is no list of
/// all such names.
const USUAL: [HeaderName; 12] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::CACHE_CONTROL,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::VARY,
    header::ACCEPT_RANGES,
    HeaderName::from_static("deprecation"),
];

/// Of the usual ones those that may stand there more than once. Of the others the last one counts, because of two that differ each who
/// reads them takes the one that they like.
const LISTS: [HeaderName; 4] = [header::CONTENT_LANGUAGE, header::CACHE_CONTROL, header::LINK, header::VARY];

/// Those that are about a body.
const OF_CONTENT: [HeaderName; 5] =
    [header::CONTENT_TYPE, header::CONTENT_LANGUAGE, header::CONTENT_DISPOSITION, header::ETAG, header::ACCEPT_RANGES];

/// Headers that no manifest and no grant can open: they belong to the connection, or are the host's own.
fn is_never_a_plugins(name: &HeaderName) -> bool {
    const NEVER: [HeaderName; 10] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TRAILER,
        header::TE,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::DATE,
        header::SERVER,
        HeaderName::from_static("keep-alive"),
    ];
    const OURS: [&str; 4] = ["x-request-id", "traceparent", "server-timing", "cache-status"];
    NEVER.contains(name) || OURS.contains(&name.as_str()) || name.as_str().starts_with("x-weft-")
}

fn is_allowed(name: &HeaderName, policy: &EndpointPolicy, granted: &[HeaderName]) -> bool {
    if is_never_a_plugins(name) {
        return false;
    }
    USUAL.contains(name) || (policy.response_headers.contains(name) && granted.contains(name))
}

/// Takes out what a plugin's answer may not have, and what it may not say: of an answer that was not made here, and of which it isn't known
/// who wrote it.
pub(super) fn retain_allowed(headers: &mut HeaderMap, policy: &EndpointPolicy, granted: &[HeaderName]) {
    let names: Vec<_> = headers.keys().filter(|name| !is_allowed(name, policy, granted)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    cache_control::tighten(headers, policy.cache.as_ref());
}

/// The guest's response, with only the headers that it may set.
pub(super) fn reply(
    response: plugin::Response,
    policy: &EndpointPolicy,
    granted: &[HeaderName],
) -> Result<Reply, Fault> {
    let bad =
        |what: String| Fault::new(ProblemType::PluginResponse, "the plugin's response is not valid").because(what);
    // What is above is no status (RFC 9110, section 15), and what is below no final one.
    let status = StatusCode::from_u16(response.status).ok().filter(|status| (200..600).contains(&status.as_u16()));
    let status = status.ok_or_else(|| bad(format!("status {} is none that a response can have", response.status)))?;
    let size: usize = response.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MOST_HEADER_BYTES {
        return Err(bad(format!("its headers have {size} bytes and may have {MOST_HEADER_BYTES}")));
    }
    if response.headers.len() > MOST_HEADERS {
        return Err(bad(format!("it has {} headers and may have {MOST_HEADERS}", response.headers.len())));
    }
    let mut headers = HeaderMap::with_capacity(response.headers.len() + 4);
    for (name, value) in &response.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| bad(format!("{name:?} is no header name")))?;
        let value = HeaderValue::try_from(value.as_str())
            .map_err(|_| bad(format!("header {name} has a value that can't stand there")))?;
        let value = if name == header::ETAG { tag(value) } else { Some(value) };
        match value.filter(|_| is_allowed(&name, policy, granted)) {
            Some(value) if USUAL.contains(&name) && !LISTS.contains(&name) => drop(headers.insert(name, value)),
            Some(value) => drop(headers.append(name, value)),
            None => tracing::debug!(header = %name, "a plugin set a header that it may not set; it is dropped"),
        }
    }
    cache_control::tighten(&mut headers, policy.cache.as_ref());
    let mut body = Bytes::from(response.body);
    // They have none (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5): a client would take it for the beginning of the next answer.
    if [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) {
        body = Bytes::new();
        let gone = |name: &HeaderName| OF_CONTENT.contains(name) && (*name != header::ETAG || !is_tagged(status));
        OF_CONTENT.iter().filter(|name| gone(name)).for_each(|name| drop(headers.remove(name)));
    }
    Ok(Reply { status, headers, body: Body::Bytes(body) })
}

/// 304 and 204 may say which version they are about.
fn is_tagged(status: StatusCode) -> bool {
    status != StatusCode::RESET_CONTENT
}

/// A tag with the quotes that it has to have (RFC 9110, section 8.8.3); `None` where it can't be one.
fn tag(value: HeaderValue) -> Option<HeaderValue> {
    let text = value.to_str().ok()?;
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let inner = opaque.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    match inner {
        Some(inner) if is_plain(inner) => Some(value),
        None if is_plain(text) && !text.is_empty() => HeaderValue::try_from(format!("\"{text}\"")).ok(),
        _ => None,
    }
}

/// The guest's problem. A status that is no error is the guest's mistake.
pub(super) fn problem(problem: plugin::Problem) -> Reply {
    let plugin::Problem { status, kind, title, detail, extensions: members, retry_after } = problem;
    let status =
        StatusCode::from_u16(status).ok().filter(|status| status.is_client_error() || status.is_server_error());
    let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))).into_iter().collect();
    Reply { status, headers, body: Body::problem(status, (kind, title), detail, members) }
}

/// What a problem is that names no type: it means no more than its status does (RFC 9457, section 4.2.1).
const NO_TYPE: &str = "about:blank";

impl Body {
    /// A title belongs to a type: without one it is the phrase of the status, whatever the guest says.
    pub(super) fn problem(
        status: StatusCode,
        (kind, title): (String, String),
        detail: String,
        members: Vec<(String, String)>,
    ) -> Self {
        let has_type = !kind.is_empty() && kind != NO_TYPE;
        let kind = if has_type { kind } else { NO_TYPE.to_owned() };
        let title = if has_type && !title.is_empty() { title } else { phrase(status).to_owned() };
        Self::Problem { kind, title, detail, members }
    }
}

/// The recommended phrase of a status, as RFC 9110 has it.
fn phrase(status: StatusCode) -> &'static str {
    match status {
        // The library has older ones.
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests;
