//! Attacks in HTTP/1: each is answered rightly or cut within its bound, and others are served meanwhile.

use crate::support::probe;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_tests::{
    artifacts::{with_limit, with_manifest},
    host::TestHost,
    neighbour::beside,
    raw::{Connection, exchange, narrow, trickle},
    setup::Setup,
    wait::{soon, until},
};

/// More than the kernel takes off the host's hands on this machine.
const LARGE: usize = 6_000_000;
const PAUSE: Duration = Duration::from_millis(50);

async fn host(http: &str) -> TestHost {
    let patient = with_manifest(&with_limit(&probe(), "response", "8MiB"), |manifest| {
        manifest["endpoint"]["POST /echo/{name}"].as_table_mut().unwrap().insert("timeout".into(), "500ms".into());
        manifest["limits"].as_table_mut().unwrap().insert("cpu".into(), "1s".into());
    });
    Setup::new().http(http).one_backend("127.0.0.1:1", "").plugin("probe.wasm", &patient).start().await
}

/// Bounds that bite soon, and hurt nobody who goes on without pauses.
async fn strict() -> TestHost {
    let bounds = "first-bytes = \"1s\"\nheader-timeout = \"1s\"\nwrite-timeout = \"1s\"\nidle = \"10s\"";
    host(bounds).await
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").into_bytes()
}

/// Connections cut for this reason.
async fn cut(host: &TestHost, reason: &str) -> f64 {
    host.metrics().await.sum("weft_connections_cut_total", &[("reason", reason)])
}

/// Until the host has closed the connection; what it said before.
async fn closed(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = soon("the host to close the connection", stream.read_to_end(&mut said)).await;
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_or_too_slowly_are_cut_while_others_are_served() {
    let host = strict().await;
    let address = host.address();
    let silent = async || closed(TcpStream::connect(address).await.unwrap()).await;
    let starts = [
        "",
        "G",
        "GET /version HTTP/1.1\r\nhost: test\r\nx-",
        "POST /echo/a HTTP/1.1\r\n",
        "PRI",
        "PRI * HTTP/2.0\r\n",
    ];
    let attack = async {
        let silent = join_all((0..10).map(|_| silent()));
        let slow = join_all(starts.map(|start| trickle(address, start, "a: b\r\nx", PAUSE)));
        let partial = join_all(["PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].map(async |start| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(start.as_bytes()).await.unwrap();
            closed(stream).await
        }));
        tokio::join!(silent, slow, partial)
    };
    let (silent, slow, partial) = beside(address, "/version", "1.0.0", attack).await;
    assert!(silent.iter().all(Vec::is_empty), "{silent:?}");
    for (start, said) in starts.iter().zip(slow) {
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{start:?}: {said:?}");
    }
    assert!(partial[0].is_empty(), "{partial:?}");
    assert_eq!(cut(&host, "silent").await, 10.0);
    assert!(cut(&host, "header").await >= 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_too_slowly_is_a_408_and_the_connection_ends() {
    let host = strict().await;
    let address = host.address();
    let head = "POST /echo/a HTTP/1.1\r\nhost: test\r\n";
    let sized = format!("{head}content-length: 100000\r\n\r\n");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    // The last sends not even a byte of it.
    let starts = [(sized.as_str(), "x"), (chunked.as_str(), "1\r\nx\r\n"), (sized.as_str(), "")];
    let attack = join_all(starts.map(|(start, more)| trickle(address, start, more, PAUSE)));
    for said in beside(address, "/version", "1.0.0", attack).await {
        assert!(said.starts_with("HTTP/1.1 408"), "{said:?}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_or_hardly_reads_is_cut() {
    let host = strict().await;
    let address = host.address();
    let large = get(&format!("/big?bytes={LARGE}"));
    let never = async {
        let mut stream = narrow(address).await;
        stream.write_all(&large).await.unwrap();
        stream
    };
    let hardly = async {
        let mut stream = narrow(address).await;
        stream.write_all(&large).await.unwrap();
        let mut few = [0; 16];
        let mut read = 0;
        // Until the host has cut it; what lies in the kernel can still be read then.
        until("the connection to be cut", async || (cut(&host, "write").await >= 3.0).then_some(())).await;
        while let Ok(count @ 1..) = stream.read(&mut few).await {
            read += count;
            if read > 1 << 10 {
                break;
            }
        }
        stream
    };
    // Answers that nobody takes keep further requests from being served: they wait in the kernel, or are not taken at all.
    let many = async {
        let mut stream = narrow(address).await;
        let requests = get("/big?bytes=250000").repeat(1_000);
        let _ = soon("the connection to be cut", stream.write_all(&requests)).await;
        stream
    };
    let attack = async {
        let streams = tokio::join!(never, many, hardly);
        until("all three to be cut", async || (cut(&host, "write").await >= 3.0).then_some(())).await;
        streams
    };
    let (never, many, hardly) = beside(address, "/version", "1.0.0", Box::pin(attack)).await;
    for stream in [never, hardly] {
        assert!(closed(stream).await.len() < LARGE, "the answer was not finished");
    }
    drop(many);
    let requests = host.metrics().await.sum("weft_requests_total", &[("endpoint", "GET /big")]);
    assert!(requests < 100.0, "{requests} of 1002 requests were served to clients that read nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_rest_for_longer_than_a_header_may_take_and_is_closed_when_it_has_rested_enough() {
    let host = host("header-timeout = \"200ms\"\nidle = \"4s\"").await;
    let mut resting = Connection::open(host.address()).await;
    resting.send(&get("/version")).await;
    assert_eq!(resting.next().await.body(), "1.0.0");
    let said = trickle(host.address(), "GET /version HTTP/1.1\r\nhost: a\r\n", "x: y\r\n", PAUSE).await;
    assert!(said.is_empty(), "a header that began after that was cut: {said:?}");
    resting.send(&get("/version")).await;
    assert_eq!(resting.next().await.body(), "1.0.0", "it rests");
    assert_eq!(resting.rest().await, b"", "and is closed in order");
    assert_eq!(cut(&host, "idle").await, 0.0, "it was told, not cut");
}

/// The bytes of a request; the status, or 0 where the connection has to be closed without a word.
const MALFORMED: &[(&str, &str, u16)] = &[
    (
        "both lengths: chunked wins, and the connection ends",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ncontent-length: 60\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /echo/smuggled HTTP/1.1\r\nhost: h\r\n\r\n",
        200,
    ),
    (
        "both, the other way round",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 60\r\n\r\n0\r\n\r\nGET /echo/smuggled HTTP/1.1\r\nhost: h\r\n\r\n",
        200,
    ),
    ("an unknown coding", "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    (
        "chunked is not the last",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("identity, said aloud", "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: identity\r\n\r\n", 400),
    (
        "two lists",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    (
        "a list",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    (
        "twice",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    (
        "a space before the colon",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "a tab before the value",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding:\tchunked\r\n\r\n0\r\n\r\n",
        200,
    ),
    (
        "a vertical tab before the value",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("chunked in HTTP/1.0", "POST /echo/a HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("a signed length", "POST /echo/a HTTP/1.1\r\nhost: h\r\ncontent-length: +5\r\n\r\nhello", 400),
    ("a negative length", "POST /echo/a HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\nhello", 400),
    ("a list of lengths", "POST /echo/a HTTP/1.1\r\nhost: h\r\ncontent-length: 5, 5\r\n\r\nhello", 400),
    ("unequal lengths", "POST /echo/a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400),
    (
        "equal lengths",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        200,
    ),
    ("a hexadecimal length", "POST /echo/a HTTP/1.1\r\nhost: h\r\ncontent-length: 0x5\r\n\r\nhello", 400),
    (
        "a length without end",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999999\r\n\r\nhello",
        400,
    ),
    (
        "a chunk without end",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
        400,
    ),
    (
        "a chunk with a sign",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
        400,
    ),
    (
        "a chunk longer than it says",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunks that end in bare LF",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        400,
    ),
    (
        "a chunk's extension with a line's end",
        "POST /echo/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
        400,
    ),
    ("two hosts", "GET /version HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n", 400),
    ("two equal hosts", "GET /version HTTP/1.1\r\nhost: a\r\nhost: a\r\nconnection: close\r\n\r\n", 400),
    ("no host", "GET /version HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
    ("an empty host", "GET /version HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n", 400),
    ("a host with a space", "GET /version HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n", 400),
    ("a host with a path", "GET /version HTTP/1.1\r\nhost: a/b\r\nconnection: close\r\n\r\n", 400),
    ("a host with a user", "GET /version HTTP/1.1\r\nhost: a@b\r\nconnection: close\r\n\r\n", 400),
    ("no host in HTTP/1.0", "GET /version HTTP/1.0\r\n\r\n", 200),
    ("absolute, as its host", "GET http://a/version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 200),
    (
        "absolute, as its host but for letters",
        "GET http://A/version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        200,
    ),
    ("absolute, and not as its host", "GET http://b/version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 400),
    ("absolute, with another port", "GET http://a:1/version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 400),
    ("absolute, without a host", "GET http://a/version HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
    // RFC 9112, section 2.2, allows for it in a head; in chunks it is refused, see above.
    ("lines that end in bare LF", "GET /version HTTP/1.1\nhost: a\nconnection: close\n\n", 200),
    ("a bare CR in a value", "GET /version HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n", 400),
    ("a bare CR in a name", "GET /version HTTP/1.1\r\nhost: a\r\nx\r: b\r\n\r\n", 400),
    ("a folded line", "GET /version HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n", 400),
    ("a line that begins with a space", "GET /version HTTP/1.1\r\n host: a\r\n\r\n", 400),
    ("NUL in a value", "GET /version HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", 400),
    ("NUL in a name", "GET /version HTTP/1.1\r\nhost: a\r\nx\0: b\r\n\r\n", 400),
    ("NUL in the path", "GET /version\0 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("a space in the path", "GET /ver sion HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("a line without a colon", "GET /version HTTP/1.1\r\nhost: a\r\nx\r\n\r\n", 400),
    ("a name that is none", "GET /version HTTP/1.1\r\nhost: a\r\nx y: b\r\n\r\n", 400),
    ("no version", "GET /version\r\nhost: a\r\n\r\n", 400),
    ("version 2", "GET /version HTTP/2.0\r\nhost: a\r\n\r\n", 400),
    ("version 1.2", "GET /version HTTP/1.2\r\nhost: a\r\n\r\n", 400),
    ("a method that is none", "GE(T /version HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("a method that nobody knows", "BREW /version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 405),
    ("TRACE", "TRACE /version HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-secret: smuggled\r\n\r\n", 405),
    ("a tunnel", "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\nconnection: close\r\n\r\n", 404),
    ("everything", "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 404),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_or_ambiguous_is_refused_and_nothing_is_smuggled_in() {
    let host = strict().await;
    let mut wrong = Vec::new();
    for (name, bytes, status) in MALFORMED {
        let reply = exchange(host.address(), bytes.as_bytes()).await;
        let answers = reply.text.matches("HTTP/1.1 ").count() + reply.text.matches("HTTP/1.0 ").count();
        if reply.status != *status || answers > 1 || reply.text.contains("smuggled") {
            wrong.push(format!("{name}: expected one answer with {status}: {:?}", reply.text));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(host.get("/version").send().await.ok().text(), "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_bombs_are_refused_beside_good_clients() {
    let host = host("max-headers = 30\nmax-header-bytes = \"8KiB\"").await;
    let head = "GET /version HTTP/1.1\r\nhost: test\r\nconnection: close\r\n";
    let bombs = [
        format!("{head}{}\r\n", "x: y\r\n".repeat(10_000)),
        format!("{head}x: {}\r\n\r\n", "y".repeat(1 << 20)),
        format!("{head}{}: y\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "x".repeat(1 << 20)),
        format!("{head}cookie: {}\r\n\r\n", "a=b; ".repeat(100_000)),
        "x".repeat(1 << 20),
    ];
    let attack = join_all(bombs.iter().map(async |bomb| {
        let (mut read, mut write) = TcpStream::connect(host.address()).await.unwrap().into_split();
        let mut said = Vec::new();
        // The host need not take all of it.
        let (_, _) = tokio::join!(write.write_all(bomb.as_bytes()), soon("the end", read.read_to_end(&mut said)));
        String::from_utf8_lossy(&said).into_owned()
    }));
    for said in beside(host.address(), "/version", "1.0.0", attack).await {
        let refused = ["HTTP/1.1 431", "HTTP/1.1 414", "HTTP/1.1 400"].iter().any(|status| said.starts_with(status));
        // What it still sends may meet a connection that is closed already, and its reset overtakes the answer.
        assert!(refused || said.is_empty(), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_is_not_followed_and_what_comes_behind_it_is_a_request_like_any_other() {
    let host = strict().await;
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA";
    for headers in
        [h2c, "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA=="]
    {
        let mut connection = Connection::open(host.address()).await;
        let first = format!("GET /version HTTP/1.1\r\nhost: test\r\n{headers}\r\n\r\n").into_bytes();
        connection.send(&[first, get("/me")].concat()).await;
        let reply = connection.next().await;
        assert_eq!((reply.status, reply.body()), (200, "1.0.0"));
        let reply = connection.next().await;
        assert_eq!(reply.status, 503, "it is judged for itself: no caller can be verified here: {reply:?}");
    }
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut connection = Connection::open(host.address()).await;
    connection.send(&[get("/version"), preface].concat()).await;
    assert_eq!(connection.next().await.status, 200);
    assert_eq!(connection.rest().await, b"", "no connection changes its version");
}
