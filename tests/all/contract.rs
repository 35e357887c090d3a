//! What a client may ask and what it gets, as a document: printed, asked of a host, and served; and what answers say of rates and of
//! what goes away.

mod documents;
mod proven;

use crate::support::{knows_all, probe, weft};
use serde_json::json;
use weft_tests::{
    artifacts::with_manifest,
    host::TestHost,
    setup::Setup,
    tokens::{Token, token},
};

const CLIENT: &str = "[[client]]\nname = \"test\"\nprefix = \"/t\"\n";

/// A host of the probe, whose client has these lines, and whose manifest these at `GET /version`.
async fn host(client: &str, endpoint: &str) -> TestHost {
    let artifact = with_manifest(&probe(), |manifest| {
        let version = manifest["endpoint"]["GET /version"].as_table_mut().unwrap();
        version.extend(endpoint.parse::<toml::Table>().unwrap());
    });
    let upstream = knows_all().await;
    let setup = Setup::new().clients(&format!("{CLIENT}{client}")).identity("").one_backend(upstream.address(), "");
    setup.plugin("probe.wasm", &artifact).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_served_printed_and_asked_for_with_the_same_bytes() {
    let host = host("openapi = true\n[client.cors]\norigins = [\"https://www.example.com\"]\n", "").await;
    let served = host.get("/t/openapi.json").header("origin", "https://www.example.com").send().await.ok();
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.header("access-control-allow-origin"), Some("https://www.example.com"));
    assert_eq!(served.json()["servers"], json!([{ "url": "/t" }]));
    let asked = host.admin("/v1/openapi?client=test").send().await.ok();
    assert_eq!(asked.text(), served.text());
    let folder = host.folder.config();
    let admin = host.admin_address().to_string();
    let token = host.folder.admin_token();
    let sources: [&[&str]; 2] =
        [&["--config", folder.to_str().unwrap()], &["--admin", &admin, "--token-file", token.to_str().unwrap()]];
    for source in sources {
        let printed = weft_tests::process::run(weft(), &[&["openapi", "--client", "test"], source].concat()).await;
        assert_eq!((printed.code, printed.out), (0, served.text()), "{}", printed.err);
    }

    let etag = served.header("etag").unwrap();
    let again = host.get("/t/openapi.json").header("if-none-match", etag).send().await;
    assert_eq!((again.status, again.text().len()), (304, 0));
    let head = host.web().request("HEAD", "/t/openapi.json").send().await;
    assert_eq!((head.status, head.header("etag")), (200, Some(etag)));
    assert_eq!(host.post("/t/openapi.json").send().await.problem(405)["type"], "urn:weft:problem:method-not-allowed");
    let unknown = host.admin("/v1/openapi?client=nobody").send().await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("one of: test"), "{}", unknown.text());

    // Another plugin, another document.
    let newer = with_manifest(&probe(), |manifest| {
        manifest["plugin"]["version"] = "1.0.1".into();
        manifest["endpoint"]["GET /version"].as_table_mut().unwrap().insert("rate".into(), "100/s".into());
    });
    host.folder.install("newer.wasm", &newer);
    host.until_live("probe", "1.0.1").await;
    let after = host.get("/t/openapi.json").header("if-none-match", etag).send().await.ok();
    assert_eq!(after.json()["info"]["version"], "1.0.1");
    assert!(after.json()["paths"]["/version"]["get"]["responses"].get("429").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_see_a_document_is_said_by_scope_and_problems_are_explained_to_everybody() {
    let host = host("openapi = { scope = \"contract\" }", "").await;
    let refused = host.get("/t/openapi.json").send().await;
    assert_eq!(refused.problem(401)["type"], "urn:weft:problem:unauthorized");
    let refused = host.get("/t/openapi.json").bearer(&token("ann")).send().await;
    assert_eq!(refused.problem(403)["type"], "urn:weft:problem:insufficient-scope");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"insufficient_scope\", scope=\"contract\""));
    let scoped = Token::of("ann").claim("scope", "films contract").sign();
    let shown = host.get("/t/openapi.json").bearer(&scoped).send().await.ok();
    assert_eq!(shown.header("cache-control"), Some("private, no-cache"));
    assert_eq!(shown.json()["openapi"], "3.1.0");

    let page = host.get("/t/problems/busy").send().await.ok();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
    assert!(page.text().contains("urn:weft:problem:busy") && page.text().contains("503"), "{}", page.text());
    assert!(host.get("/t/problems").send().await.ok().text().contains("problems/rate-limited"));
    assert_eq!(host.get("/t/problems/nonsense").send().await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_shown_where_nobody_said_so() {
    let host = host("", "").await;
    for path in ["/t/openapi.json", "/t/problems", "/t/problems/busy"] {
        assert_eq!(host.get(path).send().await.problem(404)["type"], "urn:weft:problem:not-found", "{path}");
    }
    assert_eq!(host.admin("/v1/openapi").send().await.ok().json()["openapi"], "3.1.0", "but to the operator");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_away_says_so_and_who_still_calls_it_is_counted() {
    let deprecated =
        "deprecated = { since = \"2026-11-01\", sunset = \"2027-06-01\", link = \"https://example.com/changes\" }";
    let host = host("openapi = true\nversion-header = \"x-app-version\"", deprecated).await;
    let ask = |version: &'static str| host.get("/t/version").header("x-app-version", version).send();
    let reply = ask("4.2.0").await.ok();
    assert_eq!(reply.header("deprecation"), Some("@1793491200"));
    assert_eq!(reply.header("sunset"), Some("Tue, 01 Jun 2027 00:00:00 GMT"));
    assert_eq!(reply.header("link"), Some("<https://example.com/changes>; rel=\"deprecation\""));
    ask("4.2.0").await.ok();
    ask("\"} nonsense").await.ok();
    host.get("/t/version").send().await.ok();
    let metrics = host.metrics().await;
    for (app, count) in [("4.2.0", 2.0), ("other", 1.0), ("unknown", 1.0)] {
        let labels = [("client", "test"), ("endpoint", "GET /version"), ("app", app)];
        assert_eq!(metrics.sum("weft_deprecated_requests_total", &labels), count, "{app}");
    }
    assert_eq!(host.get("/t/config/x").send().await.header("deprecation"), None);
    let document = host.get("/t/openapi.json").send().await.ok().json();
    assert_eq!(document["paths"]["/version"]["get"]["deprecated"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_say_what_is_left_of_a_rate_unless_others_get_them_too() {
    let limited = host("", "principal-rate = \"3/h\"").await;
    for left in [2, 1, 0] {
        let reply = limited.get("/t/version").send().await.ok();
        assert_eq!(reply.header("ratelimit-policy"), Some("\"default\";q=3;w=3600"));
        let told = reply.header("ratelimit").unwrap();
        assert!(told.starts_with(&format!("\"default\";r={left};t=")), "{told}");
    }
    let refused = limited.get("/t/version").send().await;
    assert!(refused.header("ratelimit").is_some_and(|told| told.starts_with("\"default\";r=0;t=")));
    assert_eq!(limited.get("/t/config/x").send().await.header("ratelimit"), None, "another endpoint has no rate");

    let public = host("", "principal-rate = \"3/h\"\ncache = { scope = \"public\" }").await;
    let reply = public.get("/t/version").send().await.ok();
    assert!(reply.header("cache-control").is_some_and(|value| value.contains("public")));
    assert_eq!(reply.header("ratelimit"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_say_beside_their_body_can_be_read_by_other_origins() {
    let host = host(
        "[client.cors]\norigins = [\"https://www.example.com\"]\n",
        "principal-rate = \"9/h\"\ncache = { ttl = \"1m\" }\nauth = \"required\"",
    )
    .await;
    let get = |path: &str| host.get(path).header("origin", "https://www.example.com").bearer(&token("ann")).send();
    let reply = get("/t/version").await.ok();
    let exposed = reply.header("access-control-expose-headers").unwrap();
    for name in ["cache-status", "ratelimit", "ratelimit-policy", "etag", "x-request-id"] {
        assert!(reply.header(name).is_some() && exposed.split(", ").any(|other| other == name), "{name}: {reply:?}");
    }
    for name in ["idempotent-replayed", "x-weft-degraded", "deprecation", "retry-after"] {
        assert!(exposed.split(", ").any(|other| other == name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_that_no_document_tells_of_are_counted() {
    let host = host("", "").await;
    assert_eq!(host.get("/t/problem").send().await.problem(409)["type"], "https://example.org/not-out");
    let labels = [("client", "test"), ("endpoint", "GET /problem"), ("plugin", "probe")];
    assert_eq!(host.metrics().await.sum("weft_undeclared_problems_total", &labels), 1.0);
}
