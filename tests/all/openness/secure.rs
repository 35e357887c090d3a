//! TLS on the public listener: versions of HTTP, certificates of clients, and certificates that change while connections are open.

use crate::support::{probe, weft};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use weft_tests::{
    process::HostProcess,
    setup::Setup,
    tls::{Authority, connect},
    tokens::{AUDIENCE, ISSUER, Token},
    wait::{soon, until},
    web::Web,
};

/// An authority, and what it has issued for `localhost`.
struct Issued {
    folder: TempDir,
    authority: Authority,
    ca: PathBuf,
    server: [PathBuf; 2],
}

fn issued() -> Issued {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (ca, server) = (authority.write(folder.path(), "ca.pem"), authority.issue(folder.path(), "localhost"));
    Issued { folder, authority, ca, server }
}

impl Issued {
    fn setup(&self, more: &str) -> Setup {
        let [certificate, key] = &self.server;
        let lines = format!("tls = {{ certificate = {certificate:?}, key = {key:?}{more} }}");
        Setup::new().http(&lines).one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe())
    }

    /// The certificate that the host shows now.
    async fn shown(&self, address: SocketAddr) -> Vec<u8> {
        let stream = connect(address, &self.ca, &[]).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

/// One request of HTTP/1.1 on a connection that stays.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"1.0.0") {
        let count = soon("an answer", stream.read_buf(&mut said)).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&said));
    }
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_and_http_2_are_agreed_on_in_the_handshake() {
    let issued = issued();
    let host = issued.setup("").start().await;
    for (offered, expected) in
        [(&["h2", "http/1.1"][..], Some(&b"h2"[..])), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        let stream = connect(host.address(), &issued.ca, offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), expected, "{offered:?}");
    }
    let mut one = connect(host.address(), &issued.ca, &["http/1.1"]).await.unwrap();
    assert!(ask(&mut one).await.starts_with("HTTP/1.1 200"));
    assert_eq!(Web::tls(host.address(), &issued.ca, None).get("/version").send().await.ok().text(), "1.0.0");
    assert!(connect(host.address(), &issued.ca, &["h3"]).await.is_err(), "nothing in common");

    // Who doesn't speak TLS gets nothing out of the host, and keeps nobody away.
    let mut plain = TcpStream::connect(host.address()).await.unwrap();
    plain.write_all(b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = soon("the end", plain.read_to_end(&mut said)).await;
    assert!(!String::from_utf8_lossy(&said).contains("HTTP"), "{said:?}");
    let stranger = Authority::new("stranger").write(issued.folder.path(), "stranger.pem");
    assert!(Web::tls(host.address(), &stranger, None).get("/version").try_send().await.is_err());
    assert_eq!(host.metrics().await.sum("weft_connections_cut_total", &[("reason", "handshake")]), 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_a_handshake_and_does_not_go_on_is_cut_and_keeps_nobody_away() {
    let issued = issued();
    let [certificate, key] = &issued.server;
    let lines = format!("first-bytes = \"500ms\"\ntls = {{ certificate = {certificate:?}, key = {key:?} }}");
    let host = issued.setup("").http(&lines).start().await;
    // The head of a record that would hold a ClientHello, and the first bytes of that.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    for length in [0, 3, hello.len()] {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        stream.write_all(&hello[..length]).await.unwrap();
        let mut said = Vec::new();
        let waiting = soon("the end", stream.read_to_end(&mut said));
        let (_, good) = tokio::join!(waiting, Web::tls(host.address(), &issued.ca, None).get("/version").send());
        assert_eq!((said.len(), good.ok().text().as_str()), (0, "1.0.0"));
    }
    assert_eq!(host.metrics().await.sum("weft_connections_cut_total", &[("reason", "silent")]), 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_shown_to_new_connections_and_a_wrong_one_to_nobody() {
    let issued = issued();
    let folder = issued.setup("").write();
    let process = HostProcess::start(weft(), &folder).await;
    let said = format!("weft serves on https://{} (admin on http://{})", process.http, process.admin);
    process.until_line(&said).await;
    let first = issued.shown(process.http).await;
    let mut open = connect(process.http, &issued.ca, &["http/1.1"]).await.unwrap();
    ask(&mut open).await;

    let [certificate, _] = &issued.server;
    for wrong in ["no certificate", ""] {
        std::fs::write(certificate, wrong).unwrap();
        process.until_line("the new certificate can't be used, the old one goes on").await;
        assert_eq!(issued.shown(process.http).await, first);
    }
    // A certificate that is not of this key.
    let other = tempfile::tempdir().unwrap();
    let [foreign, _] = issued.authority.issue(other.path(), "localhost");
    std::fs::copy(foreign, certificate).unwrap();
    until("the wrong pair to be seen", async || {
        let seen = process.lines().iter().filter(|line| line.contains("can't be used")).count();
        (seen >= 3).then_some(())
    })
    .await;
    assert_eq!(issued.shown(process.http).await, first);

    issued.authority.issue(issued.folder.path(), "localhost");
    let is_new = async || (issued.shown(process.http).await != first).then_some(());
    until("the new certificate", is_new).await;
    ask(&mut open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_may_be_known_by_its_certificate() {
    let issued = issued();
    let (clients, folder) = (Authority::new("clients"), tempfile::tempdir().unwrap());
    let ca = clients.write(folder.path(), "clients.pem");
    let identity = format!(
        "[identity]\ntrust = \"full\"\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\ngateway-certificate = true\n"
    );
    let setup = issued.setup(&format!(", client-ca = {ca:?}")).identity_tables(&identity);
    let host = setup.start().await;
    let web = |own: Option<&[PathBuf; 2]>| Web::tls(host.address(), &issued.ca, own);
    let gateway = clients.issue(folder.path(), "gateway");
    let payload = Token::of("ann").payload();
    let claim = async |web: Web| web.get("/maybe").header("x-jwt-payload", &payload).send().await;
    assert_eq!(claim(web(Some(&gateway))).await.ok().text(), "ann");
    claim(web(None)).await.problem(401);
    assert_eq!(web(None).get("/version").send().await.ok().text(), "1.0.0", "others come without one");
    let stranger = Authority::new("stranger").issue(issued.folder.path(), "gateway");
    assert!(web(Some(&stranger)).get("/version").try_send().await.is_err(), "but not with a false one");
}

#[tokio::test]
async fn check_names_the_file_that_is_wrong() {
    let issued = issued();
    let folder = issued.setup("").write();
    let config = folder.config();
    let check = async || weft_tests::process::run(weft(), &["check", "--config", config.to_str().unwrap()]).await;
    assert_eq!(check().await.code, 0);
    let wrong = |path: &Path| std::fs::write(path, "rubbish").unwrap();
    wrong(&issued.server[1]);
    let ended = check().await;
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("http.tls") && ended.err.contains("localhost.key"), "{}", ended.err);
}
