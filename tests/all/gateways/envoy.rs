//! `examples/gateway/envoy.yaml`.

use super::{
    Ground, callers_are_who_their_tokens_say, hosts_are_told_the_truth, one_address_asks_so_often, parts_come_through,
    requests_come_through, site, streaming, trusting, verifying,
};
use std::net::SocketAddr;
use weft_tests::{
    program::{self, Program, free},
    repository,
    tokens::Token,
    wait::until,
};

/// The example on this ground, whose own page is at this port.
pub(crate) fn config(ground: &Ground, http: SocketAddr, admin: SocketAddr, own: u16) -> String {
    let [certificate, key] = ground.certificate.each_ref().map(|path| path.to_str().unwrap());
    let (port, own, collector) = (ground.port.to_string(), own.to_string(), free().to_string());
    let jwks = repository().join("examples/identity/jwks.json");
    ground.example(
        "envoy.yaml",
        http,
        admin,
        &[
            ("port_value: 8080", &format!("port_value: {}", http.port())),
            ("10.0.0.21", "127.0.0.1"),
            ("4317", &collector),
            ("9901", &own),
            ("8443", &port),
            ("0.0.0.0", "127.0.0.1"),
            ("/etc/gateway/tls/cert.pem", certificate),
            ("/etc/gateway/tls/key.pem", key),
            ("/etc/gateway/jwks.json", jwks.to_str().unwrap()),
        ],
    )
}

/// Once it has found out which hosts are ready.
async fn started(ground: &Ground, http: SocketAddr, admin: SocketAddr) -> Option<Program> {
    found_its_host(ground, &config(ground, http, admin, free())).await
}

async fn found_its_host(ground: &Ground, text: &str) -> Option<Program> {
    let envoy = weft_tests::envoy::start(text, ground.port).await?;
    let web = ground.web(7);
    until("Envoy to find its host", async || (web.get("/version").send().await.status == 200).then_some(())).await;
    Some(envoy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_front_of_a_host_that_verifies_again() {
    let jwks = repository().join("examples/identity/jwks.json");
    let (ground, host) = (Ground::new(), verifying("EdDSA", jwks.to_str().unwrap()).await);
    let Some(_envoy) = started(&ground, host.address(), host.admin_address()).await else { return };
    callers_are_who_their_tokens_say(&ground, Token::sign).await;
    requests_come_through(&ground, &host).await;
    one_address_asks_so_often(&ground).await;

    // Traces begin in Envoy, and go on in the host.
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traced = ground.web(8).get("/version").header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01"));
    let parent = traced.send().await.ok().header("traceparent").unwrap().to_owned();
    assert!(!parent.contains(trace), "{parent}");
    let in_the_query = format!("/maybe?access_token={}", Token::of("ann").sign());
    assert_eq!(ground.web(8).get(&in_the_query).send().await.ok().text(), "nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_front_of_a_host_that_takes_its_word() {
    let (ground, host) = (Ground::new(), trusting().await);
    let Some(_envoy) = started(&ground, host.address(), host.admin_address()).await else { return };
    callers_are_who_their_tokens_say(&ground, Token::sign).await;
}

/// Other answers may take a second here, and streams go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_an_answer_come_through_one_by_one() {
    let (ground, (host, upstream, gate)) = (Ground::new(), streaming().await);
    let text = config(&ground, host.address(), host.admin_address(), free());
    let text = program::replaced(&text, &[("timeout: 35s", "timeout: 1s")]);
    let Some(_envoy) = found_its_host(&ground, &text).await else { return };
    parts_come_through(&ground, (&host, &upstream, &gate)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_tells_hosts_is_true() {
    let (ground, site, token) = (Ground::new(), site().await, Token::of("ann"));
    let Some(_envoy) = started(&ground, site.address(), site.address()).await else { return };
    hosts_are_told_the_truth(&ground, &site, &token.sign(), Some(&token.payload())).await;
}
