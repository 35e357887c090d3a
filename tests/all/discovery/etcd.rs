//! A real etcd, in the layouts of those who write into it: instances come and go under load, and etcd itself goes in every way.

use super::{ONCE, addresses, setup, source, until_addresses};
use crate::support::{knows_all, probe, weft};
use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};
use weft_tests::{
    etcd::{Etcd, kratos},
    host::TestHost,
    process,
    setup::Setup,
    tcp_proxy::{TcpProxy, Toxics},
    tls::Authority,
    upstream::FakeUpstream,
    wait::until,
    web::Web,
};

/// A host whose films are in kratos' layout at this etcd.
async fn host(etcd: SocketAddr) -> TestHost {
    setup(&format!("etcd://{etcd}/films?layout=kratos")).start().await
}

fn at(upstream: &FakeUpstream) -> String {
    upstream.address().to_string()
}

async fn put(etcd: &Etcd, upstream: &FakeUpstream) -> String {
    etcd.register("films", upstream.address()).await
}

/// Calls until it is told to end; every one of them has to be answered well.
pub(super) struct Load {
    ends: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn begin(host: &TestHost) -> Self {
        Self::begin_at(host.address())
    }

    pub(super) fn begin_at(address: SocketAddr) -> Self {
        let (ends, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (until_end, count) = (ends.clone(), done.clone());
        let task = tokio::spawn(async move {
            let web = Web::new(address);
            while !until_end.load(Relaxed) {
                let reply = web.get("/films/1").send().await;
                assert_eq!((reply.status, reply.text().as_str()), (200, "Film 1"));
                count.fetch_add(1, Relaxed);
            }
        });
        Self { ends, done, task }
    }

    /// So many more calls from now on.
    pub(super) async fn more(&self, calls: usize) {
        let before = self.done.load(Relaxed);
        until("calls to be answered", async || (self.done.load(Relaxed) >= before + calls).then_some(())).await;
    }

    fn count(&self) -> usize {
        self.done.load(Relaxed)
    }

    pub(super) async fn end(self) {
        self.more(20).await;
        self.ends.store(true, Relaxed);
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_come_and_go_under_load_and_no_call_is_lost() {
    let Some(etcd) = Etcd::start().await else { return };
    let (one, two) = (knows_all().await, knows_all().await);
    let first = put(&etcd, &one).await;
    let host = host(etcd.address()).await;
    let load = Load::begin(&host);
    load.more(20).await;
    let mut both = [at(&one), at(&two)];
    both.sort();
    for _ in 0..3 {
        let second = put(&etcd, &two).await;
        until_addresses(&host, &both).await;
        load.more(20).await;
        etcd.delete(&first).await;
        until_addresses(&host, &[at(&two)]).await;
        load.more(20).await;
        put(&etcd, &one).await;
        until_addresses(&host, &both).await;
        etcd.delete(&second).await;
        until_addresses(&host, &[at(&one)]).await;
    }
    // With a lease that ends it goes by itself.
    let lease = etcd.lease(2).await;
    let key = format!("/microservices/films/{}", two.address());
    etcd.ctl(&["put", &format!("--lease={lease}"), "--", &key, &kratos("films", two.address())]).await;
    until_addresses(&host, &both).await;
    until_addresses(&host, &[at(&one)]).await;
    // The last of all is no reason to have nobody.
    etcd.delete(&first).await;
    etcd.put("/microservices/films/x", "nonsense").await;
    until("the nonsense to be told", async || (source(&host).await["skipped"]["unreadable"] == 1).then_some(())).await;
    load.end().await;
    assert_eq!(addresses(&host).await, [at(&one)]);
    assert!(two.total() > 0);
}

/// Figures, for who looks for them: from when etcd went until what had changed meanwhile was known. None of the requests has failed, or the
/// load would have ended the test.
struct Outage {
    what: &'static str,
    before: usize,
    went: Instant,
}

impl Outage {
    fn begin(what: &'static str, load: &Load) -> Self {
        Self { what, before: load.count(), went: Instant::now() }
    }

    fn caught_up(self, load: &Load, back: Instant) {
        let (requests, away) = (load.count() - self.before, back.duration_since(self.went).as_secs_f64());
        let (what, seconds) = (self.what, back.elapsed().as_secs_f64());
        // Not by a macro, which the test harness would keep to itself.
        let _ = writeln!(
            std::io::stderr(),
            "etcd {what} for {away:.1} s under load: {requests} requests, 0 failed; what had changed was known {seconds:.1} s after its return"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_etcd_the_last_set_holds_and_what_has_changed_meanwhile_is_caught_up_with() {
    let Some(mut etcd) = Etcd::start().await else { return };
    let (one, two) = (knows_all().await, knows_all().await);
    let first = put(&etcd, &one).await;
    let proxy = TcpProxy::start(etcd.address()).await;
    let host = host(proxy.address()).await;
    let load = Load::begin(&host);
    let failing = async || until("etcd to be missed", async || source(&host).await["failing_since"].as_u64()).await;
    let mut both = [at(&one), at(&two)];
    both.sort();

    // Killed, and started again with what it had.
    let outage = Outage::begin("killed", &load);
    etcd.kill().await;
    failing().await;
    load.more(20).await;
    etcd.run().await;
    let back = Instant::now();
    let second = put(&etcd, &two).await;
    until_addresses(&host, &both).await;
    outage.caught_up(&load, back);

    // Stopped: nobody says that it is gone.
    let outage = Outage::begin("stopped (SIGSTOP)", &load);
    etcd.program().freeze();
    failing().await;
    load.more(20).await;
    etcd.program().thaw();
    let back = Instant::now();
    etcd.delete(&second).await;
    until_addresses(&host, &[at(&one)]).await;
    outage.caught_up(&load, back);

    // A partition, in which history is compacted.
    let outage = Outage::begin("behind a partition", &load);
    proxy.set(Toxics { blackhole: true, ..Toxics::default() });
    put(&etcd, &two).await;
    for number in 0..20 {
        etcd.put("/other", &number.to_string()).await;
    }
    etcd.compact().await;
    failing().await;
    load.more(20).await;
    assert_eq!(addresses(&host).await, [at(&one)]);
    let back = Instant::now();
    proxy.heal();
    proxy.cut();
    until_addresses(&host, &both).await;
    outage.caught_up(&load, back);

    // A bad network is slower, and no worse.
    proxy.set(Toxics { slicer: Some(3), bandwidth: Some(50_000), ..Toxics::default() });
    proxy.cut();
    etcd.delete(&first).await;
    until_addresses(&host, &[at(&two)]).await;
    load.end().await;
    assert!(
        host.metrics().await.sum("weft_discovery_failures_total", &[("backend", "fake"), ("source", "etcd")]) >= 3.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_layout_is_read_as_its_framework_writes_it_and_nonsense_beside_it_is_passed_over() {
    let Some(etcd) = Etcd::start().await else { return };
    let upstream = knows_all().await;
    let address = upstream.address();
    let micro = format!(
        r#"{{"name":"films","version":"latest","nodes":[{{"id":"films-1","address":"{address}","metadata":{{"protocol":"grpc"}}}}]}}"#
    );
    let grpc = format!(r#"{{"Op":0,"Addr":"{address}","Metadata":null}}"#);
    let layouts = [
        ("kratos", "/microservices/films/a", kratos("films", address)),
        ("go-zero", "films/7587870", address.to_string()),
        ("go-micro", "/micro/registry/films/films-1", micro),
        ("grpc", "films/1", grpc),
    ];
    for (layout, key, value) in layouts {
        etcd.put(key, &value).await;
        let (folder, _) = key.rsplit_once('/').unwrap();
        // Another service whose name begins alike, and what nobody should have written.
        etcd.put(&format!("{folder}-admin/1"), &value).await;
        etcd.put(&format!("{folder}/8"), &value).await;
        for (at, bad) in ["", "null", "{", "10.0.0.1:0", "10.0.0.1:99999", "\u{1}"].into_iter().enumerate() {
            etcd.put(&format!("{folder}/9{at}"), bad).await;
        }
        etcd.put(&format!("{folder}/99"), &"x".repeat(100 << 10)).await;
        let setup = setup(&format!("etcd://{}/films?layout={layout}", etcd.address()));
        let checked =
            process::run(weft(), &["check", "--connect", "--config", setup.write().config().to_str().unwrap()]).await;
        let expected = format!("backend fake: 1 endpoint\n    {address} weight=100");
        assert!(checked.code == 0 && checked.out.contains(&expected), "{layout}: {}{}", checked.out, checked.err);
        assert!(checked.out.contains("(doubled)") && checked.out.contains("(too-large)"), "{layout}: {}", checked.out);
        let host = setup.start().await;
        assert_eq!(addresses(&host).await, [address.to_string()], "{layout}");
        super::one_call(&host).await;
        etcd.ctl(&["del", "--prefix", folder]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flapping_is_taken_calmly_and_of_ten_thousand_entries_all_and_no_more() {
    let Some(etcd) = Etcd::start().await else { return };
    let upstream = knows_all().await;
    let host = host(etcd.address()).await;
    put(&etcd, &upstream).await;
    until_addresses(&host, &[at(&upstream)]).await;
    let load = Load::begin(&host);
    for number in 0..20 {
        let key = format!("/microservices/films/flap{}", number % 2);
        etcd.put(&key, &kratos("films", upstream.address())).await;
        etcd.delete(&key).await;
    }
    load.end().await;
    assert_eq!(addresses(&host).await, [at(&upstream)]);

    let many: Vec<_> = (0..10_100).map(|n| (format!("many/{n}"), format!("10.1.{}.{}:80", n / 250, n % 250))).collect();
    etcd.put_all(&many).await;
    let setup = setup(&format!("etcd://{}/many?layout=go-zero", etcd.address()));
    let checked =
        process::run(weft(), &["check", "--connect", "--config", setup.write().config().to_str().unwrap()]).await;
    assert!(
        checked.out.contains("backend fake: 10000 endpoints") && checked.out.contains("(too-many)"),
        "{}{}",
        checked.out,
        checked.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_unknown_to_etcd_or_names_it_wrongly_is_told_so() {
    let Some(etcd) = Etcd::start().await else { return };
    etcd.ctl(&["user", "add", "root:s3cret"]).await;
    etcd.ctl(&["user", "grant-role", "root", "root"]).await;
    let upstream = knows_all().await;
    put(&etcd, &upstream).await;
    etcd.ctl(&["auth", "enable"]).await;
    let endpoints = format!("etcd://{}/films?layout=kratos", etcd.address());
    let check = async |endpoints: &str, more: &str| {
        let folder = Setup::new().found_backend(endpoints, &format!("{ONCE}\n{more}")).write();
        std::fs::write(folder.path("right"), "s3cret\n").unwrap();
        std::fs::write(folder.path("wrong"), "guess").unwrap();
        let root = folder.path("").display().to_string();
        folder.change(|text| text.replace("ROOT/", &root));
        process::run(weft(), &["check", "--connect", "--config", folder.config().to_str().unwrap()]).await
    };
    let user = |file: &str| format!("discovery = {{ user = \"root\", password = \"file:ROOT/{file}\" }}");
    let right = check(&endpoints, &user("right")).await;
    assert!(right.out.contains("backend fake: 1 endpoint"), "{}{}", right.out, right.err);
    let wrong = check(&endpoints, &user("wrong")).await;
    assert!(wrong.code != 0 && wrong.err.contains("authentication failed"), "{}", wrong.err);
    assert!(check(&endpoints, "").await.err.contains("backend.fake.endpoints: endpoints can't be found"));
    for (endpoints, more, expected) in [
        ("etcd://127.0.0.1:2379", "", "expected a service"),
        ("etcd://127.0.0.1/films?layout=kratos", "", "there is no port"),
        ("etcd://127.0.0.1:2379/films?layout=consul", "", "expected ?layout=kratos, go-zero, go-micro or grpc"),
        ("etcd://127.0.0.1:2379/films?layout=kratos&ttl=1", "", "the options layout and prefix"),
        ("etcd://root:hidden@127.0.0.1:2379/films?layout=kratos", "", "credentials don't stand in a URL"),
        ("etcd://127.0.0.1:2379/films?layout=kratos", "discovery = { user = \"root\" }", "go together"),
        ("etcd://127.0.0.1:2379/films?layout=kratos", "discovery = { tls = { ca = \"none.pem\" } }", "none.pem"),
    ] {
        let checked = check(endpoints, more).await;
        assert!(checked.code != 0 && checked.err.contains(expected), "{endpoints}: {}", checked.err);
        assert!(!checked.err.contains("hidden"), "{}", checked.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_asked_by_tls_with_a_certificate_of_our_own_and_verified() {
    let (authority, other) = (Authority::new("ours"), Authority::new("others"));
    let Some(etcd) = Etcd::over_tls(&authority).await else { return };
    let upstream = knows_all().await;
    put(&etcd, &upstream).await;
    let folder = etcd.folder();
    let strange = other.write(folder, "other.pem");
    let [certificate, key] = ["localhost.pem", "localhost.key"].map(|file| folder.join(file));
    let endpoints = format!("etcd://localhost:{}/films?layout=kratos", etcd.address().port());
    let setup = |ca: &Path, mine: bool| {
        let mine = if mine { format!(", certificate = {certificate:?}, key = {key:?}") } else { String::new() };
        let more = format!("{ONCE}\ndiscovery = {{ wait = \"50ms\", tls = {{ ca = {ca:?}{mine} }} }}");
        Setup::new().found_backend(&endpoints, &more).plugin("probe.wasm", &probe())
    };
    let host = setup(&folder.join("ca.pem"), true).start().await;
    until_addresses(&host, &[at(&upstream)]).await;
    super::one_call(&host).await;
    for (ca, mine) in [(strange, true), (folder.join("ca.pem"), false)] {
        let config = setup(&ca, mine).write();
        let checked =
            process::run(weft(), &["check", "--connect", "--config", config.config().to_str().unwrap()]).await;
        assert!(checked.code != 0 && checked.err.contains("endpoints can't be found"), "{}", checked.err);
    }
}
