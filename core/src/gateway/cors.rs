//! OPTIONS: for browsers that ask before they cross origins (<https://fetch.spec.whatwg.org/#http-cors-protocol>), and in general.

use super::{Body, Reply};
use crate::routing::Cors;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// The answer to OPTIONS for a path with these methods; for a preflight of an allowed origin with what it asks for.
pub(super) fn options(cors: Option<&Cors>, request: &HeaderMap, methods: &[Method]) -> Reply {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    let mut headers = HeaderMap::new();
    let methods = HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"));
    let is_preflight = request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if let Some(cors) =
        cors.filter(|cors| is_preflight && cors.headers(request).contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN))
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, cors.headers.clone());
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    }
    headers.insert(header::ALLOW, methods);
    Reply { status: StatusCode::NO_CONTENT, headers, body: Body::Bytes(Bytes::new()) }
}
