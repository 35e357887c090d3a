//! Bad requests get a 4xx that says what is wrong and where, and cost nobody anything.

use crate::support::probe;
use serde_json::json;
use weft_tests::{
    host::TestHost,
    raw::{RawReply, exchange},
    setup::Setup,
};

async fn host() -> TestHost {
    let nowhere = "127.0.0.1:1";
    let setup = Setup::new().http("max-body = \"4KiB\"\nmax-headers = 30\nmax-header-bytes = \"8KiB\"");
    setup.one_backend(nowhere, "").plugin("probe.wasm", &probe()).start().await
}

/// Sends these bytes; lines end as HTTP wants it.
async fn raw(host: &TestHost, lines: &[&[u8]]) -> RawReply {
    exchange(host.address(), &[lines.join(&b"\r\n"[..]), b"\r\n\r\n".to_vec()].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_path_and_query_are_named() {
    let host = host().await;
    for (path, field, text) in [
        ("/echo/%ff", "path.name", "not valid UTF-8"),
        ("/echo/a%00b", "path.name", "NUL character (%00)"),
        ("/echo/a?q=%c3%28", "query.q", "not valid UTF-8"),
        // Without the slash, clients go up themselves.
        ("/echo/a%2F..", "path.name", "another path"),
        ("/films/abc", "path.id", "abc"),
        ("/films/-1", "path.id", "-1"),
        ("/films/99999999999", "path.id", "99999999999"),
        ("/people", "query.ids", "is required, but missing"),
        ("/big?bytes=many", "query.bytes", "many"),
    ] {
        let problem = host.get(path).send().await.problem(400);
        assert_eq!(problem["field"], field, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(text), "{path}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_a_json_body_are_named() {
    let host = host().await;
    for (body, field) in [
        (&br#"{"lines": [{"film": 1, "stars": 5}, {"film": "one", "stars": 5}]}"#[..], "body.lines[1].film"),
        (br#"{"lines": [{"film": 1, "stars": 300}]}"#, "body.lines[0].stars"),
        (br#"{"lines": [{"film": 1}]}"#, "body.lines[0].stars"),
        (br#"{"lines": {}}"#, "body.lines"),
        (br"{}", "body.lines"),
        (br#"{"lines": ["#, "body"),
        (b"{\"lines\": [{\"film\": 1, \"stars\": 5, \"x\": \"\xff\"}]}", "body"),
        (b"", "body"),
    ] {
        let request = host.post("/orders").header("content-type", "application/json");
        let problem = request.body(body).send().await.problem(400);
        assert_eq!(problem["field"], field, "{}: {problem}", String::from_utf8_lossy(body));
    }
    let problem = host.post("/orders").header("content-type", "text/xml").body("<a/>").send().await.problem(415);
    assert_eq!(problem["field"], "header.content-type");
    let good = json!({ "lines": [{ "film": 1, "stars": 5 }, { "film": 2, "stars": 3 }] });
    assert_eq!(host.post("/orders").json(&good).send().await.ok().text(), "1:5 2:3 ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_a_413_with_or_without_a_length() {
    let host = host().await;
    let exact = host.post("/echo/a").body("x".repeat(4 << 10)).send().await.ok();
    assert_eq!(exact.json()["body"].as_str().unwrap().len(), 4 << 10);
    let problem = host.post("/echo/a").body("x".repeat((4 << 10) + 1)).send().await.problem(413);
    assert_eq!(problem["field"], "body");

    let chunk = format!("1001\r\n{}\r\n0", "x".repeat(0x1001));
    let head = [&b"POST /echo/a HTTP/1.1"[..], b"host: h", b"connection: close", b"transfer-encoding: chunked", b""];
    let reply = raw(&host, &[&head[..], &[chunk.as_bytes()]].concat()).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert!(reply.text.contains("\"field\":\"body\""), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_a_400() {
    let host = host().await;
    let lines =
        [&b"POST /echo/a HTTP/1.1"[..], b"host: h", b"connection: close", b"transfer-encoding: chunked", b"", b"zz"];
    let reply = raw(&host, &lines).await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_exactly_one_host() {
    let host = host().await;
    for (hosts, status) in [(0, 400), (1, 200), (2, 400)] {
        let host_lines = [&b"host: a.example"[..], b"host: b.example"];
        let lines = [&[&b"GET /version HTTP/1.1"[..], b"connection: close"], &host_lines[..hosts]].concat();
        let reply = raw(&host, &lines).await;
        assert_eq!(reply.status, status, "{reply:?}");
        if status == 400 {
            assert!(reply.text.contains("application/problem+json"), "{reply:?}");
            assert!(reply.text.contains(&format!("expected exactly one Host header, found {hosts}")), "{reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_lines_are_bounded_in_number_and_size() {
    let host = host().await;
    let with = |lines: Vec<String>| {
        let head = ["GET /version HTTP/1.1", "host: h", "connection: close"].map(str::to_owned);
        head.into_iter().chain(lines).map(String::into_bytes).collect::<Vec<_>>()
    };
    let many = |count: usize| with((0..count).map(|number| format!("x-{number}: v")).collect());
    let wide = |bytes: usize| with(vec![format!("x-wide: {}", "v".repeat(bytes))]);
    for (lines, status) in [(many(20), 200), (many(60), 431), (wide(4 << 10), 200), (wide(40 << 10), 431)] {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        assert_eq!(raw(&host, &lines).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_no_utf8_is_named_if_the_plugin_wants_it() {
    let host = host().await;
    let ask =
        async |header: &[u8]| raw(&host, &[b"GET /echo/a HTTP/1.1", b"host: h", b"connection: close", header]).await;
    let wanted = ask(b"accept-language: \xff\xfe").await;
    assert_eq!(wanted.status, 400, "{wanted:?}");
    assert!(wanted.text.contains("\"field\":\"header.accept-language\""), "{wanted:?}");
    assert_eq!(ask(b"x-whatever: \xff\xfe").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_answered_and_closed() {
    let host = host().await;
    for garbage in
        [&b"\x00\x01\x02\x03"[..], b"GET", b"GET / HTTP/9.9", b"GET /version", b"\x16\x03\x01\x02\x00\x01\x00"]
    {
        let reply = raw(&host, &[garbage]).await;
        assert!(reply.status == 400 || reply.text.is_empty(), "{garbage:?}: {reply:?}");
    }
    assert_eq!(host.get("/version").send().await.ok().text(), "1.0.0");
}
