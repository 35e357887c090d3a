//! What clients and endpoints say of formats: packed answers, tags, CORS, OPTIONS, `accept` and `content-type`.

use crate::support::{knows_all, probe};
use weft_tests::{host::TestHost, packing::unpack, setup::Setup, web::Reply};

/// What docs/frontends/calling.md says that pages of other origins can read: the headers of its table, and some more.
fn documented_as_readable() -> Vec<String> {
    let text = include_str!("../../../docs/frontends/calling.md");
    let part = text.split("## What you get").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let more = part.split("Pages of other origins").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = rows.flat_map(|cell| cell.split(", ")).chain(more.split('`').skip(1).step_by(2));
    // Every page can read these (the safelisted response headers of the Fetch standard).
    let is_safelisted = |name: &String| ["cache-control", "last-modified"].contains(&name.as_str());
    let mut names: Vec<_> =
        names.map(|name| name.trim_matches('`').to_owned()).filter(|name| !is_safelisted(name)).collect();
    names.sort();
    assert!(names.len() > 8, "{names:?}");
    names
}

async fn host(clients: &str) -> TestHost {
    Setup::new().clients(clients).one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe()).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_packed_for_clients_that_ask_for_it_if_they_are_worth_it() {
    let host = host("").await;
    let ask = async |bytes: usize, accepts: &str| {
        let request = host.get(&format!("/big?bytes={bytes}")).header("accept-encoding", accepts);
        request.send().await.ok()
    };
    let text = "x".repeat(50_000);
    for (accepts, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip;q=0.5, br;q=0.9", "br"),
        ("deflate, gzip", "gzip"),
        ("identity;q=0.1, zstd;q=1", "zstd"),
        ("identity;q=0, *", "zstd"),
        ("br;q=0, *", "zstd"),
    ] {
        let reply = ask(text.len(), accepts).await;
        assert_eq!(reply.header("content-encoding"), Some(coding), "{accepts}");
        assert!(reply.body.len() < 5_000, "{} bytes", reply.body.len());
        assert_eq!(unpack(coding, &reply.body).await, text.as_bytes(), "{accepts}");
        assert_eq!(reply.header("vary"), Some("accept-encoding"));
        assert_eq!(reply.header("content-length"), Some(&*reply.body.len().to_string()), "{accepts}");
    }
    for (bytes, accepts) in
        [(50_000, ""), (50_000, "identity"), (50_000, "lzma"), (50_000, "gzip;q=0"), (500, "gzip, br, zstd")]
    {
        let reply = ask(bytes, accepts).await;
        assert_eq!((reply.header("content-encoding"), reply.body.len()), (None, bytes), "{bytes} {accepts}");
    }
    assert_eq!(ask(500, "identity;q=0, gzip").await.header("content-encoding"), Some("gzip"));
    for refuses in ["*;q=0", "identity;q=0", "identity;q=0, lzma"] {
        let reply = host.get("/big?bytes=500").header("accept-encoding", refuses).send().await;
        assert_eq!(reply.problem(406)["field"], "header.accept-encoding", "{refuses}");
    }
    let off = Setup::new().http("compress = false").one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe());
    let reply = off.start().await.get("/big?bytes=50000").header("accept-encoding", "gzip").send().await.ok();
    assert_eq!((reply.header("content-encoding"), reply.body.len()), (None, 50_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_the_client_has_is_a_304_without_its_body() {
    let host = host("").await;
    for (path, coding) in [("/version", ""), ("/big?bytes=50000", ""), ("/big?bytes=50000", "br")] {
        let ask = |method: &str| host.web().request(method, path).header("accept-encoding", coding);
        let first = ask("GET").send().await.ok();
        assert_eq!(first.header("content-encoding").unwrap_or(""), coding);
        let tag = first.header("etag").unwrap().to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        let bare = tag.trim_start_matches("W/");
        for known in [&tag, bare, "*", &format!("\"a\", {tag}"), &format!("W/\"a\" ,{bare}, \"b\"")] {
            for method in ["GET", "HEAD"] {
                let reply = ask(method).header("if-none-match", known).send().await;
                assert_eq!((reply.status, reply.body.len()), (304, 0), "{method} {path} {known}");
                assert_eq!(reply.header("etag"), Some(tag.as_str()));
                for name in ["content-type", "content-length", "content-encoding"] {
                    assert_eq!(reply.header(name), None, "{name}");
                }
                assert!(reply.header("x-request-id").is_some());
            }
        }
        for other in ["\"a\"", "W/\"a\", \"b\"", "", &bare[..bare.len() - 1], "**"] {
            assert_eq!(ask("GET").header("if-none-match", other).send().await.ok().body, first.body, "{other}");
        }
    }
    let twice = host.get("/version").header("if-none-match", "\"a\"").header("if-none-match", "*").send().await;
    assert_eq!(twice.status, 304, "the list may come in several lines");
    // A plugin's own tag is taken, and nothing but a whole answer to a read is known.
    let own =
        async |known: &str| host.get("/with-header/etag?value=%22own%22").header("if-none-match", known).send().await;
    assert_eq!((own("\"own\"").await.status, own("\"other\"").await.ok().header("etag")), (304, Some("\"own\"")));
    assert_eq!(host.get("/problem").header("if-none-match", "*").send().await.status, 409);
    assert_eq!(host.post("/echo/a").header("if-none-match", "*").body("x").send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strong_tag_is_weak_where_the_answer_is_packed() {
    let host = host("").await;
    let ask = async |coding: &str| {
        let request = host.get("/with-header/etag?value=%22own%22&bytes=5000").header("accept-encoding", coding);
        request.header("x-request-id", "same").send().await.ok().header("etag").unwrap().to_owned()
    };
    assert_eq!((ask("identity").await, ask("gzip").await), ("\"own\"".to_owned(), "W/\"own\"".to_owned()));
}

const CORS: &str = r#"
[[client]]
name = "test"
prefix = "/web"
cors = { origins = ["https://www.example.com", "http://localhost:3000"], headers = ["content-type", "x-token"], credentials = true, max-age = "5m" }
[[client]]
name = "any"
prefix = "/any"
cors = { origins = ["*"] }
[[client]]
name = "none"
prefix = "/none"
"#;

fn allowed(reply: &Reply) -> [Option<&str>; 4] {
    ["origin", "methods", "headers", "credentials"].map(|what| reply.header(&format!("access-control-allow-{what}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_of_allowed_origins_may_ask_across_origins_and_others_may_not() {
    let host = host(CORS).await;
    let preflight = async |path: &str, origin: &str| {
        let request = host.web().request("OPTIONS", path).header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "x-token")
            .send()
            .await
    };
    let ours = "https://www.example.com";
    let methods = "GET, POST, HEAD, OPTIONS";
    let reply = preflight("/web/echo/a", ours).await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(allowed(&reply), [Some(ours), Some(methods), Some("content-type, x-token"), Some("true")]);
    assert_eq!(reply.header("access-control-max-age"), Some("300"));
    assert_eq!(reply.header("vary"), Some("origin"));
    for stranger in [
        "https://evil.example",
        "https://www.example.com.evil.example",
        "http://www.example.com",
        "https://www.example.com:8443",
        "null",
        "",
    ] {
        let reply = preflight("/web/echo/a", stranger).await;
        assert_eq!((reply.status, allowed(&reply)), (204, [None; 4]), "{stranger}");
        assert_eq!(reply.header("vary"), Some("origin"));
        let reply = host.get("/web/version").header("origin", stranger).send().await.ok();
        assert_eq!(allowed(&reply), [None; 4], "{stranger}");
    }
    // The request itself, and its failures, so that the page can read them.
    for (path, status) in [("/web/version", 200), ("/web/problem", 409), ("/web/films/x", 400), ("/web/nothing", 404)] {
        let reply = host.get(path).header("origin", ours).send().await;
        assert_eq!((reply.status, allowed(&reply)), (status, [Some(ours), None, None, Some("true")]), "{path}");
        let exposed: Vec<_> = reply.header("access-control-expose-headers").unwrap().split(", ").collect();
        assert_eq!(exposed, documented_as_readable(), "{path}");
    }
    let plain = host.get("/web/version").send().await.ok();
    assert_eq!((allowed(&plain), plain.header("vary")), ([None; 4], Some("origin")), "caches have to know");
    assert_eq!(preflight("/web/nothing", ours).await.status, 404);

    // Where nothing is configured, nothing is said, and the plugin says nothing for us.
    let reply = host.get("/none/nothing").header("origin", ours).send().await;
    assert_eq!((reply.status, allowed(&reply), reply.header("vary")), (404, [None; 4], None));
    let any = host.get("/any/nothing").header("origin", "https://evil.example").send().await;
    assert_eq!(allowed(&any), [Some("*"), None, None, None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_tells_the_methods_of_a_path_to_anybody() {
    let host = host("").await;
    for (path, methods) in
        [("/version", "GET, HEAD, OPTIONS"), ("/orders", "POST, OPTIONS"), ("/cache/a", "GET, PUT, HEAD, OPTIONS")]
    {
        let reply = host.web().request("OPTIONS", path).send().await;
        assert_eq!((reply.status, reply.header("allow"), allowed(&reply)), (204, Some(methods), [None; 4]), "{path}");
    }
    host.web().request("OPTIONS", "/nothing").send().await.problem(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_that_the_endpoint_makes_gets_a_406_before_anything_runs() {
    let upstream = knows_all().await;
    let host = Setup::new().one_backend(upstream.address(), "").plugin("probe.wasm", &probe()).start().await;
    for (accept, status) in [
        ("application/json", 200),
        ("*/*", 200),
        ("text/html, application/*;q=0.8", 200),
        ("APPLICATION/JSON;charset=utf-8", 200),
        ("text/html", 406),
        ("text/html, application/json;q=0", 406),
        ("image/*", 406),
    ] {
        let reply = host.get("/films/7").header("accept", accept).send().await;
        assert_eq!(reply.status, status, "{accept}: {reply:?}");
        if status == 406 {
            let problem = reply.problem(406);
            assert_eq!(problem["field"], "header.accept");
            assert!(problem["detail"].as_str().unwrap().contains("application/json"), "{problem}");
        }
    }
    assert_eq!(upstream.total(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_a_kind_that_the_endpoint_does_not_take_is_a_415() {
    let host = host("").await;
    let order = r#"{"lines": [{"film": 1, "stars": 5}]}"#;
    for (kind, status) in [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/vnd.shop.order+json", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("rubbish", 415),
        ("", 415),
    ] {
        let reply = host.post("/orders").header("content-type", kind).body(order).send().await;
        assert_eq!(reply.status, status, "{kind}: {reply:?}");
        if status == 415 {
            assert_eq!(reply.header("accept"), Some("application/json"));
            assert_eq!(reply.problem(415)["field"], "header.content-type");
        }
    }
    assert_eq!(
        host.post("/echo/a").header("content-type", "anything/else").body("x").send().await.ok().json()["body"],
        "x"
    );
}
