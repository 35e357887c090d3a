//! Bodies that are more than they look like: too large, packed to burst, nested without end, ambiguous. On the real process, whose memory
//! is looked at.

use crate::support::{probe, weft};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_tests::{
    artifacts::with_limit,
    neighbour::beside,
    packing::{CODINGS, pack},
    process::HostProcess,
    raw::exchange,
    setup::{Folder, Setup},
    wait::soon,
    web::Web,
};

/// Of one body, packed or not.
const MAX_BODY: usize = 256 << 10;
/// What a bomb would unpack to.
const BOMB: usize = 16 << 20;
/// Bombs under way at the same time, for each coding.
const AT_ONCE: usize = 8;
/// By how much the memory of the process may grow through all of them; unpacked they have 512 MiB.
const GROWTH: u64 = 48 << 20;

async fn start() -> (HostProcess, Folder) {
    let probe = with_limit(&with_limit(&probe(), "cpu", "1s"), "response", "1MiB");
    let setup = Setup::new().http("max-body = \"256KiB\"").limits("requests = 64\nidle = 8\nqueue = \"10s\"");
    let folder = setup.one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe).write();
    (HostProcess::start(weft(), &folder).await, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_bodies_are_unpacked_and_bombs_are_a_413_without_their_memory() {
    let (process, _folder) = start().await;
    let web = process.web();
    let text = "all work and no play ".repeat(1_000);
    let mut bombs = Vec::new();
    for coding in CODINGS {
        let send = async |body: Vec<u8>| web.post("/echo/a").header("content-encoding", coding).body(body).send().await;
        let packed = pack(coding, text.as_bytes()).await;
        assert!(packed.len() < text.len() / 10);
        assert_eq!(send(packed.clone()).await.ok().json()["body"], text, "{coding}");

        let problem = send(packed[..packed.len() / 2].to_vec()).await.problem(400);
        assert_eq!((&problem["type"], &problem["field"]), (&"urn:weft:problem:bad-body".into(), &"body".into()));
        let rubbish = send(b"this is not packed at all".to_vec()).await.problem(400);
        assert_eq!(rubbish["type"], "urn:weft:problem:bad-body", "{coding}");
        bombs.push((coding, pack(coding, &vec![0; BOMB]).await));
    }
    // What many good ones at a time take is not the bombs'.
    let full = || web.post("/echo/a").body(vec![b'x'; MAX_BODY]).send();
    join_all((0..32).map(|_| full())).await.into_iter().for_each(|reply| drop(reply.ok()));

    let before = process.forget_peak_memory();
    let attack =
        join_all(bombs.iter().flat_map(|bomb| std::iter::repeat_n(bomb, AT_ONCE)).map(async |(coding, bomb)| {
            let request = Web::new(process.http).post("/echo/a").header("content-encoding", coding);
            (coding, request.body(bomb.clone()).send().await)
        }));
    for (coding, reply) in beside(process.http, "/version", "1.0.0", attack).await {
        let problem = reply.problem(413);
        assert_eq!(
            (&problem["type"], &problem["field"]),
            (&"urn:weft:problem:body-too-large".into(), &"body".into()),
            "{coding}"
        );
    }
    let growth = process.peak_memory().saturating_sub(before);
    assert!(growth < GROWTH, "{} MiB more", growth >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codings_that_nobody_knows_or_that_lie_around_each_other_are_a_415() {
    let (process, _folder) = start().await;
    let web = process.web();
    for coding in ["lzma", "compress", "gzip, gzip", "gzip,br", "identity, gzip", "*"] {
        let reply = web.post("/echo/a").header("content-encoding", coding).body("x").send().await;
        assert_eq!(reply.header("accept-encoding"), Some("gzip, br, zstd, deflate"), "{coding}");
        let problem = reply.problem(415);
        assert_eq!(problem["field"], "header.content-encoding");
    }
    let twice = web.post("/echo/a").header("content-encoding", "gzip").header("content-encoding", "gzip").body("x");
    twice.send().await.problem(415);
    assert_eq!(
        web.post("/echo/a").header("content-encoding", "identity").body("x").send().await.ok().json()["body"],
        "x"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let (process, _folder) = start().await;
    let head = "POST /echo/a HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n";
    let asked = exchange(process.http, format!("{head}content-length: {}\r\n\r\n", MAX_BODY + 1).as_bytes()).await;
    assert_eq!(asked.status, 413, "{asked:?}");
    assert!(!asked.text.contains("100 Continue"), "{asked:?}");
    let huge =
        exchange(process.http, b"POST /echo/a HTTP/1.1\r\nhost: test\r\ncontent-length: 18446744073709551614\r\n\r\n")
            .await;
    assert!([400, 413, 431].contains(&huge.status), "{huge:?}");
}

/// A connection that is closed under a body would be reset, and its client might never read why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_in_the_middle_of_a_body_reads_the_answer() {
    let (process, _folder) = start().await;
    let length = 8 << 20;
    for framing in [format!("content-length: {length}"), "transfer-encoding: chunked".to_owned()] {
        let mut stream = TcpStream::connect(process.http).await.unwrap();
        stream.write_all(format!("POST /echo/a HTTP/1.1\r\nhost: test\r\n{framing}\r\n\r\n").as_bytes()).await.unwrap();
        let piece = [b"8000\r\n", vec![b'x'; 32 << 10].as_slice(), b"\r\n"].concat();
        for _ in 0..length / piece.len() {
            stream.write_all(&piece).await.unwrap();
        }
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 413 ") && said.ends_with('}'), "{framing}: {said}");
    }
    // But not for as long as it likes.
    let mut stream = TcpStream::connect(process.http).await.unwrap();
    let endless = async {
        stream.write_all(b"POST /echo/a HTTP/1.1\r\nhost: test\r\ncontent-length: 10000000000\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'x'; 32 << 10]).await?;
        }
    };
    let ended: std::io::Result<()> = soon("the host to close", endless).await;
    assert!(ended.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_deep_or_ambiguous_or_out_of_range_is_a_400_that_names_the_place() {
    let (process, _folder) = start().await;
    let web = process.web();
    let line = |film: &str| format!(r#"{{"lines": [{{"film": {film}, "stars": 5}}]}}"#);
    let deep = "[".repeat(100_000);
    let inside =
        format!(r#"{{"lines": [{{"film": 1, "stars": 5, "more": {}{}}}]}}"#, &deep[..10_000], "]".repeat(10_000));
    let objects = format!(r#"{{"lines": {}1"#, r#"{"a":"#.repeat(20_000));
    let cases = [
        ("deep", deep.clone(), "body[0][0][0]"),
        ("deep in objects", objects, "body.lines"),
        ("a key twice", r#"{"lines": [], "lines": [{"film": 1, "stars": 5}]}"#.to_owned(), "body.lines"),
        (
            "a key of a line twice",
            r#"{"lines": [{"film": 1, "film": 2, "stars": 5}]}"#.to_owned(),
            "body.lines[0].film",
        ),
        ("one more than fits", line("4294967296"), "body.lines[0].film"),
        ("more than any integer", line("99999999999999999999999999999999999999"), "body.lines[0].film"),
        ("a fraction", line("1.5"), "body.lines[0].film"),
        ("negative", line("-1"), "body.lines[0].film"),
        ("minus zero", line("-0"), "body.lines[0].film"),
        // These are no JSON, or none that can be read, and belong to no field.
        ("a huge exponent", line("1e400"), "body"),
        ("many digits", line(&"9".repeat(100_000)), "body"),
        ("a leading zero", line("01"), "body"),
        ("NaN", line("NaN"), "body"),
        ("half a surrogate", line(r#""\ud800""#), "body"),
        ("two documents", format!("{0}{0}", line("1")), "body"),
    ];
    let mut wrong = Vec::new();
    for (name, body, field) in cases {
        let reply = web.post("/orders").header("content-type", "application/json").body(body).send().await;
        if reply.status != 400 || reply.json()["field"] != field {
            wrong.push(format!("{name}: expected a 400 for {field}: {} {}", reply.status, reply.text()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let order = || web.post("/orders").header("content-type", "application/json");
    let reply = order().body(inside).send().await.ok();
    assert_eq!(reply.text(), "1:5 ", "what nobody reads is passed over, however deep");
    assert_eq!(order().body(line("1")).send().await.ok().text(), "1:5 ");
}
