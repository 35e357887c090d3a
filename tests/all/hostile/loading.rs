//! What an artifact brings is read within bounds, and a host that dies of one comes back without it.

use super::component::{artifact, manifest, of_functions};
use crate::support::{knows_all, probe, raw, weft};
use bytes::Bytes;
use rustix::process::Signal;
use std::{fmt::Write as _, path::PathBuf};
use weft::model::Digest;
use weft_tests::{
    artifacts::{with_endpoint, with_methods, with_version},
    host::{refusal, version_of},
    metrics::Scrape,
    process::{HostProcess, run},
    setup::Setup,
    target,
    upstream::{Answer, FakeUpstream},
    wait::until,
    web::Web,
};

fn setup(upstream: &FakeUpstream) -> Setup {
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/test\"\n[[client]]\nname = \"bad\"\nprefix = \"/bad\"\n";
    Setup::new().clients(clients).one_backend(upstream.address(), "")
}

/// Where a host notes that it loads this artifact.
fn marker(artifact: &Bytes) -> PathBuf {
    target().join("compiled").join(format!("{}.loading", Digest::of(artifact).hex()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_of_ten_thousand_segments_is_refused_and_the_host_goes_on() {
    let upstream = knows_all().await;
    let deep = with_endpoint(&with_version(&probe(), "1.9.0"), &format!("GET {}", "/a".repeat(10_000)));
    let folder = setup(&upstream).plugin("probe.wasm", &probe()).plugin("deep.wasm", &deep).write();
    for _ in 0..2 {
        let host = HostProcess::start(weft(), &folder).await;
        let plugins = Web::admin(host.admin).get("/v1/plugins").send().await.ok().json();
        let reason = refusal(&plugins, "deep.wasm").unwrap();
        assert!(reason.contains("more than 32 segments"), "{reason}");
        // And at a swap.
        folder.install("probe.wasm", &with_version(&probe(), "1.1.0"));
        let web = host.web();
        until("the swap", async || (web.get("/test/version").send().await.text() == "1.1.0").then_some(())).await;
        folder.install("probe.wasm", &probe());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tens_of_thousands_of_endpoints_keep_nobody_waiting_and_make_no_series() {
    let upstream = knows_all().await;
    let mut text = manifest("many", "1s", "");
    for n in 0..40_000 {
        writeln!(text, "[endpoint.\"GET /{n}\"]").unwrap();
    }
    let many = artifact(&text, &of_functions(1));
    let host = setup(&upstream).plugin("a-many.wasm", &many).plugin("probe.wasm", &probe()).start().await;
    let reason = host.until_refused("a-many.wasm").await;
    assert!(reason.contains("more than 1000 endpoints"), "{reason}");
    assert_eq!(host.get("/test/version").send().await.ok().text(), "1.0.0");
    let scrape = async || host.metrics().await;
    let called = |scrape: &Scrape| scrape.find("weft_request_duration_seconds_count", &[("plugin", "probe")]).count();
    until("the request to be counted", async || (called(&scrape().await) == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_killed_at_a_good_artifact_serves_it_when_it_is_back() {
    let upstream = knows_all().await;
    let good = with_version(&probe(), "1.0.0-killed");
    let folder = setup(&upstream).write();
    for _ in 0..3 {
        let host = HostProcess::start(weft(), &folder).await;
        folder.install("probe.wasm", &good);
        let (web, marker) = (host.web(), marker(&good));
        let is_there = async || {
            let live = web.get("/test/version").send().await.text() == "1.0.0-killed";
            (live || marker.exists()).then_some(())
        };
        until("the load", is_there).await;
        host.signal(Signal::KILL);
        host.end().await;
        // As if it had died in the middle of it.
        std::fs::write(&marker, "1\n").unwrap();
        let host = HostProcess::start(weft(), &folder).await;
        assert_eq!(host.web().get("/test/version").send().await.ok().text(), "1.0.0-killed");
        assert!(!marker.exists(), "a whole load clears it");
        host.terminate();
        host.end().await;
        folder.remove("probe.wasm");
    }
}

/// A field of a message: these bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        out.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

const REFLECT: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_stopped_while_it_loads_has_not_died_of_what_it_loads() {
    let upstream = knows_all().await;
    // A load that lasts: the backend is asked for its messages, and doesn't answer.
    upstream.on(REFLECT, |_| Answer::Stall);
    let lasting = with_version(&with_methods(&raw(), &["catalog.v1.Films/GetFilm"], &[]), "1.0.0-stopped");
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/test\"\n";
    let folder = Setup::new().clients(clients).one_backend(upstream.address(), "descriptors = \"reflection\"").write();
    let marker = marker(&lasting);
    for (stops, before) in [None, Some("1\n")].into_iter().enumerate() {
        before.into_iter().for_each(|deaths| std::fs::write(&marker, deaths).unwrap());
        let host = HostProcess::start(weft(), &folder).await;
        folder.install("raw.wasm", &lasting);
        upstream.arrived(REFLECT, stops + 1).await;
        let count = before.map_or("1\n", |_| "2\n");
        let marked = async || (std::fs::read_to_string(&marker).ok()? == count).then_some(());
        until("it to be loaded", marked).await;
        host.terminate();
        let (code, lines) = host.end().await;
        assert_eq!(code, 0, "{lines:#?}");
        assert_eq!(std::fs::read_to_string(&marker).ok().as_deref(), before, "as it was before");
        folder.remove("raw.wasm");
    }
    std::fs::remove_file(&marker).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_or_a_backend_tells_of_messages_has_the_bounds_of_an_artifact() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("many.binpb");
    // A file of 1.5 million messages: two bytes each.
    let many = field(1, &[field(1, b"a.proto"), field(4, b"").repeat(1_500_000)].concat());
    std::fs::write(&file, &many).unwrap();
    let bare = with_methods(&raw(), &["catalog.v1.Films/GetFilm"], &[]);
    let refused = async |upstream: &FakeUpstream, lines: &str| {
        let setup = Setup::new().one_backend(upstream.address(), lines).plugin("raw.wasm", &bare);
        refusal(&setup.start().await.plugins().await, "raw.wasm").unwrap()
    };
    let upstream = knows_all().await;
    let told = refused(&upstream, &format!("descriptors = {file:?}")).await;
    assert!(told.contains("many.binpb: it has more than 20000 messages"), "{told}");
    assert!(told.contains("weft.toml:"), "{told}");
    std::fs::write(&file, vec![0; 17 << 20]).unwrap();
    let told = refused(&upstream, &format!("descriptors = {file:?}")).await;
    assert!(told.contains("more than 16777216 bytes"), "{told}");

    let answer = |files: &[Vec<u8>]| {
        let files: Vec<u8> = files.iter().flat_map(|file| field(1, file)).collect();
        Answer::Message(field(4, &files).into())
    };
    let many = [field(1, b"a.proto"), field(4, b"").repeat(1_500_000)].concat();
    let circle = ["a.proto", "b.proto"].map(|name| {
        let other = if name == "a.proto" { "b.proto" } else { "a.proto" };
        [field(1, name.as_bytes()), field(3, other.as_bytes())].concat()
    });
    for (files, reason) in [
        (vec![many], "it has more than 20000 messages"),
        (circle.to_vec(), "its files import one another in a circle"),
        (vec![[field(1, b"a.proto"), field(3, b"b.proto")].concat()], "it answers with others"),
    ] {
        let reply = answer(&files);
        upstream.on(REFLECT, move |_| reply.clone());
        let told = refused(&upstream, "descriptors = \"reflection\"").await;
        assert!(told.contains(reason) && told.contains("backend `fake`"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_two_hosts_have_died_of_is_refused_until_somebody_removes_the_mark() {
    let upstream = knows_all().await;
    let bad = with_version(&probe(), "1.0.0-deadly");
    let folder = setup(&upstream).plugin("a-bad.wasm", &bad).plugin("probe.wasm", &probe()).write();
    std::fs::create_dir_all(target().join("compiled")).unwrap();
    std::fs::write(marker(&bad), "2\n").unwrap();
    let host = HostProcess::start(weft(), &folder).await;
    let admin = Web::admin(host.admin);
    let plugins = async || admin.get("/v1/plugins").send().await.ok().json();
    let reason = refusal(&plugins().await, "a-bad.wasm").unwrap();
    assert!(reason.contains("died twice in a row") && reason.contains(".loading"), "{reason}");
    assert_eq!(version_of(&plugins().await, "probe").as_deref(), Some("1.0.0"));
    host.terminate();
    host.end().await;
    std::fs::remove_file(marker(&bad)).unwrap();
    folder.remove("probe.wasm");
    let host = HostProcess::start(weft(), &folder).await;
    assert_eq!(host.web().get("/test/version").send().await.ok().text(), "1.0.0-deadly");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_folder_of_compiled_code_is_of_no_use_is_not_ready_and_tries_again() {
    let upstream = knows_all().await;
    let folder = setup(&upstream).plugin("probe.wasm", &probe()).write();
    let compiled = folder.path("../compiled");
    folder.change(|text| text.replace(target().join("compiled").to_str().unwrap(), compiled.to_str().unwrap()));
    std::fs::write(&compiled, "a file").unwrap();
    let host = HostProcess::start(weft(), &folder).await;
    let admin = Web::admin(host.admin);
    let ready = async || admin.get("/readyz").send().await;
    let said = ready().await;
    assert_eq!((said.status, said.text().contains("is not a folder")), (503, true), "{said:?}");
    std::fs::remove_file(&compiled).unwrap();
    until("the host to be ready", async || (ready().await.status == 200).then_some(())).await;
    assert_eq!(host.web().get("/test/version").send().await.ok().text(), "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_folder_that_is_replaced_takes_nothing_with_it_and_one_that_is_a_file_is_found_by_the_check() {
    let upstream = knows_all().await;
    let folder = setup(&upstream).plugin("probe.wasm", &probe()).write();
    let host = HostProcess::start(weft(), &folder).await;
    let (plugins, aside) = (folder.path(""), folder.path("../aside"));
    let version = async || host.web().get("/test/version").send().await.text();
    std::fs::rename(&plugins, &aside).unwrap();
    std::fs::create_dir(&plugins).unwrap();
    host.until_line("was replaced by an empty one").await;
    assert_eq!(version().await, "1.0.0");
    std::fs::remove_dir(&plugins).unwrap();
    std::fs::write(folder.path("").to_str().unwrap().trim_end_matches('/'), "a file").unwrap();
    host.until_line("the plugin folder can't be read; what serves goes on").await;
    assert_eq!(version().await, "1.0.0");
    let config = folder.config();
    let checked = run(weft(), &["check", "--config", config.to_str().unwrap()]).await;
    assert!(checked.code == 2 && checked.err.contains("the plugin folder can't be read"), "{checked:?}");
    let host = HostProcess::start(weft(), &folder).await;
    let said = Web::admin(host.admin).get("/readyz").send().await;
    assert_eq!((said.status, said.text().contains("the plugin folder can't be read")), (503, true), "{said:?}");
}
