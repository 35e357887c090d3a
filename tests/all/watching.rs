//! What is watched: metrics as Prometheus takes them, alerts that fire, a dashboard of metrics that there are.

use crate::support::{knows_all, probe};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use weft_tests::{
    host::TestHost,
    metrics::Scrape,
    program::replaced,
    prometheus::{Prometheus, promtool},
    repository,
    setup::Setup,
    tokens::token,
    upstream::FakeUpstream,
    wait::until,
};

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn deployed(path: &str) -> PathBuf {
    repository().join("deploy").join(path)
}

/// A host that has something of everything to tell: good and failed requests, crashes, calls, keys, an artifact that was refused.
async fn busy(upstream: &FakeUpstream) -> TestHost {
    let setup = Setup::new().identity("").one_backend(upstream.address(), "").plugin("probe.wasm", &probe());
    // Whether a trace is sampled is theirs to say.
    let setup = setup.http("trusted-peers = [\"127.0.0.1\"]");
    let host = setup.plugin("bad.wasm", &b"bad"[..].into()).more("[telemetry]\nexemplars = true").start().await;
    for path in ["/version", "/films/1", "/films/1", "/trap", "/problem", "/nothing", "/my-people?ids=1,2"] {
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        host.get(path).bearer(&token("ann")).header("traceparent", &parent).send().await;
    }
    host.until_refused("bad.wasm").await;
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_nothing_to_say_of_the_metrics() {
    let upstream = knows_all().await;
    let host = busy(&upstream).await;
    let plain = host.admin("/metrics").send().await.ok().text();
    assert!(!plain.contains("trace_id"), "the older format has no exemplars");
    // What the tool reads is the older format; of the newer one it is told all but what that adds.
    let open = host.admin("/metrics").header("accept", OPENMETRICS).send().await.ok().text();
    let without = |line: &str| line.rsplit_once(" # {").map_or(line, |(sample, _)| sample).to_owned();
    let lines = open.lines().filter(|line| !line.starts_with("# EOF") && !line.starts_with("# UNIT")).map(without);
    let samples = |text: &str| {
        let names: BTreeSet<_> = Scrape::parse(text).0.into_iter().map(|sample| sample.name).collect();
        names
    };
    let open: String = lines.map(|line| line + "\n").collect();
    assert_eq!(samples(&plain), samples(&open));
    for text in [plain, openmetrics_as_text(&open)] {
        let Some(said) = promtool(&["check", "metrics"], Path::new("."), &text).await else { return };
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""), "{text}");
    }
}

/// Counters are called in OpenMetrics as their samples are but for `_total`, which the tool does not know.
fn openmetrics_as_text(text: &str) -> String {
    let mut counters = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|line| line.strip_suffix(" counter")) {
            counters.insert(name.to_owned());
        }
    }
    let renamed = |line: &str| {
        let mut words: Vec<String> = line.splitn(4, ' ').map(str::to_owned).collect();
        if line.starts_with("# ") && counters.contains(&words[2]) {
            words[2].push_str("_total");
        }
        words.join(" ") + "\n"
    };
    text.lines().map(renamed).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_all_of_it_traces_and_all() {
    let upstream = knows_all().await;
    let host = busy(&upstream).await;
    let config = fs::read_to_string(deployed("prometheus/prometheus.yaml")).unwrap();
    let target = format!("[\"{}\"]", host.admin_address());
    let pairs = [("[\"10.0.0.11:9090\", \"10.0.0.12:9090\"]", target.as_str()), ("15s", "1s")];
    let rules = deployed("prometheus/weft.rules.yaml");
    let Some(prometheus) = Prometheus::start(&replaced(&config, &pairs), &[&rules]).await else { return };
    let requests =
        async || prometheus.value("sum(weft_requests_total{plugin=\"probe\"})").await.filter(|sum| *sum >= 6.0);
    until("the host to be scraped", requests).await;
    assert_eq!(prometheus.value("up{job=\"weft\"}").await, Some(1.0));
    assert_eq!(prometheus.value("weft_guest_traps_total").await, Some(1.0));

    let exemplars = prometheus.exemplars("weft_request_duration_seconds_bucket").await;
    assert!(exemplars.iter().any(|one| one["labels"]["trace_id"] == TRACE), "{exemplars:?}");
    let metadata = prometheus.get("metadata").await;
    let (about, text) = (metadata.as_object().unwrap(), metadata.to_string());
    assert!(about.len() > 20 && about.values().all(|all| !all[0]["help"].as_str().unwrap().is_empty()), "{text}");
    // The version that Debian has leaves units out of what it tells.
    assert_eq!(about["weft_request_duration_seconds"][0]["type"], "histogram", "{text}");
    let targets = prometheus.get("targets").await;
    assert_eq!(targets["activeTargets"][0]["lastError"], "", "{targets}");
    let rules = prometheus.get("rules").await;
    assert_eq!(rules["groups"][0]["rules"].as_array().unwrap().len(), alerts().len(), "{rules}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_makes_series_from_outside() {
    let upstream = knows_all().await;
    let host = busy(&upstream).await;
    let series = async || {
        let text = host.admin("/metrics").send().await.ok().text();
        Scrape::parse(&text).0.into_iter().map(|sample| (sample.name, sample.labels)).collect::<BTreeSet<_>>()
    };
    // Each status that follows is there once.
    let hostile = async |n: u32| {
        let header = format!("x-{n}");
        host.get(&format!("/films/{n}?q={n}")).header(&header, &header).header("host", &header).send().await;
        host.get(&format!("/none/{n}")).header("x-client", &header).bearer(&header).send().await;
        host.web().request(&format!("M{n}"), &format!("/films/{n}")).header("user-agent", &header).send().await;
        host.get("/me").bearer(&header).header("traceparent", &header).send().await;
    };
    hostile(1000).await;
    let before = series().await;
    for n in 0..40 {
        hostile(n).await;
    }
    let added: Vec<_> = series().await.difference(&before).cloned().collect();
    assert!(added.is_empty(), "{added:?}");
}

#[tokio::test]
async fn each_alert_fires_when_it_should_and_not_before() {
    let folder = deployed("prometheus");
    let tests = fs::read_to_string(folder.join("weft.rules.test.yaml")).unwrap();
    for alert in alerts() {
        assert_eq!(
            tests.matches(&format!("alertname: {alert}")).count(),
            2,
            "{alert} has one test, and is quiet before"
        );
    }
    for arguments in [["check", "rules", "weft.rules.yaml"], ["test", "rules", "weft.rules.test.yaml"]] {
        let Some(said) = promtool(&arguments, &folder, "").await else { return };
        assert!(said.code == 0 && said.out.contains("SUCCESS"), "{said:?}");
    }
    let check = ["check", "config", "--syntax-only", "prometheus.yaml"];
    let Some(said) = promtool(&check, &folder, "").await else { return };
    assert_eq!(said.code, 0, "{said:?}");
}

fn alerts() -> Vec<String> {
    let rules = fs::read_to_string(deployed("prometheus/weft.rules.yaml")).unwrap();
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned);
    alerts.collect()
}

/// All that the host counts, and by which labels.
fn known() -> (BTreeSet<String>, BTreeSet<String>) {
    let read = |path| fs::read_to_string(repository().join(path)).unwrap();
    let metrics = read("core/src/telemetry/metrics.rs") + &read("core/src/telemetry/contracts.rs");
    let labels = read("core/src/telemetry/labels.rs");
    let names = metrics.split("r.register").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let ends = ["", "_total", "_seconds", "_bytes"].into_iter();
    let ends = ends.flat_map(|unit| ["", "_bucket", "_sum", "_count"].map(|end| format!("{unit}{end}")));
    let ends: Vec<String> = ends.collect();
    let names = names.flat_map(|name| ends.iter().map(move |end| format!("weft_{name}{end}"))).collect();
    let fields =
        labels.split("{ ").skip(1).filter_map(|rest| rest.split(" }").next()).flat_map(|list| list.split(", "));
    let others = ["backend", "state", "instance", "job", "le"].map(str::to_owned);
    (names, fields.map(str::to_owned).chain(others).collect())
}

/// What an expression names that nobody knows.
fn unknown(expression: &str) -> Vec<String> {
    let (names, labels) = known();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_word(c)).filter(|word| word.starts_with("weft_"));
    let mut unknown: Vec<_> = words.filter(|word| !names.contains(*word)).map(str::to_owned).collect();
    let inside = |open: &'static str, close: char| {
        let parts = expression.split(open).skip(1);
        parts.filter_map(move |rest| rest.split(close).next()).flat_map(|list| list.split(','))
    };
    let matched = inside("{", '}').map(|matcher| matcher.split(['=', '!']).next().unwrap());
    let grouped = inside("by (", ')');
    let used = matched.chain(grouped).map(str::trim).filter(|label| !label.is_empty());
    unknown.extend(used.filter(|label| !labels.contains(*label)).map(|label| format!("label {label}")));
    unknown
}

#[test]
fn alerts_and_dashboard_name_metrics_and_labels_that_there_are() {
    let rules = fs::read_to_string(deployed("prometheus/weft.rules.yaml")).unwrap();
    // Annotations are no expressions.
    let lines = rules
        .lines()
        .filter(|line| !line.contains("{{") && !line.contains("description:") && !line.contains("labels: {"));
    let rules: Vec<&str> = lines.collect();
    let dashboard: Value = serde_json::from_slice(&fs::read(deployed("grafana/weft.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let mut expressions: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(expressions.len() > 30);
    expressions.extend(rules.into_iter().map(str::to_owned));
    for expression in &expressions {
        assert!(unknown(expression).is_empty(), "{:?} in {expression}", unknown(expression));
    }
    for (wrong, found) in
        [("sum(weft_request_total)", 1), ("weft_connections{ports=\"1\"}", 1), ("sum by (clint) (x)", 1)]
    {
        assert_eq!(unknown(wrong).len(), found, "{wrong}");
    }
}
