//! Who a client is: by its own address, by the word of listed peers, and by nobody else's.

use crate::support::probe;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use weft_tests::{
    host::TestHost,
    raw::{Connection, RawReply, exchange},
    setup::Setup,
    wait::{soon, until},
};

/// Each address may ask once.
async fn host(http: &str) -> TestHost {
    let setup = Setup::new().clients("[[client]]\nname = \"test\"\nprincipal-rate = \"1/h\"\n").http(http);
    setup.one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe()).start().await
}

/// Statuses of requests whose `x-forwarded-for` is this.
async fn statuses(host: &TestHost, forwarded: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for value in forwarded {
        statuses.push(host.get("/version").header("x-forwarded-for", value).send().await.status);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forwarded_counts_from_listed_peers_only() {
    let listed = host("trusted-peers = [\"127.0.0.0/8\", \"10.0.0.0/8\"]").await;
    let hops = [
        "1.1.1.1",
        "1.1.1.1",
        "2.2.2.2",
        "9.9.9.9, 2.2.2.2",
        "3.3.3.3, 10.1.1.1",
        "3.3.3.3",
        "2001:db8::1",
        "[2001:db8::1]:80",
    ];
    assert_eq!(statuses(&listed, &hops).await, [200, 429, 200, 429, 200, 429, 200, 429]);
    for others in ["", "trusted-peers = [\"10.0.0.0/8\"]"] {
        let unlisted = host(others).await;
        assert_eq!(statuses(&unlisted, &["1.1.1.1", "2.2.2.2"]).await, [200, 429], "both are 127.0.0.1");
    }
}

const REQUEST: &[u8] = b"GET /version HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";

/// A header of the PROXY protocol, version 2, with this command, family and addresses.
fn proxy(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20 | command, family], &length, addresses].concat()
}

/// On behalf of this address.
fn behind(ip: [u8; 4]) -> Vec<u8> {
    proxy(1, 0x11, &[&ip[..], &[127, 0, 0, 1, 0x12, 0x34, 0, 80]].concat())
}

async fn send(host: &TestHost, header: &[u8]) -> RawReply {
    exchange(host.address(), &[header, REQUEST].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_says_by_the_proxy_protocol_who_is_behind_it() {
    let host = host("trusted-peers = [\"127.0.0.1\"]\nproxy-protocol = true\nfirst-bytes = \"1s\"").await;
    for (ip, status) in [(1, 200), (1, 429), (2, 200), (1, 429)] {
        assert_eq!(send(&host, &behind([ip, 1, 1, 1])).await.status, status, "{ip}.1.1.1");
    }
    let health_check = proxy(0, 0, &[]);
    for _ in 0..3 {
        assert_eq!(
            send(&host, &health_check).await.status,
            200,
            "the balancer itself is nobody who could ask too often"
        );
    }
    // In pieces, and the request behind it in one with its end.
    let whole = [behind([3, 1, 1, 1]), REQUEST.to_vec()].concat();
    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    for piece in [&whole[..5], &whole[5..20], &whole[20..]] {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut said = String::new();
    soon("an answer", stream.read_to_string(&mut said)).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");

    let refused = [
        ("no header", Vec::new()),
        ("version 1", b"PROXY TCP4 4.4.4.4 127.0.0.1 1 80\r\n".to_vec()),
        ("an unknown version", [&behind([4, 1, 1, 1])[..12], &[0x11], &behind([4, 1, 1, 1])[13..]].concat()),
        ("too short for an address", proxy(1, 0x11, &[4; 4])),
        ("too long", proxy(1, 0x11, &[4; 60_000])),
    ];
    for (name, header) in &refused {
        let reply = send(&host, header).await;
        assert!(reply.text.is_empty(), "{name}: {reply:?}");
    }
    // One that says nothing is cut as any other.
    let mut silent = TcpStream::connect(host.address()).await.unwrap();
    assert_eq!(soon("the end", silent.read_to_end(&mut Vec::new())).await.unwrap(), 0);
    let scrape = host.metrics().await;
    assert_eq!(scrape.sum("weft_connections_cut_total", &[("reason", "silent")]), 1.0);
    assert!(scrape.sum("weft_connections_cut_total", &[("reason", "proxy-header")]) >= 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_word_of_others_by_the_proxy_protocol_is_no_http() {
    let host = host("trusted-peers = [\"10.0.0.0/8\"]\nproxy-protocol = true").await;
    assert_eq!(send(&host, &behind([1, 1, 1, 1])).await.status, 400);
    assert_eq!(send(&host, &[]).await.status, 200, "who is not listed comes without");
}

async fn from(ip: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((ip, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Whether the host serves this connection, which stays open.
async fn serves(stream: &mut TcpStream) -> bool {
    let request = b"GET /nothing HTTP/1.1\r\nhost: test\r\n\r\n";
    let mut some = [0; 16];
    stream.write_all(request).await.is_ok() && matches!(soon("an answer", stream.read(&mut some)).await, Ok(1..))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_may_hold_so_many_connections_and_others_are_not_kept_away() {
    let host = host("connections-per-ip = 3").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = from([127, 0, 0, 2], host.address()).await;
        assert!(serves(&mut stream).await);
        held.push(stream);
    }
    assert!(!serves(&mut from([127, 0, 0, 2], host.address()).await).await, "a fourth");
    assert!(serves(&mut from([127, 0, 0, 3], host.address()).await).await);
    assert_eq!(host.metrics().await.sum("weft_connections_cut_total", &[("reason", "per-ip")]), 1.0);
    held.pop();
    let again = async || serves(&mut from([127, 0, 0, 2], host.address()).await).await.then_some(());
    until("its place to be free again", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_bound_wait_until_others_end() {
    let host = host("connections = 2").await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = from([127, 0, 0, 2], host.address()).await;
        assert!(serves(&mut stream).await);
        open.push(stream);
    }
    let mut third = Connection::open(host.address()).await;
    third.send(b"GET /nothing HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(host.metrics().await.sum("weft_connections", &[]), 3.0, "two, and this one of the operator's");
    open.pop();
    assert_eq!(third.next().await.status, 404);
}
