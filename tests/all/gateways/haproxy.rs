//! `examples/gateway/haproxy.cfg`.

use super::{
    Ground, callers_are_who_their_tokens_say, hosts_are_told_the_truth, one_address_asks_so_often,
    requests_come_through, site, trusting, verifying,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rcgen::KeyPair;
use std::net::SocketAddr;
use weft_tests::{program::Program, tokens::Token};

/// An issuer that signs as HAProxy can verify.
struct Issuer(KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(KeyPair::generate().unwrap())
    }

    fn key(&self) -> EncodingKey {
        EncodingKey::from_ec_der(&self.0.serialize_der())
    }

    fn sign(&self, token: &Token) -> String {
        let header = Header { kid: Some("demo".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, token.claims(), &self.key()).unwrap()
    }

    /// Its keys as a file.
    fn jwks(&self, ground: &Ground) -> String {
        let mut jwk = Jwk::from_encoding_key(&self.key(), Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("demo".to_owned());
        let path = ground.path("jwks.json");
        std::fs::write(&path, serde_json::json!({ "keys": [jwk] }).to_string()).unwrap();
        path
    }
}

async fn started(ground: &Ground, issuer: &Issuer, http: SocketAddr, admin: SocketAddr) -> Option<Program> {
    let (both, public) = (ground.path("both.pem"), ground.path("issuer.pem"));
    let pem = ground.certificate.each_ref().map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(&both, pem).unwrap();
    std::fs::write(&public, issuer.0.public_key_pem()).unwrap();
    let port = format!("bind 127.0.0.1:{} ", ground.port);
    let pairs = [("bind :8443 ", &*port), ("/etc/gateway/tls/both.pem", &both), ("/etc/gateway/issuer.pem", &public)];
    weft_tests::haproxy::start(&ground.example("haproxy.cfg", http, admin, &pairs), ground.port).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_front_of_a_host_that_verifies_again() {
    let (ground, issuer) = (Ground::new(), Issuer::new());
    let host = verifying("ES256", &issuer.jwks(&ground)).await;
    let Some(_haproxy) = started(&ground, &issuer, host.address(), host.admin_address()).await else { return };
    callers_are_who_their_tokens_say(&ground, |token| issuer.sign(token)).await;
    requests_come_through(&ground, &host).await;
    one_address_asks_so_often(&ground).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_front_of_a_host_that_takes_its_word() {
    let (ground, issuer, host) = (Ground::new(), Issuer::new(), trusting().await);
    let Some(_haproxy) = started(&ground, &issuer, host.address(), host.admin_address()).await else { return };
    callers_are_who_their_tokens_say(&ground, |token| issuer.sign(token)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_tells_hosts_is_true() {
    let (ground, issuer, site, token) = (Ground::new(), Issuer::new(), site().await, Token::of("ann"));
    let Some(_haproxy) = started(&ground, &issuer, site.address(), site.address()).await else { return };
    let signed = issuer.sign(&token);
    let payload = signed.split('.').nth(1).unwrap().to_owned();
    hosts_are_told_the_truth(&ground, &site, &signed, Some(&payload)).await;
}
