//! The operator's side: what the admin interface shows and changes, and how the process starts and ends.

use crate::support::{GET_FILM, PATIENT, film, hold_people, knows_all, probe, raw, rule, weft};
use demo_services::proto::catalog::v1::GetFilmRequest;
use rustix::process::Signal;
use serde_json::json;
use tokio::task::JoinHandle;
use weft_tests::{
    artifacts::with_version,
    process::{HostProcess, run},
    raw::Connection,
    setup::{Folder, Setup},
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
    web::{Reply, Web},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_interface_shows_health_plugins_backends_and_metrics() {
    let upstream = knows_all().await;
    let setup = Setup::new().one_backend(upstream.address(), PATIENT).plugin("probe.wasm", &probe());
    let host = setup.plugin("raw.wasm", &raw()).plugin("junk.wasm", &"junk".into()).start().await;
    let text = async |path: &str| host.admin(path).send().await.ok().text();
    assert_eq!(text("/livez").await, "alive\n");
    let readiness = host.admin("/readyz").send().await.ok().json();
    assert_eq!(readiness, json!({ "ready": true, "waits_for": [], "notes": [] }));

    let plugins = host.plugins().await;
    let [probe, raw] = plugins["plugins"].as_array().unwrap().as_slice() else { panic!("two plugins: {plugins}") };
    assert_eq!(
        (&probe["name"], &probe["isolation"], &raw["isolation"]),
        (&json!("probe"), &json!("request"), &json!("reuse"))
    );
    for (plugin, endpoint) in [(probe, "GET /films/{id}"), (raw, "POST /films/{slug}")] {
        assert_eq!(
            (&plugin["version"], &plugin["client"], &plugin["state"]),
            (&json!("1.0.0"), &json!("test"), &json!("live"))
        );
        assert!(plugin["endpoints"].as_array().unwrap().contains(&endpoint.into()), "{plugin}");
        assert_eq!(plugin["digest"].as_str().map(str::len), Some("sha256:".len() + 64), "{plugin}");
        assert!(plugin["loaded_at"].as_u64().is_some_and(|seconds| seconds > 1_700_000_000), "{plugin}");
        assert!(std::path::Path::new(plugin["file"].as_str().unwrap()).exists(), "{plugin}");
    }
    assert_eq!(plugins["refused"].as_array().map(Vec::len), Some(1), "{plugins}");
    assert_eq!((&plugins["requests_under_way"], &plugins["loads_under_way"]), (&json!(0), &json!(0)));

    host.get("/films/1").send().await.ok();
    let backends = host.admin("/v1/backends").send().await.ok().json();
    let endpoint = json!({
        "address": upstream.address().to_string(), "state": "ready", "weight": 1.0, "under_way": 0, "calls": 1, "failures": 0,
        "failing_since": null, "last_error": null,
    });
    let backend = json!({ "name": "fake", "concurrency": 20, "refused": 0, "away": false, "discovery": null, "endpoints": [endpoint] });
    assert_eq!(backends["backends"], json!([backend]));
    let scrape = host.metrics().await;
    let labels = [("client", "test"), ("endpoint", "GET /films/{id}"), ("plugin", "probe"), ("status", "200")];
    assert_eq!(scrape.sum("weft_requests_total", &labels), 1.0);
    assert_eq!(scrape.sum("weft_upstream_calls_total", &[("method", GET_FILM), ("code", "OK")]), 1.0);
    assert_eq!(scrape.sum("weft_endpoints", &[("backend", "fake"), ("state", "ready")]), 1.0);
    assert_eq!(scrape.sum("weft_release_live", &[]), 2.0);
    let plain = host.admin("/metrics").send().await.ok();
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(plain.text().contains("# TYPE weft_requests_total counter\n"), "{}", plain.text());
    // As Prometheus asks for it.
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let open = host.admin("/metrics").header("accept", accept).send().await.ok();
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text;"), "{open:?}");
    assert!(
        open.text().contains("# TYPE weft_requests counter\n") && open.text().ends_with("# EOF\n"),
        "{}",
        open.text()
    );

    let unknown = host.admin("/v2").send().await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("/v1/plugins"), "{unknown:?}");
    assert_eq!(host.get("/readyz").send().await.status, 404, "none of it is open to clients");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_the_token_makes_entities_untrue() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret\n").unwrap();
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |call| Answer::message(&film(call.decoded::<GetFilmRequest>().id)));
    let cached = rule(GET_FILM, "scope = \"public\"\ncache = { ttl = \"10m\", tags = [\"film:{id}\"] }");
    let setup =
        Setup::new().one_backend(upstream.address(), &format!("{PATIENT}\n{cached}")).plugin("probe.wasm", &probe());
    let host = setup.clone().admin(&format!("token = \"file:{}\"", secret.path().display())).start().await;
    let admin = Web::new(host.admin_address());
    let invalidate = async |token: Option<&str>, body: &'static str| {
        let request = admin.post("/v1/invalidate").body(body);
        let request = token.into_iter().fold(request, |request, token| request.header("authorization", token));
        request.send().await.status
    };
    // How many films were fetched, after looking at two of them.
    let fetched = async || {
        for id in [1, 2] {
            assert_eq!(host.get(&format!("/films/{id}")).send().await.ok().text(), format!("Film {id}"));
        }
        upstream.count(GET_FILM)
    };
    assert_eq!((fetched().await, fetched().await), (2, 2));
    for token in [None, Some("Bearer wrong"), Some("s3cret"), Some("Bearer ")] {
        assert_eq!(invalidate(token, r#"{"all": true}"#).await, 401, "{token:?}");
    }
    let token = Some("Bearer s3cret");
    for body in ["", "{", r#"{"tag": "film:1"}"#, r#"{"tags": "film:1"}"#] {
        assert_eq!(invalidate(token, body).await, 400, "{body}");
    }
    assert_eq!(fetched().await, 2, "nothing of this has changed anything");
    for (body, more) in [(r#"{"tags": ["film:2", "film:9"]}"#, 3), (r#"{"tags": []}"#, 3), (r#"{"all": true}"#, 5)] {
        assert_eq!(invalidate(token, body).await, 200, "{body}");
        assert_eq!(fetched().await, more, "{body}");
    }

    let without = setup.admin("tokens = []").start().await;
    let refused =
        Web::new(without.admin_address()).post("/v1/invalidate").header("authorization", "Bearer ").send().await;
    assert_eq!(refused.status, 403, "{refused:?}");
}

/// A process in front of a backend that keeps calls at the gate.
struct Process {
    process: HostProcess,
    gate: Gate,
    folder: Folder,
    _upstream: FakeUpstream,
}

async fn process(http: &str) -> Process {
    let (gate, upstream) = (Gate::new(), FakeUpstream::start().await);
    hold_people(&upstream, &gate, 1);
    let setup = Setup::new().http(http).one_backend(upstream.address(), PATIENT);
    let folder = setup.plugin("raw.wasm", &raw()).write();
    Process { process: HostProcess::start(weft(), &folder).await, gate, folder, _upstream: upstream }
}

const HELD: &str = "/raw/held-version";

impl Process {
    /// Sends a request, and returns when its call has arrived at the backend.
    async fn under_way(&self) -> JoinHandle<Result<Reply, reqwest::Error>> {
        let reply = tokio::spawn(self.process.web().get(HELD).try_send());
        self.gate.reached().await;
        reply
    }

    async fn assert_ends_well(self) -> Vec<String> {
        let (code, lines) = self.process.end().await;
        assert_eq!(code, 0, "{lines:?}");
        lines
    }
}

async fn until_not_ready(admin: &Web) {
    until("readiness to be 503", async || (admin.get("/readyz").send().await.status == 503).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sigterm_requests_under_way_finish_and_the_process_ends_well() {
    let host = process("drain = \"300s\"").await;
    let (http, admin) = (host.process.http, Web::admin(host.process.admin));
    // Nor do connections that are idle, or have said nothing yet, keep it.
    let (mut idle, mut silent) = (Connection::open(http).await, Connection::open(http).await);
    idle.send(b"GET /raw/version HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert_eq!(idle.next().await.body(), "1.0.0");
    let over_http_2 = tokio::spawn(Web::h2c(http).get(HELD).send());
    let mut busy = Connection::open(http).await;
    busy.send(format!("GET {HELD} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).await;
    let under_way = async || admin.get("/v1/plugins").send().await.ok().json()["requests_under_way"].as_u64();
    until("both", async || (under_way().await == Some(2)).then_some(())).await;

    host.process.terminate();
    until_not_ready(&admin).await;
    assert_eq!(admin.get("/livez").send().await.ok().text(), "alive\n");
    assert_eq!((idle.rest().await, silent.rest().await), (Vec::new(), Vec::new()));
    let refused = async || tokio::net::TcpStream::connect(http).await.is_err().then_some(());
    until("new connections to be refused", refused).await;

    host.gate.open();
    assert_eq!(over_http_2.await.unwrap().ok().text(), "1.0.0");
    let reply = busy.next().await;
    assert_eq!((reply.status, reply.body(), reply.header("connection")), (200, "1.0.0", Some("close")));
    host.assert_ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_process_ends_well_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let host = process("").await;
        host.process.signal(signal);
        host.assert_ends_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_accepting_for_the_drain_delay_and_a_second_signal_ends_at_once() {
    let host = process("drain-delay = \"300s\"\ndrain = \"300s\"").await;
    let stalled = host.under_way().await;
    host.process.terminate();
    until_not_ready(&Web::admin(host.process.admin)).await;
    let version = host.process.web().get("/raw/version").send().await.ok().text();
    assert_eq!(version, "1.0.0", "balancers may not know yet");
    host.process.terminate();
    let lines = host.assert_ends_well().await;
    assert!(lines.iter().any(|line| line.contains("a second signal: ending at once")), "{lines:?}");
    assert!(stalled.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_never_ends_is_cut_at_the_end_of_drain() {
    let host = process("drain = \"100ms\"").await;
    let stalled = host.under_way().await;
    host.process.terminate();
    let lines = host.assert_ends_well().await;
    assert!(lines.iter().any(|line| line.contains("still open at the end of `drain`")), "{lines:?}");
    assert!(stalled.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_folder_that_goes_away_takes_nothing_with_it() {
    let host = process("").await;
    let (folder, aside) = (host.folder.path(""), host.folder.config().with_file_name("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    host.process.until_line("what serves goes on").await;
    assert_eq!(host.process.web().get("/raw/version").send().await.ok().text(), "1.0.0");
    std::fs::rename(&aside, &folder).unwrap();
    host.folder.install("raw.wasm", &with_version(&raw(), "1.1.0"));
    let version = async || host.process.web().get("/raw/version").send().await.ok().text();
    until("the folder to be read again", async || (version().await == "1.1.0").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_told_by_its_key_and_ends_the_start() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    for section in ["http", "admin"] {
        let folder = Setup::new().write();
        let text = std::fs::read_to_string(folder.config()).unwrap();
        let free = format!("[{section}]\nlisten = \"127.0.0.1:0\"");
        assert!(text.contains(&free));
        std::fs::write(folder.config(), text.replace(&free, &format!("[{section}]\nlisten = \"{address}\""))).unwrap();
        let ended = run(weft(), &["serve", "--config", folder.config().to_str().unwrap()]).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        let expected = format!("error: can't listen on {address} ({section}.listen in the configuration): ");
        assert!(ended.err.contains(&expected) && ended.err.contains("is another program there already?"), "{ended:?}");
    }
}
