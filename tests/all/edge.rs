//! The open side of the host: versions of HTTP, whose frontend it is, which endpoint, and what every answer says of itself.

use crate::support::{FOR_USER, GET_FILM, GET_PERSON, PATIENT, hold_people, knows_all, probe, raw};
use demo_services::proto::recommend::v1::ForUserResponse;
use futures_util::future::join_all;
use serde_json::{Value, json};
use weft_tests::{
    artifacts::renamed,
    host::TestHost,
    raw::Connection,
    setup::Setup,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
    web::{Reply, Web},
};

async fn host(upstream: &FakeUpstream) -> TestHost {
    let setup = Setup::new().identity("subject = \"x-md-global-subject\"").one_backend(upstream.address(), PATIENT);
    setup.plugin("probe.wasm", &probe()).plugin("raw.wasm", &raw()).start().await
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_and_http_2_without_tls_give_the_same_answers() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let (one, two) = (Web::new(host.address()), Web::h2c(host.address()));
    for (method, path, status) in [
        ("GET", "/echo/a?q=1", 200),
        ("POST", "/echo/a", 200),
        ("GET", "/films/7", 200),
        ("HEAD", "/films/7", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/films/7", 405),
        ("GET", "/problem", 409),
    ] {
        let ask = async |web: &Web| {
            let asked = web.request(method, path).header("x-request-id", "same");
            // Problems name both.
            let asked = asked.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
            let reply = asked.header("content-type", "application/json").body("body").send().await;
            let mut headers = reply.headers.clone();
            for differs in ["date", "traceparent", "server-timing"] {
                assert!(headers.remove(differs).is_some(), "{differs} of {reply:?}");
            }
            (reply.status, headers, reply.body)
        };
        let answer = ask(&one).await;
        assert_eq!(answer.0, status, "{method} {path}");
        assert_eq!(ask(&two).await, answer, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_serves_one_request_after_another_and_several_sent_at_once_in_their_order() {
    let gate = Gate::new();
    let upstream = knows_all().await;
    hold_people(&upstream, &gate, 1);
    let host = host(&upstream).await;
    let mut connection = Connection::open(host.address()).await;
    for path in ["/version", "/nothing", "/version"] {
        connection.send(&get(path)).await;
        let reply = connection.next().await;
        assert_eq!(reply.status, if path == "/version" { 200 } else { 404 }, "{reply:?}");
    }
    let post = b"POST /echo/b HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nbody".to_vec();
    connection.send(&[get("/people?ids=1"), post, get("/echo/c")].concat()).await;
    gate.reached().await;
    gate.open();
    assert_eq!(connection.next().await.body(), "[\"Person 1\"]");
    for (name, body) in [("b", "body"), ("c", "")] {
        let echo: Value = serde_json::from_str(connection.next().await.body()).unwrap();
        assert_eq!((&echo["params"], &echo["body"]), (&json!([["name", name]]), &body.into()));
    }
    connection.send(b"GET /version HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    assert_eq!(connection.next().await.body(), "1.0.0");
    assert_eq!(connection.rest().await, b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_http_2_connection_carries_many_requests_side_by_side() {
    let gate = Gate::new();
    let upstream = knows_all().await;
    hold_people(&upstream, &gate, 1);
    let setup = Setup::new().http("connections = 1").one_backend(upstream.address(), PATIENT);
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    let web = Web::h2c(host.address());
    let requests = join_all((0..20).map(|id| web.get(&format!("/people?ids={id}")).send()));
    let opened = async {
        upstream.arrived(GET_PERSON, 20).await;
        gate.open();
    };
    let (replies, ()) = tokio::join!(requests, opened);
    for reply in replies {
        assert_eq!(reply.ok().json(), json!(["Person 1"]));
    }
}

const CLIENTS: &str = r#"
[[client]]
name = "web"
host = "web.example"
[[client]]
name = "ios"
prefix = "/ios"
[[client]]
name = "beta"
prefix = "/ios/beta"
[[client]]
name = "tv"
header = { name = "x-client", value = "tv" }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_told_by_header_before_prefix_before_host() {
    let upstream = knows_all().await;
    let mut setup = Setup::new().clients(CLIENTS).one_backend(upstream.address(), "");
    for client in ["web", "ios", "beta"] {
        setup = setup.plugin(&format!("{client}.wasm"), &renamed(&probe(), &format!("probe-{client}"), client));
    }
    let host = setup.start().await;
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(host.get(path), |request, (name, value)| request.header(name, value));
        request.send().await
    };
    for (path, headers, client) in [
        ("/echo/a", &[("host", "web.example")][..], "web"),
        ("/echo/a", &[("host", "WEB.example:8443")], "web"),
        ("/ios/echo/a", &[], "ios"),
        ("/ios/echo/a", &[("host", "web.example")], "ios"),
        ("/ios/beta/echo/a", &[], "beta"),
    ] {
        let echo = ask(path, headers).await.ok().json();
        assert_eq!((&echo["client"], &echo["path"]), (&client.into(), &"/echo/a".into()), "{path} {headers:?}");
    }
    let over_http_2 = Web::h2c(host.address()).get("/echo/a").send().await.problem(404);
    for (found, kind) in [
        (ask("/echo/a", &[]).await.problem(404), "no-client"),
        (ask("/iosx/echo/a", &[]).await.problem(404), "no-client"),
        (ask("/echo/a", &[("host", "other.example")]).await.problem(404), "no-client"),
        (over_http_2, "no-client"),
        // These are told, but nobody serves them.
        (ask("/ios/echo/a", &[("x-client", "TV")]).await.problem(404), "not-found"),
        (ask("/echo/a", &[("host", "web.example"), ("x-client", "tv")]).await.problem(404), "not-found"),
    ] {
        assert_eq!(found["type"], format!("urn:weft:problem:{kind}"), "{found}");
        let who = "web (host web.example), ios (path /ios), beta (path /ios/beta), tv (header x-client: tv)";
        let expected = if kind == "no-client" { who } else { "client `tv` has no endpoint" };
        assert!(found["detail"].as_str().unwrap().contains(expected), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_plugins_share_a_path_and_other_methods_are_told_what_there_is() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    assert_eq!(host.get("/films/7").send().await.ok().text(), "Film 7", "the probe's");
    assert_eq!(host.post("/films/alien").send().await.ok().text(), r#"[("slug", "alien")]"#, "the other's");
    let methods = |path: &'static str, method: &'static str| host.web().request(method, path).send();
    for (path, method, allow) in [
        ("/films/7", "DELETE", "GET, POST, HEAD"),
        ("/cache/key", "POST", "GET, PUT, HEAD"),
        ("/orders", "GET", "POST"),
        ("/orders", "HEAD", "POST"),
    ] {
        let reply = methods(path, method).await;
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}: {reply:?}");
        if method == "HEAD" {
            assert_eq!((reply.status, reply.body.len()), (405, 0));
        } else {
            let problem = reply.problem(405);
            assert_eq!(problem["detail"], format!("{path} takes {allow}, not {method}"));
        }
    }
    for path in ["/", "/films/", "/films/7/", "/Films/7", "/films//7", "//films/7"] {
        let problem = host.get(path).send().await.problem(404);
        assert_eq!(problem["type"], "urn:weft:problem:not-found", "{path}");
        assert_eq!(problem["instance"], path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_a_problem_document_and_plugins_add_to_it_but_change_nothing() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced =
        |request: weft_tests::web::Request| request.header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let problem = traced(host.get("/problem?x=1").header("x-request-id", "p-1")).send().await.problem(409);
    let expected = json!({
        "type": "https://example.org/not-out", "title": "Conflict", "status": 409, "detail": "the film is not out yet",
        "instance": "/problem", "request_id": "p-1", "trace_id": trace, "release": "2030-01-01",
    });
    assert_eq!(problem, expected);
    let of_host = traced(host.get("/nothing").header("x-request-id", "p-2")).send().await.problem(404);
    let expected = json!({
        "type": "urn:weft:problem:not-found", "title": "No such endpoint", "status": 404, "instance": "/nothing",
        "detail": "client `test` has no endpoint at /nothing", "request_id": "p-2", "trace_id": trace,
    });
    assert_eq!(of_host, expected);
}

/// Trace id, span id and flags.
fn parts(traceparent: &str) -> [String; 3] {
    let parts: Vec<_> = traceparent.split('-').map(str::to_owned).collect();
    assert_eq!((parts.len(), parts[0].as_str()), (4, "00"), "{traceparent}");
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|b| b"0123456789abcdef".contains(&b));
    assert!(is_hex(&parts[1], 32) && is_hex(&parts[2], 16) && is_hex(&parts[3], 2), "{traceparent}");
    [parts[1].clone(), parts[2].clone(), parts[3].clone()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_is_taken_or_made_and_told_to_all() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    let host = host(&upstream).await;
    let long = "x".repeat(129);
    for (given, taken) in [
        (Some("gw-1.a_b:c"), true),
        (None, false),
        (Some("with space"), false),
        (Some("quo\"te"), false),
        (Some(long.as_str()), false),
    ] {
        let ask = async |request: weft_tests::web::Request| {
            let request = given.into_iter().fold(request, |request, id| request.header("x-request-id", id));
            request.send().await.ok()
        };
        let echo = ask(host.get("/echo/a")).await;
        let id = echo.header("x-request-id").unwrap().to_owned();
        assert_eq!(Some(id.as_str()) == given, taken, "{given:?} became {id}");
        assert!(taken || id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!(echo.json()["request_id"], id.as_str(), "the plugin is told");

        for (reply, method) in [
            (ask(host.get("/for-you").bearer(&token("ann"))).await, FOR_USER),
            (ask(host.get("/films/1")).await, GET_FILM),
        ] {
            let told = upstream.calls(method).pop().unwrap();
            assert_eq!(told.meta("x-request-id"), reply.header("x-request-id"), "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_gone_on_with_or_begun_and_passed_to_backends() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    for (given, goes_on) in [
        (Some(format!("00-{trace}-{span}-01")), true),
        (Some(format!("00-{trace}-{span}-00")), true),
        (Some(format!("00-{}-{span}-01", "0".repeat(32))), false),
        (Some("rubbish".to_owned()), false),
        (None, false),
    ] {
        let request = host.get("/films/1");
        let request = given.iter().fold(request, |request, parent| request.header("traceparent", parent));
        let reply = request.send().await.ok();
        let own = reply.header("traceparent").unwrap();
        let [its_trace, its_span, flags] = parts(own);
        assert_eq!(its_trace == trace, goes_on, "{given:?} became {own}");
        assert_ne!(its_span, span, "our span is our own");
        if goes_on {
            assert_eq!(flags, "00", "what costs something is not for everybody to say");
        }
        let told = upstream.calls(GET_FILM).pop().unwrap();
        assert_eq!(told.meta("traceparent"), Some(own));
    }
}

/// The entries of `server-timing`: name, then parameters.
fn timing(reply: &Reply) -> Vec<(String, String)> {
    let entries = reply.header("server-timing").unwrap().split(", ").map(str::to_owned).collect::<Vec<_>>();
    // The description has commas of its own.
    let text = entries.join(", ");
    let (durations, calls) = text.split_once(", calls;").unwrap_or((&text, ""));
    let mut found: Vec<_> = durations
        .split(", ")
        .map(|entry| entry.split_once(";dur=").unwrap())
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    assert!(found.iter().all(|(_, millis)| millis.parse::<f64>().is_ok_and(|millis| millis >= 0.0)), "{text}");
    found.push(("calls".to_owned(), calls.to_owned()));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_timing_tells_what_the_request_took_of_whom() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    for (path, names, calls) in [
        (
            "/outcome?film=1&person=1",
            &["total", "guest", "calls"][..],
            "desc=\"2 made, 2 upstream, 0 cached, depth 1\"",
        ),
        ("/films/1", &["total", "guest", "calls"], "desc=\"1 made, 1 upstream, 0 cached, depth 1\""),
        ("/version", &["total", "guest", "calls"], "desc=\"0 made, 0 upstream, 0 cached, depth 0\""),
        ("/nothing", &["total", "calls"], ""),
    ] {
        let timing = timing(&host.get(path).send().await);
        assert_eq!(timing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "{path}");
        assert_eq!(timing.last().unwrap().1, calls, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_sets_only_the_headers_that_it_may() {
    let upstream = knows_all().await;
    for (grants, cookie) in [("", None), ("response-headers = [\"set-cookie\", \"content-length\"]", Some("a=1"))] {
        let setup = Setup::new().plugins(grants).one_backend(upstream.address(), "");
        let host = setup.plugin("probe.wasm", &probe()).start().await;
        let reply = host.get("/headers").header("x-request-id", "h-1").send().await.ok();
        assert_eq!(reply.text(), "ok");
        assert_eq!(reply.header("set-cookie"), cookie, "asked for; granted by {grants:?}");
        for (name, value) in [("cache-control", "no-store"), ("vary", "accept-language")] {
            assert_eq!(reply.header(name), Some(value));
        }
        // Not even an own one: nobody knows what the gateway makes of it.
        for name in [
            "x-page",
            "access-control-allow-origin",
            "transfer-encoding",
            "strict-transport-security",
            "x-weft-degraded",
        ] {
            assert_eq!(reply.header(name), None, "{name}");
        }
        assert_eq!((reply.header("content-length"), reply.header("x-request-id")), (Some("2"), Some("h-1")));
        for name in ["server-timing", "traceparent"] {
            assert_ne!(reply.header(name), Some("forged"));
            assert_eq!(reply.headers.get_all(name).iter().count(), 1, "{name}");
        }
        assert_ne!(reply.header("connection"), Some("close"));
    }
}
