//! Spans as they are handed over.

use crate::model::TraceContext;
use http::HeaderValue;
use std::{borrow::Cow, sync::Arc};

/// Something that took time, and has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub context: TraceContext,
    pub parent: Option<u64>,
    /// `tracestate` of the trace.
    pub state: Option<HeaderValue>,
    pub name: Arc<str>,
    pub kind: SpanKind,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub attributes: Attributes,
    pub events: Vec<SpanEvent>,
    /// Events for which there was no room.
    pub dropped_events: u32,
    pub links: Vec<TraceContext>,
    /// Links for which there was no room.
    pub dropped_links: u32,
    /// Why it failed.
    pub error: Option<Cow<'static, str>>,
}

/// What a span, an event, a link and an attribute take beside their text: more than in memory, and than by OTLP.
const SPAN: usize = 512;
const EVENT: usize = 160;
const LINK: usize = 64;
const ATTRIBUTE: usize = 80;

impl Span {
    /// No less than it takes, in memory and as a part of what is sent.
    pub fn weight(&self) -> usize {
        let events: usize = self.events.iter().map(|event| EVENT + event.name.len() + event.attributes.weight()).sum();
        let state = self.state.as_ref().map_or(0, HeaderValue::len);
        let error = self.error.as_ref().map_or(0, |error| error.len());
        SPAN + self.name.len() + state + error + self.attributes.weight() + events + self.links.len() * LINK
    }

    /// A link to the load that it shares, and the same in words, for those who keep no links.
    pub(super) fn link(&mut self, load: TraceContext) {
        self.links.push(load);
        self.attributes
            .put("weft.load.trace_id", format!("{:032x}", load.trace_id))
            .put("weft.load.span_id", format!("{:016x}", load.span_id));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Internal,
    Server,
    Client,
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    pub at: u64,
    pub name: &'static str,
    pub attributes: Attributes,
}

/// What is said of a span. Never a key, a value of a path, a token or a body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes(pub Vec<(Cow<'static, str>, SpanValue)>);

#[derive(Debug, Clone, PartialEq)]
pub enum SpanValue {
    Text(Arc<str>),
    Word(&'static str),
    Whole(i64),
    Decimal(f64),
    Flag(bool),
}

impl Attributes {
    fn weight(&self) -> usize {
        let one = |(name, value): &(Cow<'static, str>, SpanValue)| ATTRIBUTE + name.len() + value.text().len();
        self.0.iter().map(one).sum()
    }

    pub fn put(&mut self, name: &'static str, value: impl Into<SpanValue>) -> &mut Self {
        self.0.push((name.into(), value.into()));
        self
    }

    pub fn put_any<V: Into<SpanValue>>(&mut self, name: &'static str, value: Option<V>) -> &mut Self {
        if let Some(value) = value {
            self.put(name, value);
        }
        self
    }
}

impl SpanValue {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Word(word) => word,
            Self::Whole(_) | Self::Decimal(_) | Self::Flag(_) => "",
        }
    }
}

impl From<&'static str> for SpanValue {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<&Arc<str>> for SpanValue {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u32> for SpanValue {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for SpanValue {
    fn from(number: usize) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for SpanValue {
    fn from(number: f64) -> Self {
        Self::Decimal(number)
    }
}

impl From<bool> for SpanValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Where spans go. It takes them at once, or lets them fall.
pub trait SpanSink: Send + Sync + std::fmt::Debug {
    fn take(&self, span: Span);
}
