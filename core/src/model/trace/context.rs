//! Trace, span, and whether they are recorded.

use crate::model::hex;
use std::fmt::{self, Write};

/// One span of a trace, as others are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: u128,
    pub span_id: u64,
    pub sampled: bool,
}

/// What a caller says of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
    pub(super) wish: Wish,
}

/// Whether a caller wants a trace recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Unsaid,
    No,
    Yes,
    /// Whatever is usual.
    Debug,
}

impl Wish {
    pub(super) fn is_sampled(self) -> Option<bool> {
        match self {
            Self::Unsaid => None,
            Self::No => Some(false),
            Self::Yes | Self::Debug => Some(true),
        }
    }
}

impl TraceContext {
    /// A new trace.
    pub fn fresh() -> Self {
        Self { trace_id: nonzero(rand::random), span_id: nonzero(rand::random), sampled: false }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn another(self) -> Self {
        Self { span_id: nonzero(rand::random), ..self }
    }

    /// As W3C has it: `00-TRACE-SPAN-FLAGS`, in lower-case hexadecimal digits.
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

fn nonzero<T: Default + PartialEq>(mut next: impl FnMut() -> T) -> T {
    loop {
        let value = next();
        if value != T::default() {
            return value;
        }
    }
}

/// A number of as many lower-case hexadecimal digits as the lengths allow; `None` where it is none, or 0.
pub(super) fn id(digits: &str, lengths: &[usize]) -> Option<u128> {
    let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if !lengths.contains(&digits.len()) || !digits.bytes().all(is_hex) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().filter(|id| *id != 0)
}
