//! A place where spans are kept, and spans drawn as trees.

use super::{recorder::Recorder, span::*, tracer::Tracer};
use crate::{
    model::{TraceContext, TraceFormat, TraceFormats},
    observe::{Cost, GuestRun, RequestObserver, Served},
    sync::lock,
    telemetry::{Metrics, TraceFormatLabels},
};
use http::{HeaderMap, HeaderValue};
use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// Spans in the order in which they have ended.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<Span>>);

impl SpanSink for Kept {
    fn take(&self, span: Span) {
        lock(&self.0).push(span);
    }
}

impl Kept {
    pub(crate) fn spans(&self) -> Vec<Span> {
        lock(&self.0).clone()
    }
}

fn tracer(kept: &Arc<Kept>, ratio: f64) -> Tracer {
    let formats = TraceFormats::new(&[TraceFormat::W3c, TraceFormat::B3]).unwrap();
    Tracer::new(formats, &Metrics::default()).recording(kept.clone(), ratio)
}

/// An observer whose request is recorded.
pub(crate) fn recorded(kept: &Arc<Kept>) -> (Arc<RequestObserver>, Arc<Recorder>) {
    let tracer = tracer(kept, 1.0);
    let recorder = tracer.record(&tracer.receive(&HeaderMap::new(), false), Instant::now()).unwrap();
    (Arc::new(RequestObserver::new(false, Some(recorder.clone()))), recorder)
}

/// All spans as trees, one trace after the other, `A`, `B` and so on; each span with its milliseconds, what is said of it, its events
/// and where its links lead.
pub(crate) fn drawn(spans: &[Span]) -> Vec<String> {
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by_key(|span| span.start);
    let mut traces: Vec<u128> = Vec::new();
    for span in &spans {
        if !traces.contains(&span.context.trace_id) {
            traces.push(span.context.trace_id);
        }
    }
    let since = spans.first().map_or(0, |span| span.start);
    let drawing = Drawing { spans: &spans, traces: &traces, since };
    let mut lines = Vec::new();
    for (place, trace) in traces.iter().enumerate() {
        let is_root = |span: &&&Span| {
            span.context.trace_id == *trace && !spans.iter().any(|other| Some(other.context.span_id) == span.parent)
        };
        lines.push(letter(place).to_string());
        spans.iter().filter(is_root).for_each(|root| drawing.draw(root, 1, &mut lines));
    }
    lines
}

struct Drawing<'a> {
    spans: &'a [&'a Span],
    traces: &'a [u128],
    since: u64,
}

fn letter(place: usize) -> char {
    char::from(b'A' + u8::try_from(place).unwrap())
}

impl Drawing<'_> {
    fn draw(&self, span: &Span, depth: usize, lines: &mut Vec<String>) {
        let millis = |at: u64| (at - self.since) / 1_000_000;
        let mut line = format!("{}{} {}..{}", "  ".repeat(depth), span.name, millis(span.start), millis(span.end));
        if span.kind != SpanKind::Internal {
            write!(line, " {:?}", span.kind).unwrap();
        }
        said(&mut line, &span.attributes);
        if let Some(error) = &span.error {
            write!(line, " ERROR {error}").unwrap();
        }
        span.links.iter().for_each(|link| write!(line, " -> {}", self.name(*link)).unwrap());
        lines.push(line);
        for event in &span.events {
            let mut line = format!("{}* {}", "  ".repeat(depth + 1), event.name);
            said(&mut line, &event.attributes);
            lines.push(line);
        }
        let of_span = |other: &&&Span| {
            other.parent == Some(span.context.span_id) && other.context.trace_id == span.context.trace_id
        };
        self.spans.iter().filter(of_span).for_each(|child| self.draw(child, depth + 1, lines));
    }

    fn name(&self, context: TraceContext) -> String {
        let span = self.spans.iter().find(|span| span.context == context);
        let trace = self.traces.iter().position(|trace| *trace == context.trace_id);
        let name = span.map_or("a span that is not there", |span| &*span.name);
        format!("{}/{name}", trace.map_or('?', letter))
    }
}

fn said(line: &mut String, attributes: &Attributes) {
    for (name, value) in &attributes.0 {
        let name = name.trim_start_matches("weft.").trim_start_matches("rpc.");
        match value {
            SpanValue::Text(text) => write!(line, " {name}={text}"),
            SpanValue::Word(word) => write!(line, " {name}={word}"),
            SpanValue::Whole(number) => write!(line, " {name}={number}"),
            SpanValue::Decimal(number) => write!(line, " {name}={number}"),
            SpanValue::Flag(flag) => write!(line, " {name}={flag}"),
        }
        .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_and_its_guest_are_spans_with_what_is_known_of_them() {
    let kept = Arc::<Kept>::default();
    let (observer, recorder) = recorded(&kept);
    let about = || ("home".into(), "1.2.0".to_owned(), "r-1".to_owned());
    let run = GuestRun::of(observer.recorder(), about);
    tokio::time::advance(Duration::from_millis(3)).await;
    let cost = Cost { cpu: Duration::from_millis(2), memory: 65536, queued: Duration::from_millis(1), crossings: 4 };
    run.ended(Some(&cost), None);
    let mut attributes = Attributes::default();
    attributes.put("weft.client", "web");
    let served = Served { method: "GET", route: Some("/films/{id}"), status: Some(200), problem: None, attributes };
    recorder.served(served);
    let expected = [
        "A",
        "  GET /films/{id} 0..3 Server http.request.method=GET http.route=/films/{id} http.response.status_code=200 client=web",
        "    home 0..3 faas.name=home faas.version=1.2.0 faas.trigger=http faas.invocation_id=r-1 guest.queued_seconds=0.001 \
         guest.cpu_seconds=0.002 guest.memory_bytes=65536 guest.crossings=4",
    ];
    assert_eq!(drawn(&kept.spans()), expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_has_an_end_too() {
    let kept = Arc::<Kept>::default();
    let (observer, recorder) = recorded(&kept);
    drop(GuestRun::of(observer.recorder(), || ("home".into(), "1.2.0".to_owned(), String::new())));
    drop((observer, recorder));
    let lines = drawn(&kept.spans());
    assert!(lines[1].starts_with("  HTTP 0..0 Server") && lines[1].ends_with("ERROR abandoned"), "{lines:#?}");
    assert!(lines[2].contains("home") && lines[2].ends_with("ERROR abandoned"), "{lines:#?}");
    // Faults have a word; methods that nobody knows have no name of their own.
    let (_observer, recorder) = recorded(&kept);
    let problem = Some("host");
    recorder.served(Served {
        method: "_OTHER",
        route: None,
        status: Some(500),
        problem,
        attributes: Attributes::default(),
    });
    let last = kept.spans().pop().unwrap();
    assert_eq!((&*last.name, last.error.as_deref()), ("HTTP", Some("host")));
}

#[tokio::test(start_paused = true)]
async fn who_left_before_there_was_an_answer_has_a_span_with_a_name_and_no_name_is_too_long() {
    let kept = Arc::<Kept>::default();
    let (observer, recorder) = recorded(&kept);
    let mut attributes = Attributes::default();
    attributes.put("weft.client", "web");
    recorder.served(Served { method: "GET", route: Some("/films/{id}"), status: None, problem: None, attributes });
    drop((observer, recorder));
    let expected = [
        "A",
        "  GET /films/{id} 0..0 Server http.request.method=GET http.route=/films/{id} client=web error.type=abandoned ERROR abandoned",
    ];
    assert_eq!(drawn(&kept.spans()), expected);
    let (_observer, recorder) = recorded(&kept);
    let route = format!("/{}", "ä".repeat(500));
    let attributes = Attributes::default();
    recorder.served(Served { method: "GET", route: Some(&route), status: Some(200), problem: None, attributes });
    let last = kept.spans().pop().unwrap();
    assert!(last.name.starts_with("GET /ä") && (250..=256).contains(&last.name.len()), "{}", last.name);
    assert!(last.attributes.0.contains(&("http.route".into(), route.into())));
}

#[tokio::test(start_paused = true)]
async fn authors_have_spans_of_their_own_within_bounds() {
    let kept = Arc::<Kept>::default();
    let (observer, recorder) = recorded(&kept);
    let run = GuestRun::of(observer.recorder(), || ("home".into(), "1".to_owned(), String::new()));
    let outer = recorder.begin_span("rank", 0);
    tokio::time::advance(Duration::from_millis(1)).await;
    let inner = recorder.begin_span("load", outer);
    recorder.end_span(inner, vec![("films".to_owned(), "7".to_owned()), ("weft.calls".to_owned(), "0".to_owned())]);
    recorder.end_span(inner, Vec::new());
    recorder.end_span(99, Vec::new());
    tokio::time::advance(Duration::from_millis(1)).await;
    run.ended(None, None);
    drop((observer, recorder));
    let lines = drawn(&kept.spans());
    assert_eq!(lines[3..], ["      rank 0..2".to_owned(), "        load 1..1 films=7".to_owned()], "{lines:#?}");

    let (_observer, recorder) = recorded(&kept);
    let numbers: Vec<u32> = (0..200).map(|_| recorder.begin_span(&"ä".repeat(100), 0)).collect();
    assert_eq!((numbers[127], numbers[128], numbers[199]), (128, 0, 0));
    recorder.end_span(1, (0..100).map(|n| (n.to_string(), "ä".repeat(1000))).collect());
    let span = kept.spans().pop().unwrap();
    assert_eq!((span.name.len(), span.attributes.0.len()), (64, 32));
    assert!(span.attributes.0.iter().all(|(_, value)| *value == SpanValue::from("ä".repeat(128))));
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &'static str)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    lines.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn listed_peers_say_what_is_recorded_and_for_all_others_the_ratio_does() {
    let kept = Arc::<Kept>::default();
    let parent = |flags: &str| format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    for (ratio, trusted, flags, sampled) in [
        (0.0, true, Some("01"), true),
        (1.0, true, Some("00"), false),
        (0.0, false, Some("01"), false),
        (1.0, false, Some("00"), true),
        (0.0, true, None, false),
        (1.0, true, None, true),
    ] {
        let tracer = tracer(&kept, ratio);
        let mut headers = HeaderMap::new();
        if let Some(flags) = flags {
            headers.insert("traceparent", HeaderValue::try_from(parent(flags)).unwrap());
        }
        let mut trace = tracer.receive(&headers, trusted);
        assert_eq!(trace.context.sampled, sampled, "{ratio} {trusted} {flags:?}");
        assert_eq!(tracer.record(&trace, Instant::now()).is_some(), sampled);
        // Who may see how a request came about sees it here as well.
        assert!(tracer.insist(&mut trace, Instant::now()).is_some() && trace.context.sampled);
    }
    // A trace of which somebody has decided nothing is as one without a parent.
    let deferred = headers(&[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")]);
    assert!(tracer(&kept, 1.0).receive(&deferred, true).context.sampled);
    // Without a collector, a flag is passed on as it came, from those who may give it.
    let passes = Tracer::new(TraceFormats::default(), &Metrics::default());
    let sampled = headers(&[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]);
    let mut trace = passes.receive(&sampled, true);
    assert!(trace.context.sampled && passes.record(&trace, Instant::now()).is_none());
    assert!(passes.insist(&mut trace, Instant::now()).is_none());
    assert!(!passes.receive(&sampled, false).context.sampled);
}

#[test]
fn broken_headers_are_counted_by_format() {
    let metrics = Metrics::default();
    let tracer = Tracer::new(TraceFormats::new(&[TraceFormat::B3, TraceFormat::W3c]).unwrap(), &metrics);
    tracer.receive(&headers(&[("b3", "rubbish"), ("traceparent", "rubbish")]), false);
    tracer.receive(&headers(&[("b3", "rubbish")]), true);
    let counted =
        |format: &str| metrics.traces_broken.get_or_create(&TraceFormatLabels { format: format.into() }).get();
    assert_eq!((counted("b3"), counted("w3c")), (2, 1));
}
