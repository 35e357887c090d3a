//! Artifacts come and go under load: no request is lost, each is answered by the release that it began with, and what is bad or
//! half there changes nothing.

use crate::support::{GET_PERSON, PATIENT, person, probe, raw};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use weft_tests::{
    artifacts::{with_limit, with_manifest, with_version},
    host::{TestHost, refusal, version_of},
    setup::Setup,
    upstream::{Answer, Call, FakeUpstream, Gate},
    wait::{soon, until},
    web::{Reply, Web},
};

const SWAPS: u32 = 20;
const REQUESTS: usize = 10_000;
/// So few that the host lets them in however busy the machine is.
const WORKERS: usize = 8;

const VERSION: &str = "/raw/version";
/// The version, read before a call of the backend and told after it.
const HELD: &str = "/raw/held-version";

fn version(number: u32) -> String {
    format!("1.0.{number}")
}

/// Every other release uses its instances again.
fn release(number: u32) -> Bytes {
    let isolation = if number.is_multiple_of(2) { "reuse" } else { "request" };
    with_limit(&with_version(&raw(), &version(number)), "isolation", isolation)
}

/// People come at once, but not to requests of a marked trace: theirs come through the gate.
async fn upstream(gate: &watch::Sender<Gate>) -> FakeUpstream {
    let upstream = FakeUpstream::start().await;
    let gate = gate.subscribe();
    upstream.on(GET_PERSON, move |call| {
        let answer = Answer::message(&person(1));
        if is_marked(call) { answer.held(&gate.borrow()) } else { answer }
    });
    upstream
}

const MARK: &str = "00-00000000000000000000000000000777";

fn is_marked(call: &Call) -> bool {
    call.meta("traceparent").is_some_and(|trace| trace.starts_with(MARK))
}

async fn start(upstream: &FakeUpstream, artifact: &Bytes) -> TestHost {
    let setup = Setup::new().http("timeout = \"300s\"").one_backend(upstream.address(), PATIENT);
    setup.plugin("plugin.wasm", artifact).start().await
}

/// Sends a request, and returns when its call is held at the gate.
async fn under_way(host: &TestHost, gate: &Gate) -> JoinHandle<Reply> {
    let request = host.get(HELD).header("traceparent", &format!("{MARK}-0000000000000001-00"));
    let reply = tokio::spawn(request.send());
    gate.reached().await;
    reply
}

/// What the load knows, does and has seen.
#[derive(Default)]
struct Load {
    /// The newest version that is known to be live, and the newest that may be.
    live: AtomicU32,
    newest: AtomicU32,
    seen: Mutex<BTreeMap<u32, usize>>,
    done: watch::Sender<usize>,
    over: AtomicBool,
}

impl Load {
    /// One request after the other. Each has to be answered, by a version that was live in its time.
    async fn run(self: Arc<Self>, web: Web) {
        let versions: BTreeMap<String, u32> = (0..=SWAPS).map(|number| (version(number), number)).collect();
        for path in [HELD, VERSION].into_iter().cycle() {
            if self.over.load(SeqCst) {
                break;
            }
            let oldest = self.live.load(SeqCst);
            let text = web.get(path).send().await.ok().text();
            let number = versions[&text];
            let newest = self.newest.load(SeqCst);
            assert!((oldest..=newest).contains(&number), "{text} between {oldest} and {newest}");
            *self.seen.lock().unwrap().entry(number).or_default() += 1;
            self.done.send_modify(|done| *done += 1);
        }
    }

    async fn until_done(&self, more: usize) {
        let goal = *self.done.borrow() + more;
        soon("the load to go on", self.done.subscribe().wait_for(|done| *done >= goal)).await.unwrap();
    }
}

/// Swaps once, with a request under way across it.
async fn swap(host: &TestHost, load: &Load, gates: &watch::Sender<Gate>, number: u32) {
    let gate = Gate::new();
    gates.send_replace(gate.clone());
    let old = under_way(host, &gate).await;
    load.newest.store(number, SeqCst);
    host.folder.install("plugin.wasm", &release(number));
    host.until_live("raw", &version(number)).await;
    load.live.store(number, SeqCst);
    assert_eq!(host.get(VERSION).send().await.ok().text(), version(number));
    load.until_done(REQUESTS.div_ceil(SWAPS as usize)).await;
    assert!(!old.is_finished());
    gate.open();
    assert_eq!(old.await.unwrap().ok().text(), version(number - 1), "it ends on the release that it began with");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_swaps_under_load_lose_nothing_and_mix_nothing_up() {
    let gates = watch::Sender::new(Gate::new());
    let upstream = upstream(&gates).await;
    let host = start(&upstream, &release(0)).await;
    let load = Arc::<Load>::default();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(load.clone().run(host.web().clone()));
    }
    let swaps = async {
        load.until_done(1).await;
        for number in 1..=SWAPS {
            swap(&host, &load, &gates, number).await;
        }
    };
    tokio::select! {
        () = swaps => {}
        Some(failed) = workers.join_next() => failed.unwrap(),
    }
    load.over.store(true, SeqCst);
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }

    let seen = load.seen.lock().unwrap().clone();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), (0..=SWAPS).collect::<Vec<_>>(), "each served");
    assert!(seen.values().sum::<usize>() >= REQUESTS, "{seen:?}");
    let scrape = host.metrics().await;
    let statuses = scrape.find("weft_requests_total", &[]).filter_map(|sample| sample.label("status"));
    assert!(statuses.into_iter().all(|status| status == "200"), "{scrape:?}");
    assert_eq!(scrape.sum("weft_release_live", &[]), 1.0, "the old ones are retired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_is_removed_drains_and_one_that_comes_back_serves_again() {
    let gate = Gate::new();
    let upstream = upstream(&watch::Sender::new(gate.clone())).await;
    let host = start(&upstream, &release(0)).await;
    let old = under_way(&host, &gate).await;
    host.folder.remove("plugin.wasm");
    host.until_plugins("the release to retire", |plugins| version_of(plugins, "raw").is_none()).await;
    host.get(VERSION).send().await.problem(404);
    assert!(!old.is_finished());
    gate.open();
    assert_eq!(old.await.unwrap().ok().text(), version(0));

    host.folder.install("plugin.wasm", &release(0));
    host.until_live("raw", &version(0)).await;
    assert_eq!(host.get(VERSION).send().await.ok().text(), version(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_new_version_is_refused_and_the_old_one_goes_on() {
    let upstream = upstream(&watch::Sender::default()).await;
    let host = start(&upstream, &release(0)).await;
    let other_client = with_manifest(&release(1), |manifest| manifest["plugin"]["client"] = "watch".into());
    let cut = release(1).slice(..release(1).len() / 2);
    for (bad, reason) in [(cut, "not a WebAssembly component"), (other_client, "it is for client `watch`")] {
        host.folder.install("plugin.wasm", &bad);
        host.until_plugins(reason, |plugins| refusal(plugins, "plugin.wasm").is_some_and(|why| why.contains(reason)))
            .await;
        assert_eq!(version_of(&host.plugins().await, "raw"), Some(version(0)));
        assert_eq!(host.get(VERSION).send().await.ok().text(), version(0));
    }
    host.folder.install("plugin.wasm", &release(2));
    host.until_live("raw", &version(2)).await;
    assert_eq!(refusal(&host.plugins().await, "plugin.wasm"), None);
    assert_eq!(host.get(VERSION).send().await.ok().text(), version(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_in_pieces_counts_once_it_is_whole() {
    let upstream = upstream(&watch::Sender::default()).await;
    let host = start(&upstream, &probe()).await;
    let refused = async || host.metrics().await.sum("weft_release_refused_total", &[]);
    let whole = with_version(&probe(), "1.1.0");
    let cuts = [100, 10_000, whole.len() / 2, whole.len() - 1];
    for (looks, cut) in cuts.into_iter().enumerate() {
        host.folder.overwrite("plugin.wasm", &whole[..cut]);
        until("the host to look at it", async || (refused().await > looks as f64).then_some(())).await;
        assert_eq!(version_of(&host.plugins().await, "probe").as_deref(), Some("1.0.0"));
        assert_eq!(host.get("/version").send().await.ok().text(), "1.0.0");
    }
    host.folder.overwrite("plugin.wasm", &whole);
    host.until_live("probe", "1.1.0").await;
    assert_eq!(host.get("/version").send().await.ok().text(), "1.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_without_end_holds_up_no_other() {
    let upstream = upstream(&watch::Sender::default()).await;
    let host = start(&upstream, &release(0)).await;
    let endless = host.folder.path("endless.part");
    let writing = tokio::spawn(async move {
        for text in std::iter::repeat("more") {
            std::fs::write(&endless, text).unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    host.folder.install("plugin.wasm", &release(1));
    host.until_live("raw", &version(1)).await;
    assert!(!writing.is_finished());
    writing.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_artifacts_the_higher_version_serves() {
    let upstream = upstream(&watch::Sender::default()).await;
    let host = start(&upstream, &release(9)).await;
    host.folder.install("another.wasm", &release(10));
    host.until_live("raw", "1.0.10").await;
    assert_eq!(host.get(VERSION).send().await.ok().text(), "1.0.10");
    assert_eq!(host.plugins().await["plugins"].as_array().unwrap().len(), 1);

    host.folder.install("a-third.wasm", &with_version(&raw(), "1.0.10-rc.1"));
    host.folder.remove("another.wasm");
    host.until_live("raw", "1.0.10-rc.1").await;
    host.folder.remove("a-third.wasm");
    host.until_live("raw", "1.0.9").await;
    assert_eq!(host.get(VERSION).send().await.ok().text(), "1.0.9", "the operator's way back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_version_with_two_digests_is_refused_until_the_first_is_gone() {
    let upstream = upstream(&watch::Sender::default()).await;
    let host = start(&upstream, &release(0)).await;
    let other = with_manifest(&release(0), |manifest| manifest["config"]["version"] = "the other".into());
    host.folder.install("a-copy.wasm", &other);
    let reason = host.until_refused("a-copy.wasm").await;
    assert!(
        reason.contains("raw 1.0.0 is in service with another digest") && reason.contains("plugin.wasm"),
        "{reason}"
    );
    assert_eq!(host.get(VERSION).send().await.ok().text(), version(0));

    host.folder.remove("plugin.wasm");
    host.until_plugins("the copy to serve", |plugins| refusal(plugins, "a-copy.wasm").is_none()).await;
    assert_eq!(host.get(VERSION).send().await.ok().text(), "the other");
}
