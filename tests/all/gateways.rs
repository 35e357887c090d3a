//! Gateways in front of a host: the files of `examples/gateway` as they are, but for ports, addresses and paths, run by the real programs.

mod declared;
pub(crate) mod envoy;
mod haproxy;
pub(crate) mod nginx;

use crate::{
    event_streams::{live, parts_come_one_by_one, until_open},
    support::{hold_people, knows_all, probe},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};
use tempfile::TempDir;
use weft_tests::{
    host::TestHost,
    program, repository,
    setup::Setup,
    site::{Page, Site},
    tls::Authority,
    tokens::{AUDIENCE, ISSUER, Token},
    upstream::{FakeUpstream, Gate},
    wait::until,
    web::Web,
};

/// What gateways need on disk, and where they listen.
pub(crate) struct Ground {
    folder: TempDir,
    ca: PathBuf,
    certificate: [PathBuf; 2],
    pub(crate) port: u16,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = program::folder();
        let authority = Authority::new("test");
        let ca = authority.write(folder.path(), "ca.pem");
        let certificate = authority.issue(folder.path(), "localhost");
        Self { folder, ca, certificate, port: program::free() }
    }

    /// A file of `examples/gateway`, with this in place of what it says. Its two hosts are 127.0.0.1 and 127.0.0.2, where mostly nobody
    /// listens.
    fn example(&self, name: &str, http: SocketAddr, admin: SocketAddr, pairs: &[(&str, &str)]) -> String {
        let text = std::fs::read_to_string(repository().join("examples/gateway").join(name)).unwrap();
        let text = program::replaced(&text, pairs);
        let text = program::replaced(&text, &[("10.0.0.11", "127.0.0.1"), ("10.0.0.12", "127.0.0.2")]);
        let text = program::replaced(&text, &[(":8080", &format!(":{}", http.port()))]);
        text.replace("9090", &admin.port().to_string())
    }

    /// A client at this address.
    pub(crate) fn web(&self, last: u8) -> Web {
        Web::tls_from([127, 0, 0, last], SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), &self.ca)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// A host that verifies tokens again.
async fn verifying(algorithm: &str, jwks: &str) -> TestHost {
    host(&format!("algorithms = [\"{algorithm}\"]\njwks = {jwks:?}")).await
}

/// A host that takes the gateway's word.
async fn trusting() -> TestHost {
    host("trust = \"full\"\ntrusted-peers = [\"127.0.0.1\"]").await
}

async fn host(identity: &str) -> TestHost {
    let identity = format!("[identity]\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\n{identity}\n");
    let setup = Setup::new().identity_tables(&identity).http("trusted-peers = [\"127.0.0.1\"]");
    setup.one_backend(knows_all().await.address(), "").plugin("probe.wasm", &probe()).start().await
}

/// Who calls is known behind the gateway, by the token alone.
async fn callers_are_who_their_tokens_say(ground: &Ground, sign: impl Fn(&Token) -> String) {
    let web = ground.web(2);
    let ann = sign(&Token::of("ann").claim("plan", "gold"));
    let me = web.get("/me").bearer(&ann).send().await.ok();
    assert_eq!((&me.json()["subject"], &me.json()["claims"]["plan"]), (&"ann".into(), &"gold".into()));
    assert_eq!(me.version, http::Version::HTTP_2);
    assert_eq!(web.get("/maybe").send().await.ok().text(), "nobody");
    web.get("/me").send().await.problem(401);

    let eve = Token::of("eve").payload();
    let claims = |request: weft_tests::web::Request| request.header("x-jwt-payload", &eve);
    assert_eq!(claims(web.get("/maybe")).send().await.ok().text(), "nobody");
    assert_eq!(claims(web.get("/maybe")).bearer(&ann).send().await.ok().text(), "ann");
    let good = sign(&Token::of("ann"));
    let (head, signature) = good.split_at(good.len() - 20);
    let mut bad = vec![format!("{head}{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..])];
    for token in [
        Token::of("ann").expires_in(-90),
        Token::of("ann").claim("aud", "other"),
        Token::of("ann").claim("iss", "https://evil.example"),
    ] {
        bad.push(sign(&token));
    }
    for bad in bad {
        let status = web.get("/maybe").bearer(&bad).send().await.status;
        // Envoy forbids what is for another audience.
        assert!(matches!(status, 401 | 403), "{status}: {bad}");
    }
}

/// What a request and its answer keep on the way, although one of the two hosts that the gateway knows is away.
async fn requests_come_through(ground: &Ground, host: &TestHost) {
    let web = ground.web(3);
    let named = web.get("/version").header("x-request-id", "mine-1").send().await.ok();
    assert_eq!(named.header("x-request-id"), Some("mine-1"));
    let first = web.get("/version").send().await.ok();
    let second = web.get("/version").send().await.ok();
    assert!(first.header("x-request-id").is_some() && first.header("x-request-id") != second.header("x-request-id"));

    let body = "x".repeat(100_000);
    let echo = web.post("/echo/a%2Fb").body(body.clone()).send().await.ok().json();
    assert_eq!((&echo["body"], &echo["params"][0][1]), (&body.into(), &"a/b".into()));
    let large = web.post("/echo/a").body(vec![b'x'; 1_500_000]).send().await.problem(413);
    assert_eq!(large["type"], "urn:weft:problem:body-too-large");

    for _ in 0..60 {
        web.get("/version").send().await.ok();
    }
    let connections = host.metrics().await.sum("weft_connections", &[]);
    assert!(connections <= 12.0, "{connections} connections for requests one after the other");
}

/// A host with answers in parts, whose backend keeps one waiting.
async fn streaming() -> (TestHost, FakeUpstream, Gate) {
    let (upstream, gate) = (knows_all().await, Gate::new());
    hold_people(&upstream, &gate, 7);
    let setup =
        Setup::new().http("trusted-peers = [\"127.0.0.1\"]").one_backend(upstream.address(), "timeout = \"120s\"");
    let setup = setup.plugin("probe.wasm", &probe()).plugin("live.wasm", &live());
    (setup.more("[streams]\nheartbeat = \"1s\"").start().await, upstream, gate)
}

/// Each part when it is there, for longer than other answers may take; and a client that goes is gone here as well.
async fn parts_come_through(ground: &Ground, (host, upstream, gate): (&TestHost, &FakeUpstream, &Gate)) {
    let web = ground.web(9);
    parts_come_one_by_one(&web, upstream, gate).await;
    let mut stream = web.get("/open").header("accept", "text/event-stream").listen().await;
    stream.event().await.unwrap();
    for _ in 0..4 {
        assert_eq!(stream.block().await.unwrap(), ":");
    }
    drop(stream);
    until_open(host, 0.0).await;
}

/// One address that asks too often waits, and another does not.
async fn one_address_asks_so_often(ground: &Ground) {
    let web = ground.web(4);
    until("a 429", async || {
        let requests = (0..40).map(|_| web.get("/version").send());
        let replies = futures_util::future::join_all(requests).await;
        replies.iter().any(|reply| reply.status == 429).then_some(())
    })
    .await;
    ground.web(5).get("/version").send().await.ok();
}

/// A trace that a client says it is in.
const LIE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What a host is told of a request, where a site stands for the host.
async fn hosts_are_told_the_truth(ground: &Ground, site: &Site, token: &str, payload: Option<&str>) {
    let web = ground.web(6);
    let lies =
        web.get("/hello?a=b%20c").bearer(token).header("x-jwt-payload", "bHlpbmc").header("x-real-ip", "6.6.6.6");
    let lies = lies.header("forwarded", "for=6.6.6.6").header("x-forwarded-for", "6.6.6.6");
    let lies =
        lies.header("baggage", "user=admin").header("tracestate", "a=1").header("b3", "1").header("x-b3-flags", "1");
    let lies = lies.header("uber-trace-id", "1:1:0:3").header("traceparent", &format!("00-{LIE}-b7ad6b7169203331-01"));
    lies.header("x-forwarded-proto", "gopher").header("x-request-id", "mine-2").send().await.ok();
    let asked = site.asked().into_iter().find(|asked| asked.path == "/hello").unwrap();
    assert!(asked.target.ends_with("/hello?a=b%20c"), "{}", asked.target);
    let bearer = format!("Bearer {token}");
    for (name, value) in [
        ("authorization", Some(bearer.as_str())),
        ("x-jwt-payload", payload),
        ("x-forwarded-proto", Some("https")),
        ("x-request-id", Some("mine-2")),
        ("x-real-ip", None),
        ("forwarded", None),
        ("baggage", None),
        ("b3", None),
        ("x-b3-flags", None),
        ("uber-trace-id", None),
    ] {
        let found: Vec<_> = asked.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(found, value.into_iter().collect::<Vec<_>>(), "{name}");
    }
    // Envoy begins a trace of its own, with an empty state.
    assert!(!asked.header("traceparent").is_some_and(|parent| parent.contains(LIE)));
    assert!(asked.header("tracestate").is_none_or(str::is_empty));
    let lines = asked.headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap());
    let hops: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    assert_eq!(hops, ["6.6.6.6", "127.0.0.6"], "Weft reads from the end");
}

/// What stands for a host: ready, and there for every path.
async fn site() -> Site {
    let site = Site::start().await;
    site.otherwise(|_| Page::status(200, "here"));
    site
}
