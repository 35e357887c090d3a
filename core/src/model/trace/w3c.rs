//! `traceparent` (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use super::{
    Said,
    context::{Parent, Wish, id},
    one,
};
use http::{HeaderMap, HeaderName};

pub(super) const PARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const STATE: HeaderName = HeaderName::from_static("tracestate");

pub(super) fn read(headers: &HeaderMap) -> Said {
    match one(headers, &PARENT) {
        Ok(None) => Said::Nothing,
        Ok(Some(text)) => parse(text).map_or(Said::Broken, Said::Parent),
        Err(()) => Said::Broken,
    }
}

fn parse(text: &str) -> Option<Parent> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |s: &str| s.len() == 2 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // Later versions may have more parts.
    if !lower_hex(version) || version == "ff" || !lower_hex(flags) || version == "00" && parts.next().is_some() {
        return None;
    }
    let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    Some(Parent {
        trace_id: id(trace, &[32])?,
        span_id: u64::try_from(id(span, &[16])?).ok()?,
        wish: if is_sampled { Wish::Yes } else { Wish::No },
    })
}
