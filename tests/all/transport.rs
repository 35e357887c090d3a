//! On the way to backends: TLS and mutual TLS that are really verified, and several endpoints of which one may be dead.

use crate::support::{GET_FILM, GET_PERSON, PATIENT, RATE_FILM, film, hold_people, knows_all, probe};
use demo_services::proto::reviews::v1::Rating;
use futures_util::future::join_all;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use weft_tests::{
    host::TestHost,
    setup::Setup,
    tls::Authority,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
};

/// Certificates of two authorities, ours and a stranger, and a backend with one of ours.
struct Certificates {
    folder: TempDir,
    ours: Authority,
    stranger: Authority,
}

impl Certificates {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            ours: Authority::new("ours"),
            stranger: Authority::new("stranger"),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A film backend with a certificate for `name`.
    async fn backend(&self, name: &str, clients: Option<&Authority>) -> FakeUpstream {
        let upstream = FakeUpstream::start_tls(self.ours.server(name, clients)).await;
        upstream.on(GET_FILM, |_| Answer::message(&film(1)));
        upstream
    }
}

/// What becomes of a call to this backend over this TLS; a call to another backend goes well at the same time.
async fn outcome(backend: &FakeUpstream, tls: &str) -> Result<String, String> {
    let well = knows_all().await;
    let lines = format!("{tls}\nretry = {{ attempts = 1 }}\nbreaker = {{ k = 0 }}\n{PATIENT}");
    let others = ["people.v1.People", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let setup = Setup::new().backend("films", &["catalog.v1.Films"], backend.address(), &lines);
    let host = setup.backend("well", &others, well.address(), "").plugin("probe.wasm", &probe()).start().await;
    let outcome = host.get("/outcome?film=1&person=7").send().await.ok().json();
    assert_eq!(outcome["person"]["reply"], "Person 7", "{outcome}");
    let film = &outcome["film"];
    match film["reply"].as_str() {
        Some(title) => Ok(title.to_owned()),
        None => Err(format!("{}: {}", film["code"].as_str().unwrap(), film["message"].as_str().unwrap())),
    }
}

fn tls(ca: &Path, more: &str) -> String {
    format!("tls = {{ ca = {ca:?}{more} }}")
}

fn identity([certificate, key]: &[PathBuf; 2]) -> String {
    format!(", certificate = {certificate:?}, key = {key:?}")
}

#[track_caller]
fn assert_refused(outcome: &Result<String, String>, reason: &str) {
    let why = outcome.as_ref().unwrap_err();
    assert!(why.starts_with("UNAVAILABLE: ") && why.contains(reason), "no {reason:?} in {why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_verified_by_authority_and_name() {
    let certificates = Certificates::new();
    let ours = certificates.ours.write(certificates.path(), "ours.pem");
    let stranger = certificates.stranger.write(certificates.path(), "stranger.pem");
    let backend = certificates.backend("127.0.0.1", None).await;
    assert_eq!(outcome(&backend, &tls(&ours, "")).await.as_deref(), Ok("Film 1"));
    assert_refused(&outcome(&backend, &tls(&stranger, "")).await, "UnknownIssuer");
    // What it answers is no HTTP/2, or nothing.
    let without = outcome(&backend, "").await.unwrap_err();
    assert!(!without.contains("127.0.0.1"), "where backends are is nobody's business: {without}");

    let named = certificates.backend("films.internal", None).await;
    assert_eq!(outcome(&named, &tls(&ours, ", server-name = \"films.internal\"")).await.as_deref(), Ok("Film 1"));
    assert_refused(&outcome(&named, &tls(&ours, "")).await, "not valid for name");
    assert_eq!((backend.count(GET_FILM), named.count(GET_FILM)), (1, 1), "nothing was sent where nobody was trusted");

    let plain = knows_all().await;
    assert_refused(&outcome(&plain, &tls(&ours, "")).await, "UNAVAILABLE");
    assert_eq!(plain.total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_asks_for_a_certificate_gets_ours_or_nothing() {
    let certificates = Certificates::new();
    let ca = certificates.ours.write(certificates.path(), "ours.pem");
    let mine = certificates.ours.issue(certificates.path(), "weft");
    let others = certificates.stranger.issue(certificates.path(), "stranger");
    let backend = certificates.backend("127.0.0.1", Some(&certificates.ours)).await;
    assert_eq!(outcome(&backend, &tls(&ca, &identity(&mine))).await.as_deref(), Ok("Film 1"));
    // The backend says why and hangs up; which of the two is noticed first, nobody knows.
    assert_refused(&outcome(&backend, &tls(&ca, "")).await, "UNAVAILABLE");
    assert_refused(&outcome(&backend, &tls(&ca, &identity(&others))).await, "UNAVAILABLE");
    assert_eq!(backend.count(GET_FILM), 1);
}

const BALANCERS: [&str; 2] = ["round-robin", "p2c-ewma"];

async fn balanced(addresses: &[String], balance: &str) -> TestHost {
    let lines = format!("balance = \"{balance}\"\n{PATIENT}");
    let setup = Setup::new().identity("").one_backend(addresses.join(","), &lines);
    setup.plugin("probe.wasm", &probe()).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_spread_over_all_endpoints() {
    for balance in BALANCERS {
        let (one, other, gate) = (knows_all().await, knows_all().await, Gate::new());
        for upstream in [&one, &other] {
            hold_people(upstream, &gate, 1);
        }
        let host = balanced(&[&one, &other].map(|upstream| upstream.address().to_string()), balance).await;
        let requests = join_all((1..=16).map(|id| host.get(&format!("/people?ids={id}")).send()));
        let counts = async {
            let count = || one.count(GET_PERSON) + other.count(GET_PERSON);
            weft_tests::wait::until("all calls", async || (count() == 16).then_some(())).await;
            gate.open();
        };
        let (replies, ()) = tokio::join!(requests, counts);
        replies.into_iter().for_each(|reply| drop(reply.ok()));
        let least = one.count(GET_PERSON).min(other.count(GET_PERSON));
        assert!(least >= if balance == "round-robin" { 8 } else { 4 }, "{balance}: {least} of 16");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_beside_a_live_one_loses_no_call() {
    for balance in BALANCERS {
        let live = knows_all().await;
        live.on(RATE_FILM, |_| Answer::message(&Rating { your_ratings: 1, ..Default::default() }));
        let dead = FakeUpstream::nowhere().await;
        let host = balanced(&[dead.to_string(), live.address().to_string()], balance).await;
        for id in 1..=20 {
            assert_eq!(host.get(&format!("/films/{id}")).send().await.ok().text(), format!("Film {id}"), "{balance}");
            // Not safe, but never sent to the dead one either.
            host.post("/films/1/two-ratings").bearer(&token("ann")).send().await.ok();
        }
        assert_eq!((live.count(GET_FILM), live.count(RATE_FILM)), (20, 40), "{balance}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_dies_between_calls_loses_none() {
    for balance in BALANCERS {
        let (one, other) = (knows_all().await, knows_all().await);
        let host = balanced(&[&one, &other].map(|upstream| upstream.address().to_string()), balance).await;
        let ask = async |ids: std::ops::Range<u32>| {
            for id in ids {
                assert_eq!(
                    host.get(&format!("/films/{id}")).send().await.ok().text(),
                    format!("Film {id}"),
                    "{balance}"
                );
            }
        };
        ask(0..20).await;
        one.stop().await;
        ask(20..60).await;
        assert!(other.count(GET_FILM) >= 40);
    }
}
