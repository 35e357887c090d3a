//! Whether client and endpoint speak the same format: `accept` against what the endpoint produces, `content-type` against what it
//! takes (RFC 9110, sections 8.3 and 12.5.1).

use crate::{artifact::EndpointPolicy, model::Fault};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// 406 where the client takes nothing that the endpoint makes.
pub(super) fn check_accept(policy: &EndpointPolicy, headers: &HeaderMap) -> Result<(), Fault> {
    let mut lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if lines.peek().is_none() || policy.produces.is_empty() || policy.produces.iter().any(|kind| kind == "*/*") {
        return Ok(());
    }
    let ranges = lines.flat_map(|line| line.split(',')).filter(|range| weight(range) > 0.0);
    // Problem documents are JSON too, and a client that takes any of it takes them.
    let mut ranges = ranges.map(essence);
    if ranges.any(|range| policy.produces.iter().any(|kind| covers(&range, kind))) {
        return Ok(());
    }
    let text =
        format!("this endpoint answers with {}, and the request accepts something else", policy.produces.join(", "));
    Err(Fault::client(StatusCode::NOT_ACCEPTABLE, "not-acceptable", text).with("field", "header.accept"))
}

/// 415 where the body is declared to be something that the endpoint does not take. A body without a type is taken at its word.
pub(super) fn check_content_type(policy: &EndpointPolicy, headers: &HeaderMap, body: &[u8]) -> Result<(), Fault> {
    let Some(value) = headers.get(header::CONTENT_TYPE).filter(|_| !body.is_empty()) else { return Ok(()) };
    let kind = essence(value.to_str().unwrap_or_default());
    if policy.consumes.iter().any(|range| covers(range, &kind) || is_json(range) && is_json(&kind)) {
        return Ok(());
    }
    let list = policy.consumes.join(", ");
    let text = format!("this endpoint takes {list}, not `{kind}`");
    let fault = Fault::client(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", text);
    let fault = fault.with("field", "header.content-type");
    match HeaderValue::try_from(list) {
        Ok(list) => Err(fault.header(header::ACCEPT, list)),
        Err(_) => Err(fault),
    }
}

/// The type without its parameters.
fn essence(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn weight(range: &str) -> f32 {
    let q = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    q.map_or(1.0, |q| q.trim().parse().unwrap_or(1.0))
}

fn covers(range: &str, kind: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(prefix) => prefix.ends_with('/') && kind.starts_with(prefix),
        None => range == kind,
    }
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_kinds() {
        for (range, kind, expected) in [
            ("*/*", "application/json", true),
            ("application/*", "application/json", true),
            ("application/json", "application/json", true),
            ("text/*", "application/json", false),
            ("app*", "application/json", false),
        ] {
            assert_eq!(covers(range, kind), expected, "{range} {kind}");
        }
        assert_eq!(weight("application/json; charset=x; q=0"), 0.0);
        assert_eq!(essence(" Application/JSON ; q=1"), "application/json");
    }
}
