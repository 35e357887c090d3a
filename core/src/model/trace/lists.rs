//! The lists that go along with a trace: `tracestate` (<https://www.w3.org/TR/trace-context/#tracestate-header>) and `baggage`
//! (<https://www.w3.org/TR/baggage/>). They are passed on as they are, or not at all.

use super::w3c;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// What the specifications let a list have.
struct Bounds {
    members: usize,
    bytes: usize,
}

const OF_STATE: Bounds = Bounds { members: 32, bytes: 4096 };
const OF_BAGGAGE: Bounds = Bounds { members: 64, bytes: 8192 };

pub(super) fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    list(headers, &w3c::STATE, &OF_STATE, |member| {
        let Some((key, value)) = member.split_once('=') else { return false };
        let in_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
        (1..=256).contains(&key.len()) && key.bytes().all(in_key) && !value.is_empty() && !value.contains('=')
    })
}

pub(super) fn baggage(headers: &HeaderMap) -> Option<HeaderValue> {
    list(headers, &BAGGAGE, &OF_BAGGAGE, |member| member.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty()))
}

/// All lines as one; `None` where one member is none, or there are too many.
fn list(
    headers: &HeaderMap,
    name: &HeaderName,
    bounds: &Bounds,
    is_member: impl Fn(&str) -> bool,
) -> Option<HeaderValue> {
    let (mut members, mut bytes, mut lines) = (0, 0, 0);
    for line in headers.get_all(name) {
        let text = line.to_str().ok()?;
        bytes += text.len() + 1;
        lines += 1;
        for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            members += 1;
            if members > bounds.members || bytes > bounds.bytes || !is_member(member) {
                return None;
            }
        }
    }
    match (members, lines) {
        (0, _) => None,
        // A copy: as it came it is a slice of the whole head, which it would keep for as long as it waits for a collector.
        (_, 1) => headers.get(name).and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()),
        _ => {
            let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            HeaderValue::from_bytes(&lines.join(&b',')).ok()
        }
    }
}
