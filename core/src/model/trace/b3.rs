//! Zipkin's headers (<https://github.com/openzipkin/b3-propagation>): all in `b3`, or each part in one of its own. Where both are there,
//! the single one counts.

use super::{
    Said, TraceContext,
    context::{Parent, Wish, id},
    one, put,
};
use crate::model::hex;
use http::{HeaderMap, HeaderName};

pub(super) const SINGLE: HeaderName = HeaderName::from_static("b3");
const TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
pub(super) const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
pub(super) const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

pub(super) fn read(headers: &HeaderMap) -> Said {
    match one(headers, &SINGLE) {
        Ok(Some(text)) => parse(text).unwrap_or(Said::Broken),
        Ok(None) => read_many(headers).unwrap_or(Said::Broken),
        Err(()) => Said::Broken,
    }
}

/// `{trace}-{span}-{0|1|d}-{parent}`, of which the last two may be missing; or whether to record, alone.
fn parse(text: &str) -> Option<Said> {
    if let Some(wish) = wish(text) {
        return Some(Said::Wish(wish));
    }
    let mut parts = text.split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let wish = parts.next().map_or(Some(Wish::Unsaid), wish)?;
    // A parent is nothing to us, and yet the header is no header where it is none.
    let is_parent = parts.next().is_none_or(|parent| id(parent, &[16]).is_some());
    if !is_parent || parts.next().is_some() {
        return None;
    }
    of_ids(trace, span, wish)
}

fn read_many(headers: &HeaderMap) -> Option<Said> {
    let part = |name| one(headers, &name).ok();
    let (trace, span, parent, sampled, flags) =
        (part(TRACE)?, part(SPAN)?, part(PARENT)?, part(SAMPLED)?, part(FLAGS)?);
    if parent.is_some_and(|parent| id(parent, &[16]).is_none()) {
        return None;
    }
    let wish = match (flags, sampled) {
        (Some("1"), _) => Wish::Debug,
        (_, None) => Wish::Unsaid,
        (_, Some("1" | "true")) => Wish::Yes,
        (_, Some("0" | "false")) => Wish::No,
        _ => return None,
    };
    match (trace, span) {
        (Some(trace), Some(span)) => of_ids(trace, span, wish),
        (None, None) if wish == Wish::Unsaid => Some(Said::Nothing),
        (None, None) => Some(Said::Wish(wish)),
        _ => None,
    }
}

fn of_ids(trace: &str, span: &str, wish: Wish) -> Option<Said> {
    let (trace_id, span_id) = (id(trace, &[16, 32])?, u64::try_from(id(span, &[16])?).ok()?);
    Some(Said::Parent(Parent { trace_id, span_id, wish }))
}

fn wish(text: &str) -> Option<Wish> {
    match text {
        "0" => Some(Wish::No),
        "1" => Some(Wish::Yes),
        "d" => Some(Wish::Debug),
        _ => None,
    }
}

pub(super) fn single(context: TraceContext, debug: bool) -> [u8; 51] {
    let mut header = *b"00000000000000000000000000000000-0000000000000000-0";
    header[..32].copy_from_slice(&hex::<32>(context.trace_id));
    header[33..49].copy_from_slice(&hex::<16>(context.span_id.into()));
    header[50] = match (debug, context.sampled) {
        (true, _) => b'd',
        (false, true) => b'1',
        (false, false) => b'0',
    };
    header
}

pub(super) fn write_many(context: TraceContext, debug: bool, headers: &mut HeaderMap) {
    put(headers, TRACE, &hex::<32>(context.trace_id));
    put(headers, SPAN, &hex::<16>(context.span_id.into()));
    // Who wants a trace debugged does not say beside that it is sampled.
    let (name, value) = if debug {
        (FLAGS, b"1")
    } else if context.sampled {
        (SAMPLED, b"1")
    } else {
        (SAMPLED, b"0")
    };
    put(headers, name, value);
}
