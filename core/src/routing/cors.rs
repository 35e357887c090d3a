//! Cross-origin requests, where a client's configuration allows for them (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use crate::settings::Table;
use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// All headers that docs/frontends/calling.md tells clients of, but for those that every page can read.
const READABLE: &str = "accept, age, allow, cache-status, deprecation, etag, idempotent-replayed, link, ratelimit, ratelimit-policy, \
                        retry-after, server-timing, sunset, www-authenticate, x-request-id, x-weft-degraded";

/// What docs/frontends/calling.md tells clients to send, but for what every page may.
const SENDABLE: [&str; 6] =
    ["authorization", "content-type", "idempotency-key", "if-modified-since", "if-none-match", "last-event-id"];

/// What agents send beside that.
const OF_AGENTS: [&str; 4] = ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"];

/// `cors = { origins = ["https://www.example.com"], headers = ["content-type"], credentials = false, max-age = "10m" }`.
#[derive(Debug, Clone)]
pub struct Cors {
    /// Exact origins, or `*` alone.
    origins: Vec<HeaderValue>,
    /// Those that a request may carry.
    pub headers: HeaderValue,
    credentials: bool,
    /// For how long a browser may remember it.
    pub max_age: Duration,
}

impl Cors {
    /// `agents`: whether the client has agents, some of which are pages.
    pub(super) fn read(table: &Table<'_>, agents: bool) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let usual = SENDABLE.iter().chain(OF_AGENTS.iter().filter(|_| agents));
        let names: Vec<String> = table.or("headers", usual.map(|name| (*name).to_owned()).collect());
        let headers = HeaderValue::try_from(names.join(", ")).unwrap_or_else(|_| {
            table.mistake("headers", "expected names of headers");
            HeaderValue::from_static("")
        });
        let list: Vec<String> = table.required("origins").unwrap_or_default();
        let is_origin = |origin: &str| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            origin == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
        };
        let origins = list.iter().filter_map(|origin| match HeaderValue::try_from(origin) {
            Ok(value) if is_origin(origin) => Some(value),
            _ => {
                table.mistake(
                    "origins",
                    format!("`{origin}` is no origin such as \"https://www.example.com\", and not \"*\""),
                );
                None
            }
        });
        let origins: Vec<_> = origins.collect();
        let credentials = table.or("credentials", false);
        if credentials && origins.iter().any(|origin| origin == "*") {
            table.mistake("credentials", "browsers refuse credentials for every origin: name the origins");
        }
        let max_age = table.within("max-age", Duration::from_mins(10), Duration::ZERO, Duration::from_hours(24));
        Some(Self { origins, headers, credentials, max_age })
    }

    /// Whether the origin is named; `*` names none.
    pub fn names(&self, origin: &HeaderValue) -> bool {
        origin != "*" && self.origins.contains(origin)
    }

    /// What every answer to this client carries.
    pub fn headers(&self, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = request.get(header::ORIGIN) else { return headers };
        let any = self.origins.iter().any(|allowed| allowed == "*");
        if any || self.origins.contains(origin) {
            let allowed = if any { HeaderValue::from_static("*") } else { origin.clone() };
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READABLE));
            if self.credentials {
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        headers
    }
}
