//! Spans as OTLP has them.

use super::messages::{
    AnyValue, Event, ExportTraceServiceRequest, KeyValue, Kind, Link, Resource, ResourceSpans, Scope, ScopeSpans, Span,
    Status, Value,
};
use crate::{
    model::TraceContext,
    observe::{self, Attributes, SpanKind, SpanValue},
};
use prost::Message;
use std::borrow::Cow;

/// Flags of a span beside those that W3C has: it is known whether its parent is another process's, and it is.
const KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;
const SAMPLED: u32 = 1;

/// Who sends spans.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// As the operator calls it.
    pub(super) service: String,
    /// This process and no other.
    pub(super) instance: String,
}

impl Sender {
    pub(super) fn request(&self, spans: &[observe::Span]) -> Vec<u8> {
        let text = |key: &str, text: &str| KeyValue { key: key.to_owned(), value: value(Value::Text(text.to_owned())) };
        let version = env!("CARGO_PKG_VERSION");
        let attributes = vec![
            text("service.name", &self.service),
            text("service.version", version),
            text("service.instance.id", &self.instance),
            text("telemetry.sdk.name", "weft"),
            text("telemetry.sdk.language", "rust"),
            text("telemetry.sdk.version", version),
        ];
        let scope = Scope { name: "weft".to_owned(), version: version.to_owned() };
        let spans = spans.iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource_spans = vec![ResourceSpans { resource: Some(Resource { attributes }), scope_spans }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }
}

fn span(span: &observe::Span) -> Span {
    let remote = if span.kind == SpanKind::Server && span.parent.is_some() { REMOTE } else { 0 };
    let kind = match span.kind {
        SpanKind::Internal => Kind::Internal,
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
    };
    let (trace_id, span_id) = ids(span.context);
    Span {
        trace_id,
        span_id,
        trace_state: span.state.as_ref().and_then(|state| state.to_str().map(str::to_owned).ok()).unwrap_or_default(),
        parent_span_id: span.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        name: span.name.to_string(),
        kind: kind.into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end.max(span.start),
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(event).collect(),
        dropped_events_count: span.dropped_events,
        links: span.links.iter().copied().map(link).collect(),
        dropped_links_count: span.dropped_links,
        status: span.error.as_ref().map(|error| Status { message: error.to_string(), code: 2 }),
        flags: SAMPLED | KNOWN | remote,
    }
}

fn event(event: &observe::SpanEvent) -> Event {
    Event { time_unix_nano: event.at, name: event.name.to_owned(), attributes: attributes(&event.attributes) }
}

fn link(context: TraceContext) -> Link {
    let (trace_id, span_id) = ids(context);
    Link { trace_id, span_id, flags: SAMPLED | KNOWN }
}

fn ids(context: TraceContext) -> (Vec<u8>, Vec<u8>) {
    (context.trace_id.to_be_bytes().to_vec(), context.span_id.to_be_bytes().to_vec())
}

fn attributes(attributes: &Attributes) -> Vec<KeyValue> {
    let one = |(key, said): &(Cow<'static, str>, SpanValue)| {
        let said = match said {
            SpanValue::Text(text) => Value::Text(text.to_string()),
            SpanValue::Word(word) => Value::Text((*word).to_owned()),
            SpanValue::Whole(number) => Value::Whole(*number),
            SpanValue::Decimal(number) => Value::Decimal(*number),
            SpanValue::Flag(flag) => Value::Flag(*flag),
        };
        KeyValue { key: key.to_string(), value: value(said) }
    };
    attributes.0.iter().map(one).collect()
}

fn value(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::SpanEvent;
    use proptest::{collection::vec, prelude::*};

    fn said() -> impl Strategy<Value = Attributes> {
        let value = prop_oneof![
            ".{0,40}".prop_map(SpanValue::from),
            Just(SpanValue::Whole(-1)),
            Just(SpanValue::Decimal(0.5)),
            Just(SpanValue::Flag(true))
        ];
        vec((".{0,20}".prop_map(Cow::Owned), value), 0..6).prop_map(Attributes)
    }

    proptest! {
        /// By which batches are cut, before anybody has encoded them.
        #[test]
        fn a_span_is_never_sent_as_more_than_it_weighs(
            attributes in said(),
            events in vec(said(), 0..4),
            (name, error, links) in (".{0,80}", proptest::option::of(".{0,40}"), 0_usize..200),
        ) {
            let events = events.into_iter().map(|attributes| SpanEvent { at: u64::MAX, name: "cache.hit", attributes });
            let span = observe::Span {
                context: TraceContext::fresh(),
                parent: Some(u64::MAX),
                state: Some(http::HeaderValue::from_static("a=b")),
                name: name.into(),
                kind: SpanKind::Client,
                start: u64::MAX,
                end: u64::MAX,
                attributes,
                events: events.collect(),
                dropped_events: u32::MAX,
                links: vec![TraceContext::fresh(); links],
                dropped_links: u32::MAX,
                error: error.map(Cow::Owned),
            };
            let sender = Sender { service: "s".to_owned(), instance: "i".to_owned() };
            let nothing = sender.request(&[]).len();
            let sent = sender.request(std::slice::from_ref(&span)).len() - nothing;
            prop_assert!(sent <= span.weight(), "{sent} bytes, and it weighs {}", span.weight());
        }
    }
}
