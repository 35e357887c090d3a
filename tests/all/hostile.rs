//! Guests that loop, grow, trap or answer nonsense are contained: their request gets a truthful 5xx, and nobody else notices.

mod attacks;
mod bounds;
mod compiling;
mod component;
mod loading;
mod resting;

pub(crate) use component::{artifact, manifest, of_functions};

use crate::support::{GET_FILM, knows_all, probe, raw, weft};
use futures_util::future::join_all;
use weft_tests::{
    artifacts::renamed,
    host::TestHost,
    process::HostProcess,
    setup::Setup,
    upstream::{Answer, FakeUpstream},
};

async fn host(upstream: &FakeUpstream) -> TestHost {
    let setup = Setup::new().limits("requests = 32\nidle = 8\ncrossings = 1000").one_backend(upstream.address(), "");
    setup.plugin("probe.wasm", &probe()).plugin("raw.wasm", &raw()).start().await
}

/// What the guest does; the status, the kind of problem and what it says.
const HARM: [(&str, u16, &str, &str); 12] = [
    ("/trap", 502, "plugin-trapped", "the plugin failed"),
    ("/loop", 504, "plugin-limit", "the plugin used up its CPU time (cpu = \"100ms\" in [limits] of plugin.toml)"),
    ("/grow", 502, "plugin-limit", "the plugin used up its memory (memory = \"16MiB\" in [limits] of plugin.toml)"),
    (
        "/big?bytes=300000",
        502,
        "plugin-limit",
        "the plugin's response is over its limit (response = \"256KiB\" in [limits] of plugin.toml)",
    ),
    // More than one crossing may bring, so that wasmtime ends it.
    (
        "/big?bytes=9600000",
        502,
        "plugin-limit",
        "the plugin's response is over its limit (response = \"256KiB\" in [limits] of plugin.toml)",
    ),
    ("/deadline", 504, "deadline", "the endpoint's time was over before there was an answer"),
    ("/wide-headers", 502, "plugin-response", "the plugin's response is not valid"),
    ("/raw/bad-header", 502, "plugin-response", "the plugin's response is not valid"),
    ("/raw/status/99", 502, "plugin-response", "the plugin's response is not valid"),
    ("/raw/crossings", 502, "plugin-trapped", "the plugin failed"),
    ("/raw/bad-offset", 502, "plugin-trapped", "the plugin failed"),
    ("/raw/bad-flags", 502, "plugin-trapped", "the plugin failed"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_harm_is_told_truthfully_with_plugin_version_and_request_id() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    for (path, status, kind, detail) in HARM {
        let problem = host.get(path).header("x-request-id", "harm-1").send().await.problem(status);
        assert_eq!(problem["type"], format!("urn:weft:problem:{kind}"), "{path}: {problem}");
        assert_eq!((&problem["detail"], &problem["request_id"]), (&detail.into(), &"harm-1".into()), "{path}");
        // What the host refuses of a finished answer is told without them.
        if kind != "plugin-response" {
            let plugin = if path.starts_with("/raw") { "raw" } else { "probe" };
            assert_eq!(
                (&problem["plugin"], &problem["version"]),
                (&plugin.into(), &"1.0.0".into()),
                "{path}: {problem}"
            );
        }
        // What went wrong inside is for the log alone.
        assert!(!problem.to_string().contains("wasm"), "{path}: {problem}");
    }
    assert_eq!(host.get("/version").send().await.ok().text(), "1.0.0");
    assert_eq!(host.get("/raw/version").send().await.ok().text(), "1.0.0");
    let traps = host.metrics().await;
    assert_eq!(traps.sum("weft_guest_traps_total", &[("plugin", "probe")]), 2.0, "the trap, and the growth");
    assert_eq!(traps.sum("weft_guest_traps_total", &[("plugin", "raw")]), 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_that_is_met_says_whose_it_is_in_the_answer_and_in_the_log() {
    let upstream = knows_all().await;
    let limits = "requests = 32\nidle = 8\nmemory = \"8MiB\"\nresponse = \"128KiB\"";
    let folder = Setup::new().limits(limits).one_backend(upstream.address(), "").plugin("probe.wasm", &probe()).write();
    let host = HostProcess::start(weft(), &folder).await;
    for (path, status, kind, bound) in [
        ("/loop", 504, "plugin-limit", "cpu = \"100ms\" in [limits] of plugin.toml"),
        ("/grow", 502, "host-limit", "memory = \"8MiB\" in [limits] of weft.toml"),
        ("/big?bytes=300000", 502, "host-limit", "response = \"128KiB\" in [limits] of weft.toml"),
    ] {
        let problem = host.web().get(path).send().await.problem(status);
        assert_eq!(problem["type"], format!("urn:weft:problem:{kind}"), "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().ends_with(&format!("({bound})")), "{path}: {problem}");
        let line = host.until_line(bound).await;
        assert!(line.contains("probe") && line.contains("1.0.0"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_of_hostile_guests_are_all_served() {
    let upstream = knows_all().await;
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/bad\"\n[[client]]\nname = \"good\"\nprefix = \"/good\"\n";
    let setup = Setup::new().clients(clients).limits("requests = 64\nidle = 8\nqueue = \"10s\"");
    let setup = setup.one_backend(upstream.address(), "").plugin("probe.wasm", &probe());
    let host = setup.plugin("good.wasm", &renamed(&probe(), "neighbour", "good")).start().await;
    let harm = (0..3).map(|worker| {
        let web = host.web().clone();
        async move {
            for turn in 0..8 {
                let (path, status, ..) = [HARM[0], HARM[1], HARM[2], HARM[3]][(worker + turn) % 4];
                assert_eq!(web.get(&format!("/bad{path}")).send().await.status, status, "{path}");
            }
        }
    });
    let harm = tokio::spawn(join_all(harm.collect::<Vec<_>>()));
    for turn in 0..100 {
        let path = ["/version", "/echo/a", "/outcome?film=1&person=1", "/people?ids=1,2,3"][turn % 4];
        host.get(&format!("/good{path}")).send().await.ok();
    }
    harm.await.unwrap();
    let metrics = host.metrics().await;
    assert_eq!(metrics.sum("weft_requests_total", &[("plugin", "neighbour"), ("status", "200")]), 100.0);
    assert_eq!(metrics.sum("weft_requests_total", &[("plugin", "neighbour")]), 100.0);
    assert_eq!(metrics.sum("weft_requests_total", &[("plugin", "probe")]), 24.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_that_is_none_is_the_plugins_fault() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let problem = host.get("/raw/bad-problem").send().await.problem(502);
    assert_eq!(problem["detail"], "a problem that is none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_granted_fail_one_by_one() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let all = host.get("/calls?calls=300").send().await.ok().text();
    assert_eq!(all, "300 OK");
    let some = host.get("/calls?calls=310").send().await.ok().text();
    assert!(some.starts_with("300 ") && some.contains("RESOURCE_EXHAUSTED") && some.contains("calls = 300"), "{some}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_host_sheds_with_503_and_retry_after() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::Stall);
    let setup = Setup::new()
        .limits("requests = 2\nidle = 0\nqueue = \"1ms\"")
        .one_backend(upstream.address(), "timeout = \"30s\"");
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    let _held: Vec<_> = (1..=2).map(|id| tokio::spawn(host.get(&format!("/films/{id}")).send())).collect();
    upstream.arrived(GET_FILM, 2).await;
    let shed = host.get("/version").send().await;
    shed.problem(503);
    assert!(shed.header("retry-after").is_some(), "{shed:?}");
}
