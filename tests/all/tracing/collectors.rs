//! Collectors: real ones, those that ask for something, and those that are none.

use super::{LISTED, SPAN, setup};
use crate::support::{GET_FILM, GET_PERSON, PATIENT, knows_all, person, probe};
use serde_json::Value;
use std::fmt::Write;
use weft_tests::{
    collector::Collector,
    envoy,
    host::TestHost,
    otelite::Otelite,
    program::{free, replaced},
    repository,
    setup::Setup,
    site::{Page, Site},
    tls::Authority,
    upstream::{Answer, FakeUpstream, Gate},
    wait::{soon, until},
    web::{Reply, Web},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_behind_tls_gets_what_it_asks_for() {
    let upstream = knows_all().await;
    let ours = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    let ca = ours.write(folder.path(), "ca.pem");
    let secret = folder.path().join("token");
    std::fs::write(&secret, "Bearer of-the-collector\n").unwrap();
    let collector = Collector::start_tls(ours.server("localhost", None)).await;
    let port = collector.address().port();
    let mut trace = format!("endpoint = \"https://localhost:{port}\"\ntls = {{ ca = {ca:?} }}\n");
    writeln!(trace, "headers = {{ authorization = \"file:{}\" }}", secret.display()).unwrap();
    let host = setup(&upstream, &trace).start().await;
    host.get("/films/1").send().await.ok();
    host.stop().await;
    collector.trace_of("GET /films/{id}").await;
    let (metadata, _) = &collector.requests()[0];
    assert_eq!(metadata["authorization"], "Bearer of-the-collector");
}

/// What a page costs does not hang on whether somebody takes its spans.
async fn serves(host: &TestHost) -> Reply {
    soon("an answer", host.get("/people?ids=1,2").send()).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_answers_with_a_web_page_costs_its_spans_and_a_count() {
    let upstream = knows_all().await;
    let site = Site::start().await;
    site.otherwise(|_| {
        let header = ("content-type", "text/html".to_owned());
        Page::Whole(200, vec![header], "<html>It works!</html>".into())
    });
    let endpoint = format!("endpoint = \"http://{}\"\nprotocol = \"http\"", site.address());
    let host = setup(&upstream, &endpoint).start().await;
    serves(&host).await;
    let dropped = until("spans to be dropped", async || {
        let dropped = host.metrics().await.sum("weft_trace_spans_dropped_total", &[("reason", "refused")]);
        Some(dropped).filter(|dropped| *dropped > 0.0)
    });
    assert_eq!(dropped.await, 5.0);
    serves(&host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_hangs_keeps_no_request_and_no_end_waiting() {
    let upstream = knows_all().await;
    let silent = Site::start().await;
    silent.otherwise(|_| Page::Silence);
    for (address, protocol) in
        [(FakeUpstream::nowhere().await, "grpc"), (silent.address(), "http"), (silent.address(), "grpc")]
    {
        let trace = format!("endpoint = \"http://{address}\"\nprotocol = \"{protocol}\"");
        let host = setup(&upstream, &trace).start().await;
        for _ in 0..3 {
            serves(&host).await;
        }
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_receiver_has_the_trace_as_it_was() {
    let Some(otelite) = Otelite::start().await else { return };
    let upstream = knows_all().await;
    for (place, endpoint) in [
        format!("endpoint = \"http://{}\"", otelite.grpc()),
        format!("endpoint = \"http://{}\"\nprotocol = \"http\"", otelite.http()),
    ]
    .iter()
    .enumerate()
    {
        let host = setup(&upstream, endpoint).http(LISTED).start().await;
        let traces = [1, 2].map(|number| format!("{:032x}", 16 * (place + 1) + number));
        let gate = Gate::new();
        let shut = gate.clone();
        upstream.on(GET_PERSON, move |_| Answer::message(&person(1)).held(&shut));
        let ask = |trace: &str| {
            let request = host.get("/people?ids=1").header("traceparent", &format!("00-{trace}-{SPAN}-01"));
            request.send()
        };
        let before = upstream.count(GET_PERSON);
        let first = async { ask(&traces[0]).await.ok() };
        let second = async {
            upstream.arrived(GET_PERSON, before + 1).await;
            ask(&traces[1]).await.ok()
        };
        let opens = async {
            host.until_plugins("both to wait", |plugins| plugins["requests_under_way"] == 2).await;
            gate.open();
        };
        tokio::join!(first, second, opens);
        host.stop().await;
        let spans = otelite.trace(&traces[0], 4).await;
        let of = |spans: &[Value], name: &str, kind: &str| {
            let is_it =
                |span: &&Value| span["name"] == name && span["kind"].as_str().unwrap().eq_ignore_ascii_case(kind);
            spans.iter().find(is_it).cloned().unwrap_or_else(|| panic!("no {name} {kind} in {spans:#?}"))
        };
        let server = of(&spans, "GET /people", "server");
        assert_eq!(server["parent_span_id"], SPAN);
        let guest = of(&spans, "probe", "internal");
        assert_eq!(guest["parent_span_id"], server["span_id"]);
        let call = of(&spans, GET_PERSON, "internal");
        assert_eq!(call["parent_span_id"], guest["span_id"]);
        let attempt = of(&spans, GET_PERSON, "client");
        assert_eq!(attempt["parent_span_id"], call["span_id"]);
        let told = upstream.calls(GET_PERSON).pop().unwrap();
        assert!(told.meta("traceparent").unwrap().contains(attempt["span_id"].as_str().unwrap()));
        // The second request either waited for the first one's load or had one of its own, by when it came.
        let other = otelite.trace(&traces[1], 3).await;
        let call = of(&other, GET_PERSON, "internal");
        if upstream.count(GET_PERSON) == before + 1 {
            assert_eq!(call["attributes"]["weft.load.trace_id"], traces[0]);
        }
    }
}

/// What the page about tracing shows, runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configurations_of_the_page_are_good_ones() {
    let page = std::fs::read_to_string(repository().join("docs/operators/neighbours/tracing.md")).unwrap();
    let shown: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [here, elsewhere] = shown.try_into().unwrap();
    let upstream = knows_all().await;
    let collector = Collector::start().await;
    let address = collector.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new("ours").write(folder.path(), "ca.pem");
    let secret = folder.path().join("token");
    std::fs::write(&secret, "Bearer x").unwrap();
    let elsewhere = replaced(
        elsewhere,
        &[
            ("collector-ca.pem", ca.to_str().unwrap()),
            ("env:OTLP_AUTHORIZATION", &format!("file:{}", secret.display())),
        ],
    );
    let plain = Setup::new().one_backend(upstream.address(), PATIENT).plugin("probe.wasm", &probe());
    plain.clone().more(&elsewhere).start().await.stop().await;
    let here = replaced(here, &[("127.0.0.1:4317", address.as_str()), ("10%", "100%")]);
    let host = plain.more(&here).start().await;
    host.get("/films/1").send().await.ok();
    host.stop().await;
    assert_eq!(collector.trace_of("GET /films/{id}").await[0].resource["service.name"], "bff");
    let told = upstream.calls(GET_FILM).pop().unwrap();
    assert!(["traceparent", "b3", "uber-trace-id"].iter().all(|name| told.meta(name).is_some()));
}

/// Envoy's own span, the host's, and what the backend is told, in one receiver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_envoy_begins_is_one_trace_down_to_the_backend() {
    let page = std::fs::read_to_string(repository().join("docs/operators/neighbours/tracing.md")).unwrap();
    let shown = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let Some(otelite) = Otelite::start().await else { return };
    let upstream = knows_all().await;
    let host = setup(&upstream, &format!("endpoint = \"http://{}\"\nratio = \"0%\"", otelite.grpc()));
    let host = host.http(LISTED).start().await;
    let port = |address: std::net::SocketAddr| format!("port_value: {}", address.port());
    let own = free();
    let config = replaced(
        shown,
        &[
            ("port_value: 10000", &format!("port_value: {own}")),
            ("port_value: 8080", &port(host.address())),
            ("port_value: 4317", &port(otelite.grpc())),
        ],
    );
    let Some(_envoy) = envoy::start(&config, own).await else { return };
    let reply = Web::new(std::net::SocketAddr::from(([127, 0, 0, 1], own))).get("/films/1").send().await.ok();
    let trace = reply.header("traceparent").unwrap().split('-').nth(1).unwrap().to_owned();
    host.stop().await;
    let spans = otelite.trace(&trace, 5).await;
    let by =
        |is_it: &dyn Fn(&Value) -> bool| spans.iter().find(|span| is_it(span)).unwrap_or_else(|| panic!("{spans:#?}"));
    let of_host = by(&|span| span["name"] == "GET /films/{id}");
    let of_envoy = by(&|span| span["span_id"] == of_host["parent_span_id"]);
    assert_eq!(of_envoy["resource"]["attributes"]["service.name"], "edge", "{of_envoy:#?}");
    let told = upstream.calls(GET_FILM).pop().unwrap();
    let attempt = by(&|span| told.meta("traceparent").unwrap().contains(span["span_id"].as_str().unwrap()));
    assert!(attempt["kind"].as_str().unwrap().eq_ignore_ascii_case("client"), "{attempt:#?}");
}
