//! Headers in, headers out.

use super::*;
use proptest::prelude::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const ALL: [TraceFormat; 4] = [TraceFormat::W3c, TraceFormat::B3, TraceFormat::B3Multi, TraceFormat::Jaeger];

fn formats(list: &[TraceFormat]) -> TraceFormats {
    TraceFormats::new(list).unwrap()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// As a listed peer says it.
fn receive(list: &[TraceFormat], lines: &[(&'static str, &str)]) -> Received {
    Trace::receive(&headers(lines), formats(list), true)
}

fn written(trace: &Trace) -> Vec<(String, String)> {
    let mut headers = HeaderMap::new();
    trace.write(None, &mut headers);
    trace.write_baggage(&mut headers);
    let line = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_good_parent_is_gone_on_with_under_a_span_of_our_own() {
    type Good = (TraceFormat, &'static [(&'static str, &'static str)], Option<bool>);
    let good: [Good; 14] = [
        (TraceFormat::W3c, &[("traceparent", "00-T-S-01")], Some(true)),
        (TraceFormat::W3c, &[("traceparent", "00-T-S-02")], Some(false)),
        (TraceFormat::W3c, &[("traceparent", "cc-T-S-01-what-comes-later")], Some(true)),
        (TraceFormat::B3, &[("b3", "T-S")], None),
        (TraceFormat::B3, &[("b3", "T-S-1")], Some(true)),
        (TraceFormat::B3, &[("b3", "T-S-d-05e3ac9a4f6e3b90")], Some(true)),
        (TraceFormat::B3, &[("x-b3-traceid", "T"), ("x-b3-spanid", "S"), ("x-b3-sampled", "0")], Some(false)),
        (TraceFormat::B3Multi, &[("x-b3-traceid", "T"), ("x-b3-spanid", "S"), ("x-b3-flags", "1")], Some(true)),
        (TraceFormat::B3, &[("b3", "T-S-0"), ("x-b3-traceid", "rubbish")], Some(false)),
        (TraceFormat::Jaeger, &[("uber-trace-id", "T:S:0:1")], Some(true)),
        (TraceFormat::Jaeger, &[("uber-trace-id", "T%3AS%3A0%3a0")], Some(false)),
        (TraceFormat::Jaeger, &[("uber-trace-id", "T:f067aa0ba902b7:0:3")], Some(true)),
        (TraceFormat::Jaeger, &[("uber-trace-id", "T:S:05e3ac9a4f6e3b90:11")], Some(true)),
        (TraceFormat::Jaeger, &[("uber-trace-id", "4BF92F3577B34DA6A3CE929D0E0E4736:S:0:1")], Some(true)),
    ];
    for (format, lines, wish) in good {
        let filled: Vec<_> =
            lines.iter().map(|(name, value)| (*name, value.replace('T', TRACE).replace('S', SPAN))).collect();
        let lines: Vec<_> = filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let Received { trace, broken } = receive(&[format], &lines);
        assert_eq!(broken, Broken::default(), "{lines:?}");
        assert_eq!(trace.context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, "{lines:?}");
        assert_eq!(trace.parent, Some(0x00f0_67aa_0ba9_02b7), "{lines:?}");
        assert_ne!(Some(trace.context.span_id), trace.parent, "our span is our own");
        assert_eq!((trace.wish, trace.context.sampled), (wish, wish == Some(true)), "{lines:?}");

        let nobody = Trace::receive(&headers(&lines), formats(&[format]), false).trace;
        assert_eq!(nobody.parent, trace.parent, "a trace is anybody's word");
        assert_eq!((nobody.wish, nobody.context.sampled, nobody.debug), (None, false, false), "what it costs is not");
    }
}

#[test]
fn short_ids_are_padded() {
    let trace = receive(&[TraceFormat::B3], &[("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-1")]).trace;
    assert_eq!(trace.context.trace_id, 0xa3ce_929d_0e0e_4736);
    let trace = receive(&[TraceFormat::Jaeger], &[("uber-trace-id", "1:2:0:1")]).trace;
    assert_eq!((trace.context.trace_id, trace.parent), (1, Some(2)));
}

#[test]
fn what_is_broken_or_doubled_begins_a_new_trace_and_is_counted() {
    let zeros = "0".repeat(32);
    let bad: Vec<(TraceFormat, Vec<(&'static str, String)>)> = vec![
        (TraceFormat::W3c, vec![("traceparent", String::new())]),
        (TraceFormat::W3c, vec![("traceparent", "rubbish".to_owned())]),
        (TraceFormat::W3c, vec![("traceparent", format!("00-{}-{SPAN}-01", TRACE.to_uppercase()))]),
        (TraceFormat::W3c, vec![("traceparent", format!("00-{zeros}-{SPAN}-01"))]),
        (TraceFormat::W3c, vec![("traceparent", format!("00-{TRACE}-0000000000000000-01"))]),
        (TraceFormat::W3c, vec![("traceparent", format!("ff-{TRACE}-{SPAN}-01"))]),
        (TraceFormat::W3c, vec![("traceparent", format!("00-{TRACE}-{SPAN}-01-more"))]),
        (TraceFormat::W3c, vec![("traceparent", format!("00-{TRACE}-{SPAN}-1"))]),
        (TraceFormat::W3c, vec![("traceparent", format!("00-{TRACE}-{SPAN}-+1"))]),
        (TraceFormat::W3c, vec![("traceparent", format!("00-{TRACE}-{SPAN}-01")); 2]),
        (TraceFormat::B3, vec![("b3", format!("{TRACE}-{SPAN}-x"))]),
        (TraceFormat::B3, vec![("b3", format!("{TRACE}-{SPAN}-1-{SPAN}-1"))]),
        (TraceFormat::B3, vec![("b3", format!("{TRACE}-{SPAN}-1-none"))]),
        (TraceFormat::B3, vec![("b3", TRACE.to_owned())]),
        (TraceFormat::B3, vec![("b3", format!("{zeros}-{SPAN}-1"))]),
        (TraceFormat::B3, vec![("b3", format!("{TRACE}-{SPAN}-1")); 2]),
        (TraceFormat::B3, vec![("x-b3-traceid", TRACE.to_owned())]),
        (TraceFormat::B3, vec![("x-b3-sampled", "perhaps".to_owned())]),
        (
            TraceFormat::B3,
            vec![("x-b3-traceid", TRACE.to_owned()), ("x-b3-traceid", TRACE.to_owned()), ("x-b3-spanid", SPAN.into())],
        ),
        (TraceFormat::Jaeger, vec![("uber-trace-id", format!("{TRACE}:{SPAN}:0"))]),
        (TraceFormat::Jaeger, vec![("uber-trace-id", format!("{TRACE}:{SPAN}:0:1:1"))]),
        (TraceFormat::Jaeger, vec![("uber-trace-id", format!("0:{SPAN}:0:1"))]),
        (TraceFormat::Jaeger, vec![("uber-trace-id", format!("0{TRACE}:{SPAN}:0:1"))]),
        (TraceFormat::Jaeger, vec![("uber-trace-id", format!("{TRACE}:{SPAN}:0:xyz"))]),
        (TraceFormat::Jaeger, vec![("uber-trace-id", format!("{TRACE}:{SPAN}::1"))]),
    ];
    for (format, lines) in bad {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let Received { trace, broken } = receive(&[format], &lines);
        assert_eq!(broken.formats().collect::<Vec<_>>(), [format], "{lines:?}");
        assert_eq!((trace.parent, trace.wish, trace.context.sampled), (None, None, false), "{lines:?}");
        assert!(trace.context.trace_id != 0 && trace.context.span_id != 0);
    }
}

#[test]
fn the_first_format_that_can_be_read_counts_and_all_are_written() {
    let jaeger = format!("{TRACE}:{SPAN}:0:1");
    let lines = [("traceparent", "rubbish"), ("b3", ""), ("uber-trace-id", jaeger.as_str())];
    let Received { trace, broken } = receive(&[TraceFormat::W3c, TraceFormat::B3, TraceFormat::Jaeger], &lines);
    assert_eq!(broken.formats().collect::<Vec<_>>(), [TraceFormat::W3c, TraceFormat::B3]);
    let own = format!("{:016x}", trace.context.span_id);
    let expected = [
        ("b3".to_owned(), format!("{TRACE}-{own}-1")),
        ("traceparent".to_owned(), format!("00-{TRACE}-{own}-01")),
        ("uber-trace-id".to_owned(), format!("{TRACE}:{own}:0:1")),
    ];
    assert_eq!(written(&trace), expected);
    // What is not configured is neither looked at nor written.
    let trace = receive(&[TraceFormat::W3c], &lines[2..]).trace;
    assert_eq!((trace.parent, written(&trace).len()), (None, 1));
}

#[test]
fn who_only_says_whether_to_record_is_heard_if_listed() {
    for (lines, wish) in
        [(&[("b3", "0")], Some(false)), (&[("b3", "d")], Some(true)), (&[("x-b3-sampled", "1")], Some(true))]
    {
        let Received { trace, broken } = receive(&[TraceFormat::B3], lines);
        assert_eq!((trace.wish, trace.parent, broken), (wish, None, Broken::default()), "{lines:?}");
        assert_eq!(Trace::receive(&headers(lines), formats(&[TraceFormat::B3]), false).trace.wish, None);
    }
}

#[test]
fn lists_are_passed_on_whole_or_not_at_all_and_only_from_listed_peers() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let many = |count: usize| (0..count).map(|n| format!("v{n}=1")).collect::<Vec<_>>().join(",");
    for (state, passed) in [
        ("a=1,b@c=2".to_owned(), true),
        (many(32), true),
        (many(33), false),
        ("A=1".to_owned(), false),
        ("a".to_owned(), false),
        ("a=b=c".to_owned(), false),
        (format!("a={}", "x".repeat(5000)), false),
        (String::new(), false),
    ] {
        let lines = [("traceparent", parent.as_str()), ("tracestate", state.as_str()), ("baggage", "user=ann")];
        let told = written(&receive(&[TraceFormat::W3c], &lines).trace);
        assert_eq!(told.iter().any(|(name, value)| name == "tracestate" && *value == state), passed, "{state}");
        assert!(told.contains(&("baggage".to_owned(), "user=ann".to_owned())));
        let nobody = Trace::receive(&headers(&lines), formats(&[TraceFormat::W3c]), false).trace;
        assert_eq!(written(&nobody).len(), 1, "an unlisted client gives nothing along");
    }
    let two = [("traceparent", parent.as_str()), ("tracestate", "a=1"), ("tracestate", "b=2")];
    assert!(written(&receive(&[TraceFormat::W3c], &two).trace).contains(&("tracestate".into(), "a=1,b=2".into())));
    // Without the trace that it belongs to, a state says nothing.
    assert_eq!(written(&receive(&[TraceFormat::W3c], &two[1..]).trace).len(), 1);
    let too_much = format!("a={}", "x".repeat(9000));
    assert_eq!(written(&receive(&[TraceFormat::W3c], &[("baggage", &too_much)]).trace).len(), 1);
}

#[test]
fn a_list_of_formats_names_each_once() {
    assert!(TraceFormats::new(&[]).is_none());
    assert!(TraceFormats::new(&[TraceFormat::B3, TraceFormat::B3]).is_none());
    assert!(TraceFormats::new(&ALL).is_some());
}

proptest! {
    /// What one host writes, the next one reads: in each format by itself.
    #[test]
    fn what_is_written_is_read_again(trace_id in 1..=u128::MAX, span_id in 1..=u64::MAX, sampled: bool, debug: bool, place in 0..4usize) {
        let context = TraceContext { trace_id, span_id, sampled: sampled || debug };
        let formats = formats(&[ALL[place]]);
        let trace = Trace { context, debug: debug && place > 0, ..Trace::fresh(formats) };
        let mut headers = HeaderMap::new();
        trace.write(None, &mut headers);
        let Received { trace: read, broken } = Trace::receive(&headers, formats, true);
        prop_assert_eq!(broken, Broken::default());
        prop_assert_eq!((read.context.trace_id, read.parent), (trace_id, Some(span_id)));
        prop_assert_eq!((read.wish, read.debug), (Some(context.sampled), trace.debug));
    }

    /// Whatever comes, there is a trace, and it is one that others can read.
    #[test]
    fn no_header_breaks_anything(
        lines in proptest::collection::vec((0..9usize, proptest::string::bytes_regex("[ -~]{0,70}").unwrap()), 0..6),
        trusted: bool,
    ) {
        const NAMES: [&str; 9] = ["traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id"];
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            headers.append(HeaderName::from_static(NAMES[*name]), HeaderValue::from_bytes(value).unwrap());
        }
        let trace = Trace::receive(&headers, formats(&ALL), trusted).trace;
        prop_assert!(trace.context.trace_id != 0 && trace.context.span_id != 0);
        let mut told = HeaderMap::new();
        trace.write(None, &mut told);
        let next = Trace::receive(&told, formats(&ALL), true);
        prop_assert_eq!(next.broken, Broken::default());
        prop_assert_eq!(next.trace.context.trace_id, trace.context.trace_id);
    }
}
