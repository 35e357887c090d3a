//! Agents that send nonsense, and pages that are no agents.

use super::{call, host, message, result};
use serde_json::json;
use weft_tests::{host::TestHost, raw};

async fn code(host: &TestHost, body: impl Into<bytes::Bytes>) -> (u16, i64) {
    let request =
        host.post("/t/mcp").header("content-type", "application/json").header("mcp-protocol-version", "2025-11-25");
    let reply = request.body(body).send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
    (reply.status, reply.json()["error"]["code"].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_refused_in_the_words_of_the_protocol_and_the_next_one_is_served() {
    let host = host(", auth = \"optional\"", "").await;
    let deep =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{\"a\":{}}}}}", "[".repeat(500_000));
    assert_eq!(code(&host, deep).await, (400, -32700));
    assert_eq!(code(&host, "").await, (400, -32700));
    assert_eq!(code(&host, &b"\xff\xfe{}"[..]).await, (400, -32700));
    assert_eq!(code(&host, "[]").await, (400, -32600));
    let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }]).to_string();
    assert_eq!(code(&host, batch).await, (400, -32600));
    assert_eq!(code(&host, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/list\"}").await, (200, -32601));
    assert_eq!(
        code(&host, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}").await,
        (200, -32602)
    );
    let wide: String = (0..50_000).map(|n| format!("\"a{n}\":{n},")).collect();
    let wide = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"get_version\",\"arguments\":{{{wide}\"b\":1}}}}}}"
    );
    let request =
        host.post("/t/mcp").header("content-type", "application/json").header("mcp-protocol-version", "2025-11-25");
    let reply = request.body(wide).send().await.ok();
    assert!(reply.body.len() < 10_000 && reply.text().contains("is none of this tool's"), "{reply:?}");
    let long = call(&host, "get_config_by_key", json!({ "key": "x".repeat(200_000) })).send().await;
    assert!(result(long)["content"][0]["text"].as_str().unwrap().contains("too long for a URL"));

    // What is HTTP's, HTTP says.
    host.post("/t/mcp").header("content-type", "text/plain").body("{}").send().await.problem(415);
    host.post("/t/mcp").header("accept", "text/html").json(&json!({})).send().await.problem(406);
    let large = "x".repeat(2 << 20);
    host.post("/t/mcp").header("content-type", "application/json").body(large).send().await.problem(413);
    result(call(&host, "get_version", json!({})).send().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_that_are_not_served_are_refused_by_name() {
    let host = host(", auth = \"optional\"", "").await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for version in ["2025-03-26", "2024-11-05", "2027-01-01", "nonsense"] {
        let refused = host.post("/t/mcp").header("mcp-protocol-version", version).json(&body).send().await;
        assert_eq!(refused.status, 400, "{version}");
        let error = &refused.json()["error"];
        assert_eq!((&error["code"], &error["data"]["requested"]), (&json!(-32022), &json!(version)));
        let said = format!("the revision `{version}` is not served; 2026-07-28, 2025-11-25 and 2025-06-18 are");
        assert_eq!(error["message"], said);
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let told = host.post("/t/mcp").header("mcp-protocol-version", version).json(&told).send().await;
        assert_eq!(told.status, 400, "a notification of it, too");
    }
    let unsaid = host.post("/t/mcp").json(&body).send().await;
    assert_eq!((unsaid.status, &unsaid.json()["error"]["code"]), (400, &json!(-32020)));
    let gone = message(&host, "ping", json!({})).send().await;
    assert_eq!((gone.status, &gone.json()["error"]["code"]), (404, &json!(-32601)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_stream_to_read_and_no_session_to_end() {
    let host = host(", auth = \"optional\"", "").await;
    for method in ["GET", "DELETE", "PUT", "HEAD"] {
        let request = host.web().request(method, "/t/mcp").header("accept", "text/event-stream");
        let refused = request.header("mcp-session-id", "any").header("last-event-id", "1").send().await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_speak_to_tools_only_from_origins_that_are_let_in() {
    let cors = "[client.cors]\norigins = [\"https://inspector.example.com\"]\n";
    let host = host(", auth = \"optional\"", &format!("same-origin = true\n{cors}")).await;
    for origin in ["https://evil.example", "null", "http://api.example.com", "https://api.example.com:444"] {
        let refused = call(&host, "get_version", json!({})).header("origin", origin).send().await;
        assert_eq!(refused.problem(403)["type"], "urn:weft:problem:cross-site", "{origin}");
    }
    // By the name of this machine, as a page would that has had its name lead here.
    let own = format!("http://{}", host.address());
    call(&host, "get_version", json!({})).header("origin", &own).send().await.problem(403);
    for origin in ["https://api.example.com", "https://inspector.example.com"] {
        result(call(&host, "get_version", json!({})).header("origin", origin).send().await);
    }
    let asked = host.web().request("OPTIONS", "/t/mcp").header("origin", "https://inspector.example.com");
    let asked = asked.header("access-control-request-method", "POST").send().await;
    let allowed = asked.header("access-control-allow-headers").unwrap();
    assert_eq!(asked.header("access-control-allow-methods"), Some("POST, OPTIONS"));
    for name in ["authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"] {
        assert!(allowed.contains(name), "{allowed}");
    }
}

/// Who leaves while a tool is called leaves nothing behind, and who floods is one among others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_in_the_midst_of_a_call_leaves_nothing_behind() {
    let host = host(", auth = \"optional\"", "").await;
    let body = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"get_waits\",\
                \"arguments\":{\"times\":1000,\"millis\":20}}}";
    let head = format!(
        "POST /t/mcp HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let active = async || host.metrics().await.sum("weft_requests_active", &[]);
    for _ in 0..8 {
        let mut connection = raw::Connection::open(host.address()).await;
        connection.send(format!("{head}{body}").as_bytes()).await;
    }
    weft_tests::wait::until("all that left to be gone", async || (active().await == 0.0).then_some(())).await;
    result(call(&host, "get_version", json!({})).send().await);
}
