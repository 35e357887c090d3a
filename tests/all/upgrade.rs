//! A rolling restart behind the gateways of the field: under load no request fails, and no POST is done twice.
//!
//! `WEFT_UPGRADE_REQUESTS=100000` asks for so many requests; both hosts are restarted, one after the other, until these are answered.

use crate::{
    fan::setup,
    support::{GET_FILM, RATE_FILM, film, weft},
};
use demo_services::proto::{
    catalog::v1::GetFilmRequest,
    reviews::v1::{RateFilmRequest, Rating},
};
use std::{
    collections::HashMap,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};
use tokio::task::JoinSet;
use weft_tests::{
    envoy, nginx,
    process::HostProcess,
    program::{free, replaced},
    setup::Folder,
    tokens::token,
    upstream::{Answer, FakeUpstream},
    web::Web,
};

const CLIENTS: usize = 16;

/// Two hosts at ports of their own, and the service behind them.
struct Site {
    upstream: FakeUpstream,
    hosts: Vec<(Option<HostProcess>, Folder)>,
    http: [u16; 2],
    admin: [u16; 2],
}

impl Site {
    async fn start() -> Self {
        let upstream = FakeUpstream::start().await;
        upstream
            .on(GET_FILM, |call| Answer::message(&film(call.decoded::<GetFilmRequest>().id)))
            .on(RATE_FILM, |_| Answer::message(&Rating::default()));
        let (http, admin) = ([free(), free()], [free(), free()]);
        let mut hosts = Vec::new();
        for place in 0..2 {
            let lines =
                "drain-delay = \"3s\"\ndrain = \"60s\"\nheader-timeout = \"1s\"\ntrusted-peers = [\"127.0.0.0/8\"]";
            let more = "timeout = \"30s\"\nconnect-timeout = \"10s\"";
            let folder = setup(&[upstream.address()], more)
                .http(lines)
                .limits("requests = 64\nidle = 8\nqueue = \"10s\"")
                .write();
            folder.change(|text| {
                let text = text.replacen("127.0.0.1:0", &format!("127.0.0.1:{}", http[place]), 1);
                text.replacen("127.0.0.1:0", &format!("127.0.0.1:{}", admin[place]), 1)
            });
            hosts.push((Some(HostProcess::start(weft(), &folder).await), folder));
        }
        Self { upstream, hosts, http, admin }
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

    /// A configuration of tests/all/upgrade with these ports.
    fn ports(&self, config: &str, gateway: u16, more: &[(&str, u16)]) -> String {
        let [one, other] = self.http;
        let ports = [("127.0.0.1:8080", gateway), ("127.0.0.1:8081", one), ("127.0.0.1:8082", other)];
        let ports = if more.is_empty() {
            ports.map(|(from, to)| (from.to_owned(), format!("127.0.0.1:{to}"))).to_vec()
        } else {
            Vec::new()
        };
        let more = more.iter().map(|(from, to)| (format!("port_value: {from}}}"), format!("port_value: {to}}}")));
        let pairs: Vec<_> = ports.into_iter().chain(more).collect();
        let pairs: Vec<_> = pairs.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        replaced(config, &pairs)
    }
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
async fn load(gateway: u16, site: &mut Site) -> Outcome {
    let (began, wanted) = (Instant::now(), wanted());
    let (count, film, is_over) =
        (Arc::<AtomicUsize>::default(), Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (count, film, is_over) = (count.clone(), film.clone(), is_over.clone());
        clients.spawn(async move {
            let (web, token) = (Web::new(([127, 0, 0, 1], gateway).into()), token("ann"));
            let mut failed = Vec::new();
            while !is_over.load(SeqCst) {
                let is_post = count.fetch_add(1, SeqCst) % 2 == 0;
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
        });
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

/// What is promised; and the figures, for who looks for them.
fn holds(what: &str, outcome: &Outcome, retries: usize, upstream: &FakeUpstream) {
    let mut done: HashMap<u32, usize> = HashMap::new();
    for call in upstream.calls(RATE_FILM) {
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_nginx_nothing_fails_and_nothing_is_done_twice() {
    let mut site = Site::start().await;
    let gateway = free();
    let config = site.ports(include_str!("upgrade/nginx.conf"), gateway, &[]);
    let Some(nginx) = nginx::start(&config, gateway).await else { return };
    let outcome = load(gateway, &mut site).await;
    let tries = std::fs::read_to_string(nginx.folder().join("tries.log")).unwrap();
    // `POST 200 127.0.0.1:8081, 127.0.0.1:8082 502, 200`
    let retries = tries.lines().filter(|line| line.contains(", ")).count();
    holds("nginx", &outcome, retries, &site.upstream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_envoy_nothing_fails_and_nothing_is_done_twice() {
    let mut site = Site::start().await;
    let (gateway, stats) = (free(), free());
    let ([one, other], [one_admin, other_admin]) = (site.http, site.admin);
    let ports = [
        ("8080", gateway),
        ("9901", stats),
        ("8081", one),
        ("8082", other),
        ("9091", one_admin),
        ("9092", other_admin),
    ];
    let config = site.ports(include_str!("upgrade/envoy.yaml"), gateway, &ports);
    let Some(_envoy) = envoy::start(&config, gateway).await else { return };
    let outcome = load(gateway, &mut site).await;
    let text =
        Web::new(([127, 0, 0, 1], stats).into()).get("/stats?filter=cluster.weft.upstream_rq_retry$").send().await;
    let retries = text.ok().text().trim().rsplit(' ').next().unwrap().parse().unwrap();
    holds("Envoy", &outcome, retries, &site.upstream);
}
