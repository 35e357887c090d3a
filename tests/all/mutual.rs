//! Without trust in the network: keys and tokens are fetched over TLS from issuers whose certificates are listed, and backends are
//! reached by mutual TLS.

use crate::support::{FOR_USER, probe};
use demo_services::proto::recommend::v1::ForUserResponse;
use serde_json::json;
use std::{net::SocketAddr, path::Path};
use weft_tests::{
    host::TestHost,
    process::run,
    setup::Setup,
    site::{Page, Site},
    tls::Authority,
    tokens::{AUDIENCE, ISSUER, Signer, Token, jwks},
    upstream::{Answer, FakeUpstream},
};

/// The issuer: keys, and tokens for backends.
async fn issuer(authority: &Authority) -> Site {
    let token = json!({ "access_token": "for-the-backend", "token_type": "Bearer", "expires_in": 60 }).to_string();
    let site = Site::start_tls(authority.server("127.0.0.1", None)).await;
    site.has("/jwks", Page::json(jwks(&[&Signer::new("k1", 1)]))).has("/token", Page::json(token));
    site
}

/// A backend that asks for a certificate of the same authority.
async fn backend(authority: &Authority) -> FakeUpstream {
    let backend = FakeUpstream::start_tls(authority.server("127.0.0.1", Some(authority))).await;
    backend.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    backend
}

/// A host that trusts nobody but the one authority, with a certificate of `own`.
fn setup(folder: &Path, authority: &Authority, own: &Authority, issuer: SocketAddr, backend: SocketAddr) -> Setup {
    let ca = authority.write(folder, "ca.pem");
    let [certificate, key] = own.issue(folder, "me");
    let secret = folder.join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let identity = format!(
        "[identity]\ntrust = \"zero\"\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\nalgorithms = [\"EdDSA\"]\n\
         jwks = \"https://{issuer}/jwks\"\njwks-ca = {ca:?}\n\
         [identity.exchange]\nurl = \"https://{issuer}/token\"\nca = {ca:?}\nclient-id = \"weft\"\nsecret = \"file:{}\"\n",
        secret.display()
    );
    let tls = format!("tls = {{ ca = {ca:?}, certificate = {certificate:?}, key = {key:?} }}\ntimeout = \"5s\"");
    let others = ["catalog.v1.Films", "people.v1.People", "reviews.v1.Reviews"];
    let setup =
        Setup::new().identity_tables(&identity).backend("recommend", &["recommend.v1.Recommend"], backend, &tls);
    setup.backend("others", &others, "127.0.0.1:1", &tls).plugin("probe.wasm", &probe())
}

async fn for_you(host: &TestHost) -> u16 {
    let ann = Token::of("ann").by(&Signer::new("k1", 1)).sign();
    host.get("/for-you").bearer(&ann).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_tokens_and_calls_travel_by_tls_and_the_backend_knows_the_host() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let (issuer, backend) = (issuer(&authority).await, backend(&authority).await);
    let host = setup(folder.path(), &authority, &authority, issuer.address(), backend.address()).start().await;
    assert_eq!(for_you(&host).await, 200);
    assert_eq!(backend.calls(FOR_USER)[0].meta("authorization"), Some("Bearer for-the-backend"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_the_backend_does_not_know_reaches_nothing() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let (issuer, backend) = (issuer(&authority).await, backend(&authority).await);
    let stranger = Authority::new("another's");
    let host = setup(folder.path(), &authority, &stranger, issuer.address(), backend.address()).start().await;
    assert_eq!(for_you(&host).await, 503);
    assert_eq!((backend.total(), issuer.count()), (0, 2), "keys and a token were had, but no call arrived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_an_issuer_that_nobody_vouches_for_are_not_taken() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let issuer = issuer(&Authority::new("another's")).await;
    let host = setup(folder.path(), &authority, &authority, issuer.address(), issuer.address()).start().await;
    assert_eq!(for_you(&host).await, 503);
    let state = host.admin("/v1/identity").send().await.ok().json();
    let failure = state["keys"][0]["failure"].as_str().unwrap();
    assert!(failure.contains("certificate"), "{failure}");
    assert_eq!((&state["keys"][0]["keys"], issuer.count()), (&json!([]), 0));
}

#[tokio::test]
async fn check_refuses_trust_zero_with_a_backend_in_the_clear() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let written = setup(folder.path(), &authority, &authority, nowhere, nowhere).write();
    let config = written.config();
    let check = async || run(crate::support::weft(), &["check", "--config", config.to_str().unwrap()]).await;
    assert_eq!(check().await.code, 0);
    let text = std::fs::read_to_string(&config).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let others = lines.iter().position(|line| *line == "[backend.others]").unwrap();
    let clear: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(n, line)| *n < others || !line.starts_with("tls ="))
        .map(|(_, l)| *l)
        .collect();
    std::fs::write(&config, clear.join("\n")).unwrap();
    let ended = check().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    let place = format!("weft.toml:{}: backend.others: ", others + 1);
    assert!(ended.err.contains(&place) && ended.err.contains("needs mutual TLS"), "{}", ended.err);
    assert!(!ended.err.contains("backend.recommend"), "{}", ended.err);
}
