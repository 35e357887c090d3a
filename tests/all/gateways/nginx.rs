//! `examples/gateway/nginx.conf`.

use super::{
    Ground, callers_are_who_their_tokens_say, hosts_are_told_the_truth, one_address_asks_so_often, parts_come_through,
    requests_come_through, site, streaming, trusting, verifying,
};
use std::net::SocketAddr;
use weft_tests::{
    program::{self, Program, free},
    repository,
    site::{Asked, Page, Site},
    tokens::Token,
    wait::until,
};

/// Which of its two servers listens at the ground's port.
enum Server {
    HandsTokensOn,
    AsksAnIdentityService(SocketAddr),
}

/// The example on this ground.
fn config(ground: &Ground, http: SocketAddr, server: &Server) -> String {
    let [certificate, key] = ground.certificate.each_ref().map(|path| path.to_str().unwrap());
    let (port, other) = (format!("listen 127.0.0.1:{}", ground.port), format!("listen 127.0.0.1:{}", free()));
    let (first, second, identity) = match server {
        Server::HandsTokensOn => (&port, &other, SocketAddr::from(([127, 0, 0, 1], free()))),
        Server::AsksAnIdentityService(identity) => (&other, &port, *identity),
    };
    ground.example(
        "nginx.conf",
        http,
        http,
        &[
            ("10.0.0.31:8080", &identity.to_string()),
            ("listen 8443", first),
            ("listen 9443", second),
            ("/etc/gateway/tls/cert.pem", certificate),
            ("/etc/gateway/tls/key.pem", key),
        ],
    )
}

/// The example that hands tokens on.
pub(crate) fn handing_on(ground: &Ground, http: SocketAddr) -> String {
    config(ground, http, &Server::HandsTokensOn)
}

async fn started(ground: &Ground, http: SocketAddr, server: &Server) -> Option<Program> {
    weft_tests::nginx::start(&config(ground, http, server), ground.port).await
}

/// An identity service. How it verifies is not what is shown here: it knows the token that it made.
async fn identity(good: &Token) -> Site {
    let (site, token, payload) = (Site::start().await, format!("Bearer {}", good.sign()), good.payload());
    site.on("/verify", move |asked: &Asked| match asked.header("authorization") {
        Some(said) if said == token => Page::status(200, "").header("x-jwt-payload", &payload),
        Some(_) => Page::status(401, ""),
        None => Page::status(200, ""),
    });
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_front_of_a_host_that_verifies_again() {
    let jwks = repository().join("examples/identity/jwks.json");
    let (ground, host) = (Ground::new(), verifying("EdDSA", jwks.to_str().unwrap()).await);
    let Some(_nginx) = started(&ground, host.address(), &Server::HandsTokensOn).await else { return };
    callers_are_who_their_tokens_say(&ground, Token::sign).await;
    requests_come_through(&ground, &host).await;
    one_address_asks_so_often(&ground).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_front_of_a_host_that_takes_its_word() {
    let identity = identity(&Token::of("ann").claim("plan", "gold")).await;
    let (ground, host) = (Ground::new(), trusting().await);
    let server = Server::AsksAnIdentityService(identity.address());
    let Some(_nginx) = started(&ground, host.address(), &server).await else { return };
    callers_are_who_their_tokens_say(&ground, Token::sign).await;
    requests_come_through(&ground, &host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_tells_hosts_is_true() {
    let token = Token::of("ann");
    let (site, identity) = (site().await, identity(&token).await);
    let ground = Ground::new();
    let Some(nginx) = started(&ground, site.address(), &Server::HandsTokensOn).await else { return };
    hosts_are_told_the_truth(&ground, &site, &token.sign(), None).await;
    drop(nginx);
    let gone = async || tokio::net::TcpStream::connect(("127.0.0.1", ground.port)).await.is_err().then_some(());
    until("nothing to be left of it", gone).await;
    let ground = Ground { port: free(), ..ground };
    let (server, site) = (Server::AsksAnIdentityService(identity.address()), super::site().await);
    let Some(_nginx) = started(&ground, site.address(), &server).await else { return };
    hosts_are_told_the_truth(&ground, &site, &token.sign(), Some(&token.payload())).await;
}

/// Other answers may take two seconds here, and streams go on, because comments come in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_an_answer_come_through_one_by_one() {
    let (ground, (host, upstream, gate)) = (Ground::new(), streaming().await);
    let text = program::replaced(&handing_on(&ground, host.address()), &[("read_timeout 35s", "read_timeout 3s")]);
    let Some(_nginx) = weft_tests::nginx::start(&text, ground.port).await else { return };
    parts_come_through(&ground, (&host, &upstream, &gate)).await;
}
