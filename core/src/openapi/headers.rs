//! The headers of answers, as docs/frontends/calling.md tells of them.

use serde_json::{Map, Value, json};

/// Name in `components.headers`, and what it says.
const HEADERS: &[(&str, &str)] = &[
    ("age", "How old the whole answer is, in seconds."),
    ("cache-control", "What caches on the way may do with the answer."),
    ("cache-status", "Whether the whole answer was kept (RFC 9211)."),
    ("deprecation", "Since when the endpoint is deprecated (RFC 9745): `@` and seconds since 1970."),
    ("etag", "The version of the answer: send it as `if-none-match`, and get 304 while it is still the right one."),
    ("idempotent-replayed", "`true`: the answer of the first request with the same `idempotency-key`."),
    ("link", "Where to read about a deprecation (`rel=\"deprecation\"`)."),
    ("ratelimit", "What is left: `\"default\";r=REQUESTS;t=SECONDS` (draft-ietf-httpapi-ratelimit-headers)."),
    ("ratelimit-policy", "The rate that is counted: `\"default\";q=REQUESTS;w=SECONDS`."),
    ("retry-after", "When to come again, in seconds."),
    ("sunset", "When the endpoint goes away (RFC 8594)."),
    ("www-authenticate", "What is wrong with the token (RFC 6750)."),
    ("x-request-id", "The name of this request in all logs: send it along when you report a fault."),
    (
        "x-weft-degraded",
        "Parts of the answer that are less than they should be: `recommend.v1.Recommend/ForUser;how=fallback`.",
    ),
];

/// `components.headers`.
pub(super) fn components() -> Map<String, Value> {
    let header = |(name, text): &(&str, &str)| {
        ((*name).to_owned(), json!({ "description": text, "schema": { "type": "string" } }))
    };
    HEADERS.iter().map(header).collect()
}

/// References to some of them.
pub(super) fn some<'a>(names: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
    let header = |name: &str| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    names.into_iter().map(header).collect()
}
