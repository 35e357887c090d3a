//! What of a guest's answer is let out.

use crate::{
    artifact::EndpointPolicy,
    model::{Blame, Fault},
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
    Problem { kind: String, title: String, detail: String, members: Vec<(String, String)> },
}

impl Reply {
    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        let body = match &self.body {
            Body::Bytes(bytes) => bytes.len(),
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
    let tag = format!("W/\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(body));
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Headers that every plugin may set.
const USUAL: [HeaderName; 13] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::CACHE_CONTROL,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::VARY,
    header::ACCEPT_RANGES,
    HeaderName::from_static("deprecation"),
];

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
    let is_own =
        name.as_str().starts_with("x-") && !name.as_str().starts_with("x-frame") && !name.as_str().starts_with("x-xss");
    USUAL.contains(name) || is_own || (policy.response_headers.contains(name) && granted.contains(name))
}

/// The guest's response, with only the headers that it may set.
pub(super) fn reply(
    response: plugin::Response,
    policy: &EndpointPolicy,
    granted: &[HeaderName],
) -> Result<Reply, Fault> {
    let bad = |what: String| {
        Fault::new(Blame::Guest, StatusCode::BAD_GATEWAY, "plugin-response", "the plugin's response is not valid")
            .because(what)
    };
    let status = StatusCode::from_u16(response.status).ok().filter(|status| status.as_u16() >= 200);
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
        if is_allowed(&name, policy, granted) {
            headers.append(name, value);
        } else {
            tracing::debug!(header = %name, "a plugin set a header that it may not set; it is dropped");
        }
    }
    Ok(Reply { status, headers, body: Body::Bytes(response.body.into()) })
}

/// The guest's problem. A status that is no error is the guest's mistake.
pub(super) fn problem(problem: plugin::Problem) -> Reply {
    let status =
        StatusCode::from_u16(problem.status).ok().filter(|status| status.is_client_error() || status.is_server_error());
    let body =
        Body::Problem { kind: problem.kind, title: problem.title, detail: problem.detail, members: problem.extensions };
    Reply { status: status.unwrap_or(StatusCode::BAD_GATEWAY), headers: HeaderMap::new(), body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Auth, EndpointName};

    fn kept(name: &str, asked: &[&'static str], granted: &[&'static str]) -> bool {
        let names = |list: &[&'static str]| list.iter().map(|name| HeaderName::from_static(name)).collect::<Vec<_>>();
        let mistakes = crate::settings::Mistakes::new();
        let document = crate::settings::Document::parse(std::path::Path::new("p"), "", &mistakes);
        let policy = EndpointPolicy {
            name: EndpointName::new("GET", "/").unwrap(),
            auth: Auth::None,
            timeout: std::time::Duration::from_secs(1),
            headers: vec![],
            claims: vec![],
            response_headers: names(asked),
            priority: crate::artifact::Priority::Normal,
            rate: None,
            principal_rate: None,
            idempotency: None,
            cache: None,
            consumes: vec![],
            produces: vec![],
            place: document.table(&mistakes).place(""),
        };
        let response = plugin::Response {
            status: 200,
            headers: vec![(name.into(), "v".into())],
            body: vec![],
            extensions: vec![],
        };
        !reply(response, &policy, &names(granted)).unwrap().headers.is_empty()
    }

    #[test]
    fn what_is_not_asked_for_and_granted_is_not_set() {
        assert!(kept("Content-Type", &[], &[]));
        assert!(kept("x-page", &[], &[]));
        assert!(!kept("Set-Cookie", &[], &["set-cookie"]));
        assert!(!kept("Set-Cookie", &["set-cookie"], &[]));
        assert!(kept("Set-Cookie", &["set-cookie"], &["set-cookie"]));
        for never in ["content-length", "connection", "x-weft-degraded", "x-request-id", "transfer-encoding"] {
            let name = Box::leak(never.to_owned().into_boxed_str());
            assert!(!kept(never, &[name], &[name]), "{never}");
        }
        assert!(!kept("access-control-allow-origin", &[], &[]));
    }
}
