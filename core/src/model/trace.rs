//! The trace of a request: what the caller says of it in one of the formats that are understood, and what backends are told in all that
//! are configured.
//!
//! Which trace a request belongs to, anybody may say. Whether it is recorded (`sampled`, `debug`), `tracestate` and `baggage` are advice
//! that costs something here or speaks to backends, so only listed peers may give it.

mod b3;
mod context;
mod jaeger;
mod lists;
mod w3c;

pub use context::TraceContext;

use context::{Parent, Wish};
use http::{HeaderMap, HeaderName, HeaderValue};

crate::choice! {
    /// A way to write down a trace in headers.
    pub enum TraceFormat {
        /// `traceparent` and `tracestate` (<https://www.w3.org/TR/trace-context/>).
        W3c = "w3c",
        /// <https://github.com/openzipkin/b3-propagation>; read in both forms, written in one header.
        B3 = "b3",
        /// The same, written in a header for each part.
        B3Multi = "b3-multi",
        /// `uber-trace-id` (<https://www.jaegertracing.io/docs/1.21/client-libraries/#propagation-format>).
        Jaeger = "jaeger",
    }
}

/// The formats that are understood, in the order in which they are looked for; all of them are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceFormats([Option<TraceFormat>; 4]);

impl Default for TraceFormats {
    fn default() -> Self {
        Self([Some(TraceFormat::W3c), None, None, None])
    }
}

impl TraceFormats {
    /// `None`: there are none, or one stands there twice.
    pub fn new(list: &[TraceFormat]) -> Option<Self> {
        let mut formats = [None; 4];
        for (place, format) in list.iter().enumerate() {
            if list.iter().take(place).any(|before| before == format) {
                return None;
            }
            *formats.get_mut(place)? = Some(*format);
        }
        (!list.is_empty()).then_some(Self(formats))
    }

    fn all(self) -> impl Iterator<Item = TraceFormat> {
        self.0.into_iter().flatten()
    }
}

/// The trace of one request.
#[derive(Debug, Clone)]
pub struct Trace {
    /// With the request's own span.
    pub context: TraceContext,
    /// The caller's span.
    pub parent: Option<u64>,
    /// Whether a listed peer wants it recorded; none of them has said so, or not.
    pub wish: Option<bool>,
    /// It is to be recorded whatever is usual.
    debug: bool,
    state: Option<HeaderValue>,
    baggage: Option<HeaderValue>,
    formats: TraceFormats,
}

/// What came in, and how many headers of it can't be read.
#[derive(Debug)]
pub struct Received {
    pub trace: Trace,
    pub broken: Broken,
}

/// Formats in which something was said that can't be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Broken([Option<TraceFormat>; 4]);

impl Broken {
    pub fn formats(self) -> impl Iterator<Item = TraceFormat> {
        self.0.into_iter().flatten()
    }

    fn add(&mut self, format: TraceFormat) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(format);
        }
    }
}

/// What a header or several say.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    /// It can't be read, or is there twice with two meanings.
    Broken,
    /// A trace to go on with.
    Parent(Parent),
    /// No trace, and yet whether the new one is to be recorded.
    Wish(Wish),
}

impl Trace {
    /// A new trace, of which nobody has said anything.
    pub fn fresh(formats: TraceFormats) -> Self {
        Self::of(TraceContext::fresh(), formats)
    }

    fn of(context: TraceContext, formats: TraceFormats) -> Self {
        Self { context, parent: None, wish: None, debug: false, state: None, baggage: None, formats }
    }

    /// Goes on with the caller's trace under a span of our own, by the first format that can be read; with a new one where there is none.
    /// `trusted`: the caller is a listed peer.
    pub fn receive(headers: &HeaderMap, formats: TraceFormats, trusted: bool) -> Received {
        let mut broken = Broken::default();
        let mut trace = None;
        for format in formats.all() {
            match read(format, headers) {
                Said::Nothing => {}
                Said::Broken => broken.add(format),
                Said::Parent(parent) => {
                    trace = Some(Self::after(parent, formats, format, headers, trusted));
                    break;
                }
                Said::Wish(wish) => {
                    trace = Some(Self::fresh(formats).wanted(wish, trusted));
                    break;
                }
            }
        }
        let mut trace = trace.unwrap_or_else(|| Self::fresh(formats));
        if trusted {
            trace.baggage = lists::baggage(headers);
        }
        Received { trace, broken }
    }

    fn after(parent: Parent, formats: TraceFormats, format: TraceFormat, headers: &HeaderMap, trusted: bool) -> Self {
        let context = TraceContext { trace_id: parent.trace_id, span_id: parent.span_id, sampled: false }.another();
        let state = (trusted && format == TraceFormat::W3c).then(|| lists::state(headers)).flatten();
        let trace = Self { parent: Some(parent.span_id), state, ..Self::of(context, formats) };
        trace.wanted(parent.wish, trusted)
    }

    fn wanted(mut self, wish: Wish, trusted: bool) -> Self {
        if trusted {
            self.wish = wish.is_sampled();
            self.debug = wish == Wish::Debug;
            self.context.sampled = self.wish == Some(true);
        }
        self
    }

    /// Writes it as backends are told of it, in all formats; as of `span`, where that is not the request's own.
    pub fn write(&self, span: Option<TraceContext>, headers: &mut HeaderMap) {
        let context = span.unwrap_or(self.context);
        if span.is_some() {
            // What another request of those that share the call has said before.
            [&w3c::STATE, &b3::SAMPLED, &b3::FLAGS].into_iter().for_each(|name| drop(headers.remove(name)));
        }
        for format in self.formats.all() {
            match format {
                TraceFormat::W3c => {
                    put(headers, w3c::PARENT, &context.to_header());
                    if let Some(state) = &self.state {
                        headers.insert(w3c::STATE, state.clone());
                    }
                }
                TraceFormat::B3 => put(headers, b3::SINGLE, &b3::single(context, self.debug)),
                TraceFormat::B3Multi => b3::write_many(context, self.debug, headers),
                TraceFormat::Jaeger => put(headers, jaeger::NAME, &jaeger::write(context, self.debug)),
            }
        }
    }

    /// `tracestate`, as it is passed on.
    pub fn state(&self) -> Option<&HeaderValue> {
        self.state.as_ref()
    }

    /// What a listed peer gives along for all who serve the request. For calls that are this request's alone.
    pub fn write_baggage(&self, headers: &mut HeaderMap) {
        if let Some(baggage) = &self.baggage {
            headers.insert(lists::BAGGAGE, baggage.clone());
        }
    }
}

fn read(format: TraceFormat, headers: &HeaderMap) -> Said {
    match format {
        TraceFormat::W3c => w3c::read(headers),
        TraceFormat::B3 | TraceFormat::B3Multi => b3::read(headers),
        TraceFormat::Jaeger => jaeger::read(headers),
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// The one value of a header; `Err`: there are several, or it is no text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|text| Some(text.trim())).map_err(drop),
        (Some(_), Some(_)) => Err(()),
    }
}

#[cfg(test)]
mod tests;
