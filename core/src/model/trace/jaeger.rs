//! `uber-trace-id: {trace}:{span}:{parent}:{flags}`, the header of Jaeger's own clients. Numbers come without leading zeros, and colons
//! percent-encoded from some.

use super::{
    Said, TraceContext,
    context::{Parent, Wish},
    one,
};
use crate::model::hex;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

pub(super) const NAME: HeaderName = HeaderName::from_static("uber-trace-id");

pub(super) fn read(headers: &HeaderMap) -> Said {
    match one(headers, &NAME) {
        Ok(None) => Said::Nothing,
        Ok(Some(text)) => parse(text).map_or(Said::Broken, Said::Parent),
        Err(()) => Said::Broken,
    }
}

fn parse(text: &str) -> Option<Parent> {
    let text: Cow<'_, str> =
        if text.contains('%') { text.replace("%3A", ":").replace("%3a", ":").into() } else { text.into() };
    let mut parts = text.split(':');
    let (trace, span, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    // What was the parent once is nothing to anybody now, and yet it has to be a number.
    number(parent, 16)?;
    let flags = number(flags, 2)?;
    let wish = match (flags & 2, flags & 1) {
        (2, 1) => Wish::Debug,
        (_, 1) => Wish::Yes,
        _ => Wish::No,
    };
    let (trace_id, span_id) = (number(trace, 32)?, u64::try_from(number(span, 16)?).ok()?);
    (trace_id != 0 && span_id != 0).then_some(Parent { trace_id, span_id, wish })
}

/// Of at most so many digits.
fn number(digits: &str, most: usize) -> Option<u128> {
    let is_number = (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u128::from_str_radix(digits, 16).ok())?
}

pub(super) fn write(context: TraceContext, debug: bool) -> [u8; 53] {
    let mut header = *b"00000000000000000000000000000000:0000000000000000:0:0";
    header[..32].copy_from_slice(&hex::<32>(context.trace_id));
    header[33..49].copy_from_slice(&hex::<16>(context.span_id.into()));
    header[52] = match (debug, context.sampled) {
        (true, _) => b'3',
        (false, true) => b'1',
        (false, false) => b'0',
    };
    header
}
