//! Traces: gone on with, passed on, and recorded where a collector takes them.

mod collectors;

use crate::support::{
    BATCH_GET_PEOPLE, FOR_USER, GET_FILM, GET_PERSON, PATIENT, PEOPLE_IN_BATCHES, film, hold_people, knows_all, probe,
    rule,
};
use demo_services::proto::recommend::v1::ForUserResponse;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use weft_tests::{
    collector::{Collector, Seen},
    host::TestHost,
    setup::Setup,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
    web::Web,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const LISTED: &str = "trusted-peers = [\"127.0.0.1\"]";

fn sampled() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

fn setup(upstream: &FakeUpstream, trace: &str) -> Setup {
    let people = rule(GET_PERSON, &format!("{PEOPLE_IN_BATCHES}\nscope = \"public\""));
    let setup = Setup::new().one_backend(upstream.address(), &format!("{PATIENT}\n{people}"));
    setup.more(&format!("[telemetry.trace]\n{trace}")).plugin("probe.wasm", &probe())
}

/// A host that sends its spans there.
async fn host(upstream: &FakeUpstream, collector: &Collector, http: &str, trace: &str) -> TestHost {
    let endpoint = format!("endpoint = \"http://{}\"\n{trace}", collector.address());
    setup(upstream, &endpoint).http(http).start().await
}

fn only<'a>(spans: &[&'a Seen]) -> &'a Seen {
    assert_eq!(spans.len(), 1, "{spans:#?}");
    spans[0]
}

fn named<'a>(spans: &'a [Seen], name: &str) -> &'a Seen {
    only(&spans.iter().filter(|span| span.name == name).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_passed_on_in_all_formats_and_only_listed_peers_say_more_of_it() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    for (http, is_listed) in [(LISTED, true), ("", false)] {
        let formats = "propagation = [\"jaeger\", \"w3c\", \"b3-multi\", \"b3\"]";
        let host = setup(&upstream, formats).identity("").http(http).start().await;
        let ask = async |path: &str| {
            let request = host.get(path).header("traceparent", &sampled()).header("tracestate", "a=1,b=2");
            let request = request.header("baggage", "user=ann").header("uber-trace-id", "rubbish");
            request.bearer(&token("ann")).send().await.ok()
        };
        let flag = if is_listed { "1" } else { "0" };
        ask("/films/1").await;
        ask("/for-you").await;
        for method in [GET_FILM, FOR_USER] {
            let told = upstream.calls(method).pop().unwrap();
            let parent = told.meta("traceparent").unwrap();
            let span = parent.split('-').nth(2).unwrap();
            assert_ne!(span, SPAN);
            assert_eq!(parent, format!("00-{TRACE}-{span}-0{flag}"));
            assert_eq!(told.meta("tracestate"), is_listed.then_some("a=1,b=2"));
            assert_eq!(told.meta("b3"), Some(&*format!("{TRACE}-{span}-{flag}")));
            assert_eq!(told.meta("x-b3-traceid"), Some(TRACE));
            assert_eq!((told.meta("x-b3-spanid"), told.meta("x-b3-sampled")), (Some(span), Some(flag)));
            assert_eq!(told.meta("uber-trace-id"), Some(&*format!("{TRACE}:{span}:0:{flag}")));
            assert_eq!(told.meta("baggage"), is_listed.then_some("user=ann"), "{method}");
        }
        let scrape = host.metrics().await;
        assert_eq!(scrape.sum("weft_trace_contexts_broken_total", &[("format", "jaeger")]), 2.0);
    }
}

/// What many share says nothing that one of them has been given along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shared_carries_nobodys_baggage() {
    let upstream = knows_all().await;
    let host = setup(&upstream, "").http(LISTED).start().await;
    let request = host.get("/people?ids=1,2").header("traceparent", &sampled()).header("baggage", "user=ann");
    request.send().await.ok();
    let told = upstream.calls(BATCH_GET_PEOPLE).pop().unwrap();
    assert!(told.meta("traceparent").is_some_and(|parent| parent.contains(TRACE)) && told.meta("baggage").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_gateway_through_host_and_plugin_to_the_backend() {
    let upstream = knows_all().await;
    for collector in [Collector::start().await, Collector::start_http().await] {
        let protocol = if collector.is_http() { "protocol = \"http\"" } else { "" };
        let host = host(&upstream, &collector, LISTED, &format!("{protocol}\nservice = \"bff\"")).await;
        let request = host.get("/people?ids=1,2,1").header("traceparent", &sampled()).header("tracestate", "gw=1");
        let reply = request.header("x-request-id", "r-7").send().await.ok();
        host.stop().await;
        let spans = collector.trace_of("GET /people").await;
        let server = named(&spans, "GET /people");
        assert_eq!((server.trace.as_str(), server.parent.as_str(), server.state.as_str()), (TRACE, SPAN, "gw=1"));
        assert_eq!(reply.header("traceparent"), Some(&*format!("00-{TRACE}-{}-01", server.span)));
        for (name, value) in [
            ("http.request.method", "GET"),
            ("http.route", "/people"),
            ("http.response.status_code", "200"),
            ("weft.client", "test"),
            ("weft.plugin", "probe"),
            ("weft.calls", "3"),
            ("weft.calls.upstream", "1"),
        ] {
            assert_eq!(server.says(name), Some(value), "{server:#?}");
        }
        assert_eq!(server.resource["service.name"], "bff");
        let guest = only(&server.children(&spans));
        assert_eq!((guest.name.as_str(), guest.says("faas.invocation_id")), ("probe", Some("r-7")));
        assert!(guest.says("weft.guest.cpu_seconds").is_some() && guest.says("weft.guest.crossings").is_some());
        let call = only(&guest.children(&spans));
        assert_eq!((call.name.as_str(), call.kind), (GET_PERSON, 1));
        let batch = only(&call.children(&spans));
        assert_eq!(
            (batch.name.as_str(), batch.says("weft.batch.keys")),
            (&*format!("batch {BATCH_GET_PEOPLE}"), Some("2"))
        );
        assert_eq!((batch.links[0].1.as_str(), call.links[0].1.as_str()), (call.span.as_str(), batch.span.as_str()));
        let attempt = only(&batch.children(&spans));
        assert_eq!((attempt.name.as_str(), attempt.kind), (BATCH_GET_PEOPLE, 3));
        let port = upstream.address().port().to_string();
        for (name, value) in [
            ("rpc.system.name", "grpc"),
            ("rpc.method", BATCH_GET_PEOPLE),
            ("rpc.status_code", "OK"),
            ("server.address", "127.0.0.1"),
            ("server.port", port.as_str()),
            ("weft.attempt.kind", "first"),
        ] {
            assert_eq!(attempt.says(name), Some(value), "{attempt:#?}");
        }
        let told = upstream.calls(BATCH_GET_PEOPLE).pop().unwrap();
        assert_eq!(told.meta("traceparent"), Some(&*format!("00-{TRACE}-{}-01", attempt.span)));
        assert_eq!(told.meta("tracestate"), Some("gw=1"));
        assert_eq!(spans.len(), 5, "{spans:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_that_shares_a_batch_is_linked_with_it() {
    let upstream = knows_all().await;
    let collector = Collector::start().await;
    let host = host(&upstream, &collector, "", "").await;
    let next = AtomicUsize::new(1);
    // Requests at the same time share batches, not always the same ones.
    let batch = until("a batch for several requests", async || {
        let paths: Vec<String> = (0..30)
            .map(|_| {
                let id = next.fetch_add(2, SeqCst);
                format!("/people?ids={id},{}", id + 1)
            })
            .collect();
        join_all(paths.iter().map(|path| host.get(path).send())).await.into_iter().for_each(|reply| drop(reply.ok()));
        let spans = collector.spans();
        spans.into_iter().find(|span| span.says("weft.batch.requests").is_some_and(|requests| requests != "1"))
    })
    .await;
    assert_eq!(Some(batch.links.len().to_string().as_str()), batch.says("weft.batch.requests"));
    let calls: Vec<Seen> = collector
        .until("the calls of all who share it", |spans| {
            let call = |(_, span): &(String, String)| spans.iter().find(|other| other.span == *span).cloned();
            batch.links.iter().map(call).collect()
        })
        .await;
    let mut traces: Vec<_> = calls.iter().map(|call| &call.trace).collect();
    traces.dedup();
    assert_eq!(traces.len(), calls.len(), "each in its own trace");
    for call in &calls {
        assert!(call.links.contains(&(batch.trace.clone(), batch.span.clone())), "{call:#?}");
    }
    assert_eq!((&batch.parent, &batch.trace), (&calls[0].span, &calls[0].trace));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_told_apart_and_each_has_its_own_id_in_what_the_backend_is_told() {
    let upstream = knows_all().await;
    let tries = AtomicUsize::new(0);
    upstream.on(GET_FILM, move |_| match tries.fetch_add(1, SeqCst) {
        0 => Answer::fails(14, "the database password is hunter2"),
        _ => Answer::message(&film(1)),
    });
    let collector = Collector::start().await;
    let host = host(&upstream, &collector, "", "").await;
    host.get("/films/1").send().await.ok();
    host.stop().await;
    let spans = collector.trace_of("GET /films/{id}").await;
    let mut attempts: Vec<&Seen> = spans.iter().filter(|span| span.kind == 3).collect();
    attempts.sort_by_key(|attempt| attempt.says("weft.attempt.number"));
    let said = |name: &str| attempts.iter().map(|attempt| attempt.says(name).unwrap_or("")).collect::<Vec<_>>();
    assert_eq!(said("weft.attempt.kind"), ["first", "retry"]);
    assert_eq!(said("error.type"), ["UNAVAILABLE", ""]);
    assert_eq!(attempts.iter().map(|attempt| attempt.is_error).collect::<Vec<_>>(), [true, false]);
    let told = upstream.calls(GET_FILM);
    for (call, attempt) in told.iter().zip(&attempts) {
        assert!(call.meta("traceparent").unwrap().contains(&attempt.span));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_what_requests_say_is_in_a_span() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::fails(9, "planted-in-a-reply"));
    let collector = Collector::start().await;
    let endpoint = format!("endpoint = \"http://{}\"", collector.address());
    let host = setup(&upstream, &endpoint).identity("subject = \"x-md-global-subject\"").http(LISTED).start().await;
    let secret = token("planted-subject");
    let dress = |request: weft_tests::web::Request| {
        let request = request.header("cookie", "planted-in-a-cookie").header("x-md-global-x", "planted-in-a-header");
        request.header("baggage", "user=planted-in-baggage").bearer(&secret)
    };
    for path in ["/echo/planted-in-a-path?q=planted-in-a-query", "/for-you", "/films/4711", "/planted-in-nothing"] {
        let _ = dress(host.get(path)).send().await;
    }
    let _ = dress(host.post("/echo/planted-in-a-path").body("planted-in-a-body")).send().await;
    let _ = dress(host.get("/cache/planted-in-a-key")).send().await;
    let _ = dress(host.web().request("PLANTED", "/")).send().await;
    host.stop().await;
    let bytes: Vec<u8> = collector.requests().iter().flat_map(|(_, message)| message.to_vec()).collect();
    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    assert!(text.contains("get /echo/{name}") && text.contains(&FOR_USER.to_ascii_lowercase()));
    for secret in ["planted", "4711", secret.split('.').nth(1).unwrap()] {
        assert!(!text.contains(&secret.to_ascii_lowercase()), "{secret} is in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_see_how_an_answer_came_about_is_recorded_whatever_is_usual() {
    let upstream = knows_all().await;
    let collector = Collector::start().await;
    let host = host(&upstream, &collector, "explain-scope = \"*\"", "ratio = \"0%\"").await;
    host.get("/films/1").send().await.ok();
    let asked = host.get("/films/2").header("x-weft-explain", "1").send().await;
    assert!(asked.header("traceparent").unwrap().ends_with("-01"));
    host.stop().await;
    let spans = collector.trace_of("GET /films/{id}").await;
    assert_eq!(collector.spans().len(), spans.len(), "one request alone");
    assert!(spans.iter().any(|span| span.kind == 3));
    let told = upstream.calls(GET_FILM);
    assert!(told[0].meta("traceparent").unwrap().ends_with("-00"));
    assert!(told[1].meta("traceparent").unwrap().ends_with("-01"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cache_has_and_what_stands_in_are_events() {
    let upstream = knows_all().await;
    let collector = Collector::start().await;
    let lines = rule(GET_FILM, "scope = \"public\"\ncache = { ttl = \"300s\" }");
    let setup = Setup::new().one_backend(upstream.address(), &format!("{PATIENT}\n{lines}"));
    let trace = format!("[telemetry.trace]\nendpoint = \"http://{}\"", collector.address());
    let host = setup.more(&trace).plugin("probe.wasm", &probe()).start().await;
    host.get("/films/1").send().await.ok();
    host.get("/films?ids=1,1,1").send().await.ok();
    host.stop().await;
    let spans = collector.trace_of("GET /films").await;
    assert_eq!(named(&spans, "probe").events, [format!("cache.hit {GET_FILM}")]);
    assert_eq!(spans.len(), 2, "nothing left the host: {spans:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_a_trace_that_is_whole() {
    let upstream = knows_all().await;
    let gate = Gate::new();
    hold_people(&upstream, &gate, 1);
    let collector = Collector::start().await;
    let host = host(&upstream, &collector, "", "").await;
    let web = Web::new(host.address());
    let waiting = tokio::spawn(async move { web.get("/people?ids=1").try_send().await.map(drop) });
    upstream.arrived(GET_PERSON, 1).await;
    waiting.abort();
    let spans = collector.until("its span", |spans| {
        let server = spans.iter().find(|span| span.kind == 2)?;
        Some(spans.iter().filter(|span| span.trace == server.trace).cloned().collect::<Vec<_>>())
    });
    let spans = spans.await;
    gate.open();
    let server = named(&spans, "GET /people");
    assert_eq!((server.says("http.route"), server.says("error.type")), (Some("/people"), Some("abandoned")));
    assert_eq!((server.says("weft.plugin"), server.says("http.response.status_code")), (Some("probe"), None));
    let is_left = |span: &Seen| span.parent.is_empty() || spans.iter().any(|other| other.span == span.parent);
    assert!(spans.iter().all(is_left), "{spans:#?}");
    assert!(spans.iter().all(|span| span.is_error), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_an_author_stand_under_the_plugins() {
    let upstream = knows_all().await;
    let collector = Collector::start().await;
    let host = host(&upstream, &collector, "", "").await;
    host.get("/spans").send().await;
    host.stop().await;
    let spans = collector.trace_of("GET /spans").await;
    let outer = only(&named(&spans, "probe").children(&spans));
    assert_eq!((outer.name.as_str(), outer.says("items"), outer.says("found")), ("outer", Some("3"), Some("true")));
    assert_eq!(only(&outer.children(&spans)).name, "inner");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_an_author_are_nothing_where_nobody_records() {
    let upstream = knows_all().await;
    let host = setup(&upstream, "").start().await;
    assert!(host.get("/spans").send().await.status < 300);
}
