//! Without trust in the network: keys and tokens are fetched over TLS from issuers whose certificates are listed, and backends are
//! reached by mutual TLS.

use crate::support::{FOR_USER, probe};
use axum::{Router, routing::get, routing::post};
use demo_services::{Data, Sizes, proto::recommend::v1::recommend_server::RecommendServer, recommend::Recommend};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::json;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Status,
    service::Routes,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use weft_tests::{
    host::TestHost,
    process::run,
    setup::Setup,
    tokens::{AUDIENCE, ISSUER, Signer, Token, jwks},
};

/// Somebody who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this machine, and its key.
    fn certify(&self, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn server(&self) -> ServerTlsConfig {
        let (certificate, key) = self.certify(ExtendedKeyUsagePurpose::ServerAuth);
        ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
    }
}

async fn serve(tls: ServerTlsConfig, routes: Routes) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Server::builder().tls_config(tls).unwrap().add_routes(routes);
    (address, tokio::spawn(async move { router.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() }))
}

/// The issuer: keys, and tokens for backends.
async fn issuer(tls: ServerTlsConfig) -> (SocketAddr, JoinHandle<()>) {
    let keys = jwks(&[&Signer::new("k1", 1)]);
    let token = json!({ "access_token": "for-the-backend", "token_type": "Bearer", "expires_in": 60 }).to_string();
    let router = Router::new().route("/jwks", get(async move || keys)).route("/token", post(async move || token));
    serve(tls, Routes::from(router)).await
}

/// What the backend is told as `authorization`.
type Told = Arc<Mutex<Vec<String>>>;

async fn backend(tls: ServerTlsConfig) -> (SocketAddr, JoinHandle<()>, Told) {
    let told = Told::default();
    let kept = told.clone();
    let note = move |request: Request<()>| -> Result<Request<()>, Status> {
        let authorization = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        kept.lock().unwrap().push(authorization.unwrap_or_default());
        Ok(request)
    };
    let data = Arc::new(Data::generate(Sizes { films: 10, people: 30, reviews: 10 }, 1).unwrap());
    let (address, serving) =
        serve(tls, Routes::new(RecommendServer::with_interceptor(Recommend::new(data), note))).await;
    (address, serving, told)
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A host that trusts nobody but the one authority, with a certificate of `own`.
fn setup(folder: &Path, authority: &Authority, own: &Authority, issuer: SocketAddr, backend: SocketAddr) -> Setup {
    let (certificate, key) = own.certify(ExtendedKeyUsagePurpose::ClientAuth);
    let ca = write(folder, "ca.pem", &authority.pem());
    let (certificate, key) = (write(folder, "me.pem", &certificate), write(folder, "me.key", &key));
    let secret = write(folder, "secret", "s3cret");
    let identity = format!(
        "[identity]\ntrust = \"zero\"\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\nalgorithms = [\"EdDSA\"]\n\
         jwks = \"https://{issuer}/jwks\"\njwks-ca = {ca:?}\n\
         [identity.exchange]\nurl = \"https://{issuer}/token\"\nca = {ca:?}\nclient-id = \"weft\"\nsecret = \"file:{secret}\"\n\
         [identity.forward]\nsubject = \"{}\"\n",
        demo_services::SUBJECT
    );
    let tls = format!("tls = {{ ca = {ca:?}, certificate = {certificate:?}, key = {key:?} }}\ntimeout = \"5s\"");
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let others = ["catalog.v1.Films", "people.v1.People", "reviews.v1.Reviews"];
    let setup =
        Setup::new().identity_tables(&identity).backend("recommend", &["recommend.v1.Recommend"], backend, &tls);
    setup.backend("others", &others, nowhere, &tls).plugin("probe.wasm", &probe())
}

async fn for_you(host: &TestHost) -> u16 {
    let ann = Token::of("ann").by(&Signer::new("k1", 1)).sign();
    host.get("/for-you").bearer(&ann).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_tokens_and_calls_travel_by_tls_and_the_backend_knows_the_host() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (issuer, _issuing) = issuer(authority.server()).await;
    let mutual = authority.server().client_ca_root(Certificate::from_pem(authority.pem()));
    let (backend, _serving, told) = backend(mutual).await;
    let host = setup(folder.path(), &authority, &authority, issuer, backend).start().await;
    assert_eq!(for_you(&host).await, 200);
    assert_eq!(*told.lock().unwrap(), ["Bearer for-the-backend"], "{FOR_USER}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_the_backend_does_not_know_reaches_nothing() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (issuer, _issuing) = issuer(authority.server()).await;
    let mutual = authority.server().client_ca_root(Certificate::from_pem(authority.pem()));
    let (backend, _serving, told) = backend(mutual).await;
    let host = setup(folder.path(), &authority, &Authority::new(), issuer, backend).start().await;
    assert_eq!(for_you(&host).await, 503);
    assert!(told.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_an_issuer_that_nobody_vouches_for_are_not_taken() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (issuer, _issuing) = issuer(Authority::new().server()).await;
    let host = setup(folder.path(), &authority, &authority, issuer, issuer).start().await;
    assert_eq!(for_you(&host).await, 503);
    let state = host.admin("/v1/identity").send().await.ok().json();
    let failure = state["keys"][0]["failure"].as_str().unwrap();
    assert!(failure.contains("certificate"), "{failure}");
    assert_eq!(state["keys"][0]["keys"], json!([]));
}

#[tokio::test]
async fn check_refuses_trust_zero_with_a_backend_in_the_clear() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
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
