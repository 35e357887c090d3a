//! W3C trace context: taken from the gateway or made here, and passed to the backends.

use super::hex;
use std::fmt::{self, Write};

/// The `traceparent` of one request (<https://www.w3.org/TR/trace-context/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: u128,
    /// Our own span: the parent of what the backends do.
    pub span_id: u64,
    pub sampled: bool,
}

impl TraceContext {
    /// A new trace.
    pub fn fresh() -> Self {
        Self { trace_id: nonzero(rand::random), span_id: nonzero(rand::random), sampled: false }
    }

    /// Goes on with the caller's trace under a span of our own. Anything malformed starts a new trace, as the specification asks.
    pub fn from_header(header: &[u8]) -> Self {
        Self::parse(header).map_or_else(Self::fresh, |parent| Self { span_id: nonzero(rand::random), ..parent })
    }

    fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?;
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |s: &str, len| s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !lower_hex(version, 2)
            || version == "ff"
            || !lower_hex(trace, 32)
            || !lower_hex(span, 16)
            || !lower_hex(flags, 2)
        {
            return None;
        }
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }
}

fn nonzero<T: Default + PartialEq>(mut next: impl FnMut() -> T) -> T {
    loop {
        let value = next();
        if value != T::default() {
            return value;
        }
    }
}

impl TraceContext {
    /// As a header has it: `00-TRACE-SPAN-FLAGS`, in lower-case hexadecimal digits.
    pub fn to_header(self) -> [u8; 55] {
        let mut header = *b"00-00000000000000000000000000000000-0000000000000000-00";
        header[3..35].copy_from_slice(&hex::<32>(self.trace_id));
        header[36..52].copy_from_slice(&hex::<16>(self.span_id.into()));
        header[53..].copy_from_slice(&hex::<2>(self.sampled.into()));
        header
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_header().iter().try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_with_a_good_parent() {
        let context = TraceContext::from_header(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_ne!(context.span_id, 0x00f0_67aa_0ba9_02b7, "our span is our own");
        assert!(context.to_string().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(context.to_string().ends_with("-01"));
    }

    #[test]
    fn malformed_parents_start_a_new_trace() {
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(TraceContext::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
