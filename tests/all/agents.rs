//! Agents: a client's endpoints as tools of the Model Context Protocol, with the same callers, rates, logs and refusals as over HTTP.

mod hostile;
mod official;
mod tokens;

use crate::{
    fan,
    support::{GET_FILM, RATE_FILM, film, knows_all, probe},
};
use demo_services::proto::reviews::v1::Rating;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use weft_tests::{
    artifacts::with_manifest,
    host::TestHost,
    setup::Setup,
    tokens::Token,
    upstream::{Answer, FakeUpstream},
    web::{Reply, Request},
};

/// What an agent's token is for, in these tests.
const RESOURCE: &str = "https://api.example.com/t/mcp";
const SERVED: &str = "2026-07-28";

/// A client of the probe that agents find at `/t/mcp`, with more of its `mcp`, and more lines of its own.
fn client(mcp: &str, more: &str) -> String {
    let mcp = format!("mcp = {{ path = \"/mcp\", resource = \"{RESOURCE}\"{mcp} }}");
    format!("[[client]]\nname = \"test\"\nprefix = \"/t\"\n{mcp}\n{more}")
}

async fn host_with(upstream: &FakeUpstream, clients: String, manifest: impl FnOnce(&mut toml::Table)) -> TestHost {
    let setup = Setup::new().clients(&clients).identity("token = true").one_backend(upstream.address(), "");
    setup.plugin("probe.wasm", &with_manifest(&probe(), manifest)).start().await
}

/// With a backend that is there for as long as the test lasts.
async fn host(mcp: &str, more: &str) -> TestHost {
    host_with(Box::leak(Box::new(knows_all().await)), client(mcp, more), |_| {}).await
}

/// A token for agents.
fn token(subject: &str) -> Token {
    Token::of(subject).claim("aud", RESOURCE)
}

/// A message of the revision that is served, in the making.
fn message(host: &TestHost, method: &str, mut params: Value) -> Request {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": SERVED, "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request = host.post("/t/mcp").header("mcp-protocol-version", SERVED).header("mcp-method", method);
    let request = match params["name"].as_str() {
        Some(name) => request.header("mcp-name", name),
        None => request,
    };
    let request = request.header("accept", "application/json, text/event-stream");
    request.json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
}

fn call(host: &TestHost, tool: &str, arguments: Value) -> Request {
    message(host, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

fn result(reply: Reply) -> Value {
    let message = reply.ok().json();
    assert_eq!(message["id"], 1, "{message}");
    message.get("result").unwrap_or_else(|| panic!("an error: {message}")).clone()
}

/// The problem of a tool error, after looking at how it is told.
fn problem(reply: Reply) -> Value {
    let result = result(reply);
    assert_eq!(result["isError"], true, "{result}");
    let problem = &result["_meta"]["weft/problem"];
    assert_eq!(result["content"][0]["text"], problem.to_string(), "models read the same");
    for member in ["type", "title", "detail", "instance", "request_id", "trace_id"] {
        assert!(problem[member].is_string(), "no `{member}`: {problem}");
    }
    problem.clone()
}

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_are_found_and_called_by_both_kinds_of_revisions() {
    let host = host(", auth = \"optional\"", "").await;
    let found = result(message(&host, "server/discover", json!({})).send().await);
    assert_eq!(found["supportedVersions"], json!([SERVED, "2025-11-25", "2025-06-18"]));
    let list = result(message(&host, "tools/list", json!({})).send().await);
    let version = list["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "get_version").unwrap().clone();
    assert_eq!((&version["title"], &version["annotations"]["readOnlyHint"]), (&json!("GET /version"), &json!(true)));
    let called = result(call(&host, "get_version", json!({})).send().await);
    assert_eq!((&called["content"][0]["text"], &called["isError"]), (&json!("1.0.0"), &json!(false)));

    // With a handshake, of which nothing is kept: a session's name is neither given nor looked at.
    let older = |id: u32, method: &str, params: Value| {
        let request = host.post("/t/mcp").header("accept", "application/json, text/event-stream");
        request.json(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    };
    let wanted =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let hello = older(1, "initialize", wanted).send().await.ok();
    assert_eq!(hello.header("mcp-session-id"), None);
    let hello = result(hello);
    assert_eq!((&hello["protocolVersion"], &hello["serverInfo"]["name"]), (&json!("2025-06-18"), &json!("test")));
    let told =
        host.post("/t/mcp").json(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).send().await;
    assert_eq!((told.status, told.body.len()), (202, 0));
    for session in ["", "somebody-elses"] {
        let request = older(1, "tools/call", json!({ "name": "get_films_by_id", "arguments": { "id": 7 } }));
        let request = request.header("mcp-protocol-version", "2025-06-18").header("mcp-session-id", session);
        let called = result(request.send().await);
        assert_eq!(called["content"][0]["text"], host.get("/t/films/7").send().await.ok().text());
        assert_eq!((called.get("structuredContent"), called.get("resultType")), (None, None));
    }
    assert_eq!(
        result(older(1, "ping", json!({})).header("mcp-protocol-version", "2025-11-25").send().await),
        json!({})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_counted_and_logged_as_a_request_of_its_endpoint() {
    let host = host(", auth = \"optional\"", "").await;
    let reply =
        call(&host, "get_config_by_key", json!({ "key": "none" })).header("x-request-id", "of-agent-1").send().await;
    assert!(reply.header("server-timing").unwrap().contains("guest;dur="), "{reply:?}");
    let problem = problem(reply);
    assert_eq!((&problem["status"], &problem["instance"]), (&json!(404), &json!("/config/none")));
    assert_eq!(problem["request_id"], "of-agent-1");
    call(&host, "get_config_by_key", json!({ "key": "colour" })).send().await.ok();
    call(&host, "no_tool", json!({})).send().await;
    host.post("/t/mcp").body("{").header("content-type", "application/json").send().await;
    let metrics = host.metrics().await;
    let endpoint = [("client", "test"), ("endpoint", "GET /config/{key}")];
    for status in ["404", "200"] {
        assert_eq!(
            metrics.sum("weft_requests_total", &[&endpoint[..], &[("status", status)]].concat()),
            1.0,
            "{status}"
        );
    }
    for (message, result, count) in [
        ("tools/call", "tool-error", 1.0),
        ("tools/call", "done", 1.0),
        ("tools/call", "refused", 1.0),
        ("unread", "refused", 1.0),
    ] {
        let labels = [("client", "test"), ("message", message), ("result", result)];
        assert_eq!(metrics.sum("weft_agent_messages_total", &labels), count, "{message} {result}");
    }
    let recent = host.admin("/v1/recent").send().await;
    assert!(recent.status == 404 || recent.text().contains("GET /config/{key}"), "{recent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_something_is_a_tool_only_where_the_operator_says_so() {
    let order = json!({ "body": { "lines": [{ "film": 1, "stars": 5 }, { "film": 2, "stars": 3 }] } });
    let reading = host(", auth = \"optional\"", "").await;
    let list = result(message(&reading, "tools/list", json!({})).send().await);
    assert!(names(&list).iter().all(|name| name.starts_with("get_")), "{list}");
    let refused = call(&reading, "post_orders", order.clone()).send().await.ok().json();
    assert_eq!(refused["error"]["code"], -32602);
    assert!(refused["error"]["message"].as_str().unwrap().contains("there is no tool `post_orders`"), "{refused}");

    let writing = host(", auth = \"optional\", write = true", "").await;
    let list = result(message(&writing, "tools/list", json!({})).send().await);
    let hints = |name: &str| {
        let tool = list["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        let hints = &tool["annotations"];
        ["readOnlyHint", "destructiveHint", "idempotentHint"].map(|hint| hints[hint].as_bool().unwrap())
    };
    assert_eq!(hints("get_version"), [true, false, true]);
    assert_eq!(hints("post_orders"), [false, true, false]);
    assert_eq!(hints("put_cache_by_key"), [false, true, true]);
    assert_eq!(hints("delete_cache"), [false, true, true]);
    let done = result(call(&writing, "post_orders", order).send().await);
    assert_eq!((&done["content"][0]["text"], &done["isError"]), (&json!("1:5 2:3 "), &json!(false)));
    let bad = problem(call(&writing, "post_orders", json!({ "body": { "lines": 7 } })).send().await);
    assert_eq!(bad["status"], 400, "the code looks at what it takes, as ever: {bad}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_a_tool_error_with_its_problem_and_nothing_of_the_host() {
    let host = host(", auth = \"optional\", result = \"4KiB\"", "").await;
    let own = problem(call(&host, "get_problem", json!({})).send().await);
    assert_eq!((&own["type"], &own["status"]), (&json!("https://example.org/not-out"), &json!(409)));
    assert_eq!((&own["release"], &own["detail"]), (&json!("2030-01-01"), &json!("the film is not out yet")));
    let trap = problem(call(&host, "get_trap", json!({})).send().await);
    assert_eq!((&trap["type"], &trap["status"]), (&json!("urn:weft:problem:plugin-trapped"), &json!(502)));
    assert_eq!((trap.get("plugin"), trap.get("version")), (None, None), "{trap}");
    let bad = problem(call(&host, "get_films_by_id", json!({ "film": 1 })).send().await);
    assert_eq!((&bad["type"], &bad["field"]), (&json!("urn:weft:problem:bad-arguments"), &json!("arguments.id")));
    let dots = problem(call(&host, "get_config_by_key", json!({ "key": ".." })).send().await);
    assert_eq!(dots["type"], "urn:weft:problem:bad-encoding");
    let most = result(call(&host, "get_big", json!({ "bytes": 4096 })).send().await);
    assert_eq!(most["content"][0]["text"].as_str().unwrap().len(), 4096);
    let large = problem(call(&host, "get_big", json!({ "bytes": 4097 })).send().await);
    assert_eq!((&large["type"], &large["status"]), (&json!("urn:weft:problem:host-limit"), &json!(502)));
    assert!(large["detail"].as_str().unwrap().contains("4097 bytes, and a tool's result may have 4096"), "{large}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_within_the_rates_of_their_client_and_of_their_endpoint() {
    let limited = host(", auth = \"optional\"", "principal-rate = \"4/h\"").await;
    for turn in 0..4 {
        let reply = call(&limited, "get_version", json!({})).send().await.ok();
        assert_eq!(reply.header("ratelimit").unwrap().split(';').nth(1), Some(&*format!("r={}", 3 - turn)));
    }
    let refused = call(&limited, "get_version", json!({})).send().await;
    assert_eq!(refused.problem(429)["type"], "urn:weft:problem:rate-limited");
    assert!(refused.header("retry-after").is_some());
    limited.get("/t/version").send().await.problem(429);
    // What can't be read is counted too.
    let flooded = host(", auth = \"optional\"", "principal-rate = \"3/h\"").await;
    for _ in 0..3 {
        assert_eq!(
            flooded.post("/t/mcp").header("content-type", "application/json").body("nonsense").send().await.status,
            400
        );
    }
    assert_eq!(
        flooded.post("/t/mcp").header("content-type", "application/json").body("nonsense").send().await.status,
        429
    );

    let upstream = knows_all().await;
    let endpoint = host_with(&upstream, client(", auth = \"optional\"", ""), |manifest| {
        manifest["endpoint"]["GET /version"].as_table_mut().unwrap().insert("rate".into(), "2/h".into());
    });
    let endpoint = endpoint.await;
    call(&endpoint, "get_version", json!({})).send().await.ok();
    endpoint.get("/t/version").send().await.ok();
    let refused = problem(call(&endpoint, "get_version", json!({})).send().await);
    assert_eq!((&refused["type"], &refused["status"]), (&json!("urn:weft:problem:rate-limited"), &json!(429)));
    assert!(refused["retry_after"].as_u64().is_some_and(|seconds| seconds > 0), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_repeated_is_done_once_and_a_kept_answer_serves_both_ways() {
    let (upstream, count) = (knows_all().await, AtomicU32::new(0));
    upstream.on(RATE_FILM, move |_| {
        Answer::message(&Rating { your_ratings: count.fetch_add(1, SeqCst) + 1, ..Rating::default() })
    });
    let host = host_with(&upstream, client(", write = true", ""), |manifest| {
        let endpoints = manifest["endpoint"].as_table_mut().unwrap();
        let rating = endpoints["POST /films/{id}/two-ratings"].as_table_mut().unwrap();
        rating.insert("idempotency".into(), "ttl = \"1h\"".parse::<toml::Table>().unwrap().into());
        let version = endpoints["GET /version"].as_table_mut().unwrap();
        version.insert("cache".into(), "ttl = \"1h\"\nscope = \"public\"".parse::<toml::Table>().unwrap().into());
    });
    let host = host.await;
    let ann = token("ann").sign();
    let rate = |key: &'static str| {
        let arguments = json!({ "id": 1, "idempotency_key": key });
        call(&host, "post_films_by_id_two--ratings", arguments).bearer(&ann).send()
    };
    let first = result(rate("one").await);
    assert_eq!(first["structuredContent"], json!({ "result": [1, 2] }), "a list stands in an object");
    assert_eq!(result(rate("one").await), first);
    assert_eq!(upstream.calls(RATE_FILM).len(), 2);
    assert_eq!(result(rate("two").await)["structuredContent"], json!({ "result": [3, 4] }));

    assert!(host.get("/t/version").send().await.ok().header("cache-status").unwrap().contains("miss"));
    let kept = call(&host, "get_version", json!({})).bearer(&ann).send().await.ok();
    assert!(kept.header("cache-status").unwrap().contains("hit"), "{kept:?}");
    assert_eq!(kept.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_see_the_waterfall_of_a_call_finds_it_beside_the_result() {
    let upstream = knows_all().await;
    let setup = Setup::new().clients(&client(", auth = \"optional\"", "")).identity("").http("explain-scope = \"*\"");
    let host = setup.one_backend(upstream.address(), "").plugin("probe.wasm", &probe()).start().await;
    let plain = result(call(&host, "get_films_by_id", json!({ "id": 3 })).send().await);
    assert_eq!(plain["_meta"].get("weft/explain"), None);
    let reply = call(&host, "get_films_by_id", json!({ "id": 3 })).header("x-weft-explain", "1").send().await;
    let explained = result(reply);
    assert_eq!(explained["structuredContent"], plain["structuredContent"]);
    let waterfall = &explained["_meta"]["weft/explain"];
    assert_eq!((&waterfall["answer"]["status"], &waterfall["request"]["calls"]), (&json!(200), &json!(1)));
    assert!(waterfall["waterfall"].is_array(), "{waterfall}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_told_what_of_an_answer_is_less_than_it_should_be() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::fails(14, "down"));
    let lines = "retry = { attempts = 1 }\nbreaker = { k = 0 }";
    let setup = fan::setup(&[upstream.address()], lines).clients(&client(", auth = \"optional\"", ""));
    let host = setup.start().await;
    let empty = result(call(&host, "get_film_by_id_empty", json!({ "id": 1 })).send().await);
    assert_eq!(empty["_meta"]["weft/degraded"], json!([{ "method": GET_FILM, "how": "fallback" }]));
    let missing = call(&host, "get_film_by_id", json!({ "id": 1 })).send().await;
    assert_eq!(problem(missing)["status"], 503);
    upstream.on(GET_FILM, |_| Answer::message(&film(1)));
    let whole = result(call(&host, "get_film_by_id_empty", json!({ "id": 1 })).send().await);
    assert_eq!(whole["_meta"].get("weft/degraded"), None, "{whole}");
}

/// The configuration that docs/operators/configuration.md shows is one.
#[test]
fn the_configuration_of_the_page_is_read() {
    let page = std::fs::read_to_string(weft_tests::repository().join("docs/operators/configuration.md")).unwrap();
    let section = page.split("### Agents").nth(1).unwrap();
    let client = section.split("```").nth(1).unwrap().strip_prefix("toml\n").unwrap();
    let rest = "[identity]\nissuers = [\"https://login.example\"]\naudience = [\"weft\"]\njwks = \"https://login.example/keys\"\n\
                [plugins]\nfolder = \"plugins\"\n";
    let read = weft::config::Config::parse(std::path::Path::new("weft.toml"), &format!("{client}{rest}")).unwrap();
    let agents = read.clients.named("web").unwrap().agents_at("/mcp").unwrap();
    assert_eq!((agents.writes, agents.scope.as_deref(), agents.result), (true, Some("agents"), 256 << 10));
    assert_eq!(agents.resource.as_ref().unwrap().metadata, "/.well-known/oauth-protected-resource/web/mcp");
}
