//! Whoever asks too often harms nobody else: neither directly, nor among the callers of a gateway.

use crate::{
    fan::{fan, without_plugin},
    support::knows_all,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};
use weft_tests::{
    artifacts::with_manifest,
    gateway::{Gateway, Through},
    host::TestHost,
    tokens::token,
    upstream::FakeUpstream,
};

/// Who is not hostile, behind the gateway.
const OTHERS: std::ops::Range<u16> = 1..1000;
/// So many of them ask at once: a host under test can't do more, and sheds load.
const AT_ONCE: usize = 8;

/// What needs no backend.
const PATH: &str = "/films?ids=";

async fn host(client: &str, more: &str) -> (FakeUpstream, TestHost) {
    let upstream = knows_all().await;
    let plugin: Bytes = with_manifest(&fan(), |manifest| {
        let policy = manifest["endpoint"]["GET /films"].as_table_mut().unwrap();
        policy.extend([("auth".to_owned(), "optional".into()), ("timeout".to_owned(), "60s".into())]);
    });
    let setup =
        without_plugin(&[upstream.address()], "").plugin("fan.wasm", &plugin).http("trusted-peers = [\"127.0.0.1\"]");
    let setup = setup.limits("requests = 64\nidle = 8\nqueue = \"10s\"\nplugin-share = \"100%\"");
    let setup = setup.clients(&format!("[[client]]\nname = \"test\"\n{client}\n"));
    let host = setup.with_identity(more).start().await;
    (upstream, host)
}

/// The status of an answer to a caller who is not the gateway, and comes from this address.
async fn direct(host: &TestHost, from: [u8; 4], header: &str) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::from(from), 0))).unwrap();
    let mut stream = socket.connect(host.address()).await.unwrap();
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// How many answers have this status.
async fn with_status(status: u16, requests: impl Iterator<Item = Through>) -> usize {
    let answers = stream::iter(requests.map(Through::send)).buffer_unordered(AT_ONCE);
    answers.filter(|answer| std::future::ready(answer.status == status)).count().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_callers_behind_a_gateway_the_one_over_its_rate_keeps_nobody_away() {
    let (_upstream, host) = host("rate = \"1500/h\"\nprincipal-rate = \"3/h\"", "").await;
    let gateway = Gateway::open(host.address()).await;
    let hostile = (0..2000).map(|number| gateway.at("198.51.100.7", number, "GET", PATH));
    assert_eq!(with_status(200, hostile).await, 3);
    assert_eq!(with_status(200, OTHERS.map(|number| gateway.caller(number, "GET", PATH))).await, OTHERS.len());
    // One customer of IPv6 is one caller, whichever of its addresses it takes.
    let hostile = (0..100).map(|number| gateway.at(&format!("2001:db8:0:7::{number:x}"), number, "GET", PATH));
    assert_eq!(with_status(200, hostile).await, 3);
    assert_eq!(gateway.at("2001:db8:0:8::1", 0, "GET", PATH).send().await.status, 200);
    // The gateway itself is nobody, and what it forgot to say is no caller's fault.
    assert_eq!(with_status(200, (0..20).map(|number| gateway.unnamed(number, "GET", PATH))).await, 20);
    // Who has a name is counted by it, wherever they are.
    let ann = token("ann");
    let from = |number| gateway.at("198.51.100.7", number, "GET", PATH).bearer(&ann);
    assert_eq!(with_status(200, (0..10).map(from)).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_over_its_rate_keeps_nobody_away_directly() {
    let (_upstream, host) = host("rate = \"40/h\"\nprincipal-rate = \"3/h\"", "").await;
    let mut counts = [0; 10];
    for (place, count) in counts.iter_mut().enumerate() {
        // The first is hostile; what it says of itself counts for nothing.
        for number in 0..if place == 0 { 100 } else { 4 } {
            let header = format!("x-forwarded-for: 198.51.100.{number}\r\n");
            *count += usize::from(direct(&host, [127, 0, 1, place as u8], &header).await == 200);
        }
    }
    assert_eq!(counts, [3; 10]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_an_endpoint_refuses_takes_nothing_of_the_whole_client() {
    let upstream = knows_all().await;
    let plugin = with_manifest(&fan(), |manifest| {
        let policy = manifest["endpoint"]["GET /film/{id}"].as_table_mut().unwrap();
        policy.insert("rate".to_owned(), "2/h".into());
    });
    let clients = "[[client]]\nname = \"test\"\nrate = \"5/h\"\n";
    let host = without_plugin(&[upstream.address()], "").plugin("fan.wasm", &plugin).clients(clients).start().await;
    let ask = async |path: &str| host.get(path).send().await.status;
    let mut statuses = Vec::new();
    for path in ["/film/1"; 20].into_iter().chain([PATH; 4]) {
        statuses.push(ask(path).await);
    }
    let expected = [vec![200; 2], vec![429; 18], vec![200; 3], vec![429]].concat();
    assert_eq!(statuses, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_fails_to_prove_who_it_is_has_to_wait_and_others_have_not() {
    let (_upstream, host) = host("", "failure-rate = \"5/h\"").await;
    let gateway = Gateway::open(host.address()).await;
    let good = token("ann");
    assert_eq!(gateway.at("198.51.100.7", 0, "GET", PATH).bearer(&good).send().await.status, 200);
    let forged = |number: usize| {
        let address = if number.is_multiple_of(2) { "198.51.100.7" } else { "2001:db8:0:7::1" };
        gateway.at(address, number, "GET", PATH).bearer(&format!("{}x{number}", token("eve")))
    };
    let mut statuses = Vec::new();
    for number in 0..40 {
        let reply = forged(number).send().await;
        if reply.status == 429 {
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=720).contains(&wait), "{wait}");
            assert_eq!(reply.problem(429)["type"], "urn:weft:problem:rate-limited");
        }
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [vec![401; 10], vec![429; 30]].concat(), "five of each");
    let anew = token("bob");
    for (address, token, status) in [
        // Another address of the same customer.
        ("2001:db8:0:7:ffff::", &anew, 429),
        // A token that was good before needs no look, and those without one want none.
        ("198.51.100.7", &good, 200),
        ("198.51.100.8", &anew, 200),
        ("198.51.100.7", &anew, 200),
    ] {
        let reply = gateway.at(address, 0, "GET", PATH).bearer(token).send().await;
        assert_eq!(reply.status, status, "{address}");
    }
    assert_eq!(gateway.at("198.51.100.7", 0, "GET", PATH).send().await.status, 200);
    // Others are not kept away, and the gateway is nobody.
    let others =
        OTHERS.step_by(20).map(|number| gateway.caller(number, "GET", PATH).bearer(&token(&format!("u{number}"))));
    assert_eq!(with_status(200, others).await, OTHERS.step_by(20).len());
    let unnamed = (0..20).map(|number| gateway.unnamed(number, "GET", PATH).bearer("rubbish"));
    assert_eq!(with_status(401, unnamed).await, 20);
    // And directly.
    let header = |number| format!("authorization: Bearer rubbish{number}\r\n");
    for number in 0..20 {
        assert_eq!(direct(&host, [127, 0, 1, 1], &header(number)).await, if number < 5 { 401 } else { 429 });
    }
    assert_eq!(direct(&host, [127, 0, 1, 2], &header(0)).await, 401);
}
