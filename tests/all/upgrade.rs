//! A rolling restart behind the gateways of the field, as `examples/gateway` has them: two hosts whose backends are found through etcd. Under
//! load no request fails, and no POST is done twice.
//!
//! `WEFT_UPGRADE_REQUESTS=100000` asks for so many requests; both hosts are restarted, one after the other, until these are answered.

use crate::{
    fan,
    gateways::{self, Ground},
    support::{GET_FILM, RATE_FILM, film, weft},
};
use demo_services::proto::{
    catalog::v1::GetFilmRequest,
    reviews::v1::{RateFilmRequest, Rating},
};
use std::{
    collections::HashMap,
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};
use tokio::task::JoinSet;
use weft_tests::{
    dnsmasq::Dnsmasq,
    envoy,
    etcd::Etcd,
    nginx,
    process::HostProcess,
    program::{free, replaced},
    repository,
    setup::Folder,
    tokens::token,
    upstream::{Answer, FakeUpstream},
    web::Web,
};

const CLIENTS: usize = 16;

/// Where hosts are; both at one port, as a name of DNS has no ports.
const HOSTS: [[u8; 4]; 2] = [[127, 0, 0, 1], [127, 0, 0, 2]];

/// Two hosts, and the services behind them.
struct Site {
    services: [FakeUpstream; 2],
    _etcd: Etcd,
    hosts: Vec<(Option<HostProcess>, Folder)>,
    /// Of the first host.
    http: SocketAddr,
    admin: SocketAddr,
}

impl Site {
    async fn start() -> Option<Self> {
        let etcd = Etcd::start().await?;
        let services = [service().await, service().await];
        for service in &services {
            etcd.register("films", service.address()).await;
        }
        let [http, admin] = [free(), free()].map(|port| SocketAddr::from((HOSTS[0], port)));
        let mut hosts = Vec::new();
        for ip in HOSTS {
            let lines =
                "drain-delay = \"5s\"\ndrain = \"60s\"\nheader-timeout = \"1s\"\ntrusted-peers = [\"127.0.0.0/8\"]";
            let more = "timeout = \"30s\"\nconnect-timeout = \"10s\"";
            let folder = fan::found(&format!("etcd://{}/films?layout=kratos", etcd.address()), more)
                .http(lines)
                .limits("requests = 64\nidle = 8\nqueue = \"10s\"")
                .write();
            folder.change(|text| {
                let at = |port| SocketAddr::from((ip, port)).to_string();
                let text = text.replacen("127.0.0.1:0", &at(http.port()), 1);
                text.replacen("127.0.0.1:0", &at(admin.port()), 1)
            });
            hosts.push((Some(HostProcess::start(weft(), &folder).await), folder));
        }
        Some(Self { services, _etcd: etcd, hosts, http, admin })
    }

    /// Ends one host as an operator does, and starts another in its place.
    async fn restart(&mut self, place: usize) {
        let (host, folder) = &mut self.hosts[place];
        let old = host.take().unwrap();
        old.terminate();
        let (code, lines) = old.end().await;
        assert_eq!(code, 0, "{lines:#?}");
        *host = Some(HostProcess::start(weft(), folder).await);
    }
}

async fn service() -> FakeUpstream {
    let upstream = FakeUpstream::start().await;
    upstream
        .on(GET_FILM, |call| Answer::message(&film(call.decoded::<GetFilmRequest>().id)))
        .on(RATE_FILM, |_| Answer::message(&Rating::default()));
    upstream
}

/// What came of a load.
#[derive(Debug)]
struct Outcome {
    requests: usize,
    posts: u32,
    failed: Vec<String>,
    restarts: usize,
    seconds: f64,
}

fn wanted() -> usize {
    std::env::var("WEFT_UPGRADE_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// Half of the requests are POSTs, each for a film of its own. Goes on until there were enough, and both hosts were restarted.
async fn load(ground: &Ground, site: &mut Site) -> Outcome {
    let (began, wanted) = (Instant::now(), wanted());
    let (count, film, is_over) =
        (Arc::<AtomicUsize>::default(), Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
    let mut clients = JoinSet::new();
    for place in 0..CLIENTS {
        let web = ground.web(u8::try_from(place + 1).unwrap());
        clients.spawn(client(web, count.clone(), film.clone(), is_over.clone()));
    }
    let mut restarts = 0;
    while restarts < 2 || count.load(SeqCst) < wanted {
        site.restart(restarts % 2).await;
        restarts += 1;
    }
    is_over.store(true, SeqCst);
    let failed = clients.join_all().await.into_iter().flatten().collect();
    let (requests, posts) = (count.load(SeqCst), film.load(SeqCst));
    Outcome { requests, posts, failed, restarts, seconds: began.elapsed().as_secs_f64() }
}

async fn client(web: Web, count: Arc<AtomicUsize>, film: Arc<AtomicU32>, is_over: Arc<AtomicBool>) -> Vec<String> {
    let (token, mut failed) = (token("ann"), Vec::new());
    while !is_over.load(SeqCst) {
        let is_post = count.fetch_add(1, SeqCst).is_multiple_of(2);
        let request = if is_post {
            web.post(&format!("/film/{}/rating", film.fetch_add(1, SeqCst) + 1)).bearer(&token)
        } else {
            web.get("/film/1")
        };
        match request.try_send().await {
            Ok(reply) if reply.status == 200 => {}
            Ok(reply) => failed.push(format!("post: {is_post}: {reply:?}")),
            Err(error) => failed.push(format!("post: {is_post}: {error:?}")),
        }
    }
    failed
}

/// What is promised; and the figures, for who looks for them.
fn holds(what: &str, outcome: &Outcome, retries: usize, site: &Site) {
    let mut done: HashMap<u32, usize> = HashMap::new();
    for call in site.services.iter().flat_map(|service| service.calls(RATE_FILM)) {
        *done.entry(call.decoded::<RateFilmRequest>().film_id).or_default() += 1;
    }
    let Outcome { requests, posts, failed, restarts, seconds } = outcome;
    let (failures, twice) = (failed.len(), done.values().filter(|count| **count > 1).count());
    // Not by a macro, which the test harness would keep to itself.
    let _ = writeln!(
        std::io::stderr(),
        "rolling restart behind {what}: {requests} requests ({posts} POSTs), {restarts} restarts, {failures} failed, {twice} POSTs twice, \
         {retries} retries by the gateway, {seconds:.1} s"
    );
    assert!(failed.is_empty(), "{:#?}", failed.iter().take(5).collect::<Vec<_>>());
    assert_eq!((twice, done.len()), (0, *posts as usize), "each POST is done once");
    assert!(site.services.iter().all(|service| service.total() > 0), "both services were found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_nginx_nothing_fails_and_nothing_is_done_twice() {
    let Some(mut site) = Site::start().await else { return };
    let ground = Ground::new();
    // Its own answers apart, which this load would get: of rates, and that a connection has had its number of requests.
    let log =
        "log_format tries '$request_method $status $upstream_addr $upstream_status';\n    access_log tries.log tries;";
    let config = replaced(
        &gateways::nginx::handing_on(&ground, site.http),
        &[("rate=10r/s", "rate=100000r/s"), ("access_log off;", &format!("{log}\n    keepalive_requests 1000000;"))],
    );
    let Some(nginx) = nginx::start(&config, ground.port).await else { return };
    let outcome = load(&ground, &mut site).await;
    let tries = std::fs::read_to_string(nginx.folder().join("tries.log")).unwrap();
    // `POST 200 127.0.0.1:8081, 127.0.0.2:8081 502, 200`
    let retries = tries.lines().filter(|line| line.contains(", ")).count();
    holds("nginx", &outcome, retries, &site);
}

/// The hosts by their name, as the page about Envoy shows it.
fn by_name(text: &str, site: &Site, dns: SocketAddr) -> String {
    let page = std::fs::read_to_string(repository().join("docs/operators/neighbours/envoy.md")).unwrap();
    let shown = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let cluster = replaced(
        shown,
        &[
            ("port_value: 8080", &format!("port_value: {}", site.http.port())),
            ("port_value: 9090", &format!("port_value: {}", site.admin.port())),
            ("10.0.0.53, port_value: 53", &format!("{}, port_value: {}", dns.ip(), dns.port())),
        ],
    );
    let begin = text.find("  - name: weft\n    type: STATIC").unwrap();
    let end = begin + text[begin..].find("    typed_extension_protocol_options:").unwrap();
    format!("{}{cluster}{}", &text[..begin], &text[end..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_envoy_nothing_fails_and_nothing_is_done_twice() {
    let Some(mut site) = Site::start().await else { return };
    let records = HOSTS.map(|[a, b, c, d]| format!("host-record=weft.example,{a}.{b}.{c}.{d},1"));
    let Some(dns) = Dnsmasq::start(&records.join("\n")).await else { return };
    let (ground, stats) = (Ground::new(), free());
    let config = gateways::envoy::config(&ground, site.http, site.admin, stats);
    let config = by_name(&config, &site, dns.server());
    let rate = ("max_tokens: 100, tokens_per_fill: 100,", "max_tokens: 1000000, tokens_per_fill: 1000000,");
    let Some(_envoy) = envoy::start(&replaced(&config, &[rate]), ground.port).await else { return };
    let own = Web::new(([127, 0, 0, 1], stats).into());
    let count = async |name: &str| -> usize {
        let text = own.get(&format!("/stats?filter=cluster.weft.{name}$")).send().await.ok().text();
        text.trim().rsplit(' ').next().unwrap().parse().unwrap_or_default()
    };
    let both = async || (count("membership_healthy").await == 2).then_some(());
    weft_tests::wait::until("both hosts to be found by DNS, and ready", both).await;
    let outcome = load(&ground, &mut site).await;
    holds("Envoy", &outcome, count("upstream_rq_retry").await, &site);
}
