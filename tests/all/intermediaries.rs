//! What stands between the host and its clients: caches that have to be told, browsers that send more than they were asked, and people
//! who read its log.

use crate::support::{knows_all, probe, weft};
use bytes::Bytes;
use weft_tests::{
    artifacts::with_manifest,
    process::HostProcess,
    setup::Setup,
    tokens::token,
    web::{Reply, Web},
};

const CLIENTS: &str = "[[client]]\nname = \"test\"\nheader = { name = \"x-app\", value = \"probe\" }\n\n[[client]]\nname = \"other\"\nprefix = \"/other\"\n";

/// `GET /echo/{name}` is kept for everybody.
fn kept() -> Bytes {
    with_manifest(&probe(), |manifest| {
        let echo = manifest["endpoint"]["GET /echo/{name}"].as_table_mut().unwrap();
        let vary = r#"["accept-language", "x-md-global-subject", "x-weft-degraded", "x-real-ip"]"#;
        let rule =
            format!("cache = {{ ttl = \"1m\", stale-while-revalidate = \"30s\", scope = \"public\", vary = {vary} }}");
        echo.extend(rule.parse::<toml::Table>().unwrap());
    })
}

fn vary(reply: &Reply) -> Vec<String> {
    let mut names: Vec<String> = reply.headers.get_all("vary").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_are_told_for_whom_an_answer_is_and_by_what_it_differs() {
    let upstream = knows_all().await;
    let setup = Setup::new().clients(CLIENTS).identity("").one_backend(upstream.address(), "");
    let host = setup.plugin("probe.wasm", &kept()).start().await;
    let web = Web::new(host.address());
    let get = |path: &str| web.get(path).header("x-app", "probe");

    let made = get("/echo/a").send().await.ok();
    let hit = get("/echo/a").send().await.ok();
    let tag = hit.header("etag").unwrap().to_owned();
    let same = get("/echo/a").header("if-none-match", &tag).send().await;
    let head = web.request("HEAD", "/echo/a").header("x-app", "probe").send().await;
    assert_eq!((same.status, head.status), (304, 200));
    for reply in [&made, &hit, &same, &head] {
        assert_eq!(reply.header("cache-control"), Some("public, max-age=60, stale-while-revalidate=30"), "{reply:?}");
        assert!(vary(reply).contains(&"x-app".to_owned()), "{reply:?}");
        assert!(vary(reply).contains(&"accept-language".to_owned()), "{reply:?}");
    }
    let private = get("/maybe").bearer(&token("ann")).send().await.ok();
    assert_eq!(private.header("cache-control"), Some("private"));
    let missing = get("/nothing/here").send().await;
    assert_eq!((missing.status, missing.header("cache-control")), (404, Some("no-store")));
    let bad = get("/maybe").bearer("no token").send().await;
    assert_eq!((bad.status, bad.header("cache-control")), (401, Some("no-store")));
}

/// Where a gateway makes tokens of cookies, `same-origin` keeps foreign pages from acting for who is signed in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_page_changes_nothing_where_cookies_count() {
    let upstream = knows_all().await;
    let client = "[[client]]\nname = \"test\"\nsame-origin = true\ncors = { origins = [\"https://shop.example\"] }\n";
    let setup = Setup::new().clients(client).one_backend(upstream.address(), "");
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    let own = format!("http://{}", host.address());
    let asked = async |headers: &[(&str, &str)]| {
        let request = host.post("/echo/a").json(&serde_json::json!({}));
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await.status
    };
    for foreign in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
        &[("origin", "https://evil.example"), ("origin", "https://shop.example")],
    ] {
        assert_eq!(asked(foreign).await, 403, "{foreign:?}");
    }
    for good in [
        &[("origin", &*own)][..],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")],
    ] {
        assert_eq!(asked(good).await, 200, "{good:?}");
    }
    assert_eq!(host.get("/version").send().await.status, 200, "what only reads may be asked for by anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_says_what_it_is() {
    let upstream = knows_all().await;
    let host = Setup::new().one_backend(upstream.address(), "").plugin("probe.wasm", &probe()).start().await;
    let nameless = host.post("/orders").body("{}").send().await;
    let problem = nameless.problem(415);
    assert_eq!(problem["field"], "header.content-type", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("does not say what its body is"), "{problem}");
    assert_ne!(host.post("/orders").json(&serde_json::json!({})).send().await.status, 415);
}

/// One line a request, with all that is asked about it; whatever a client writes into it, it stays one line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_who_asked_what_and_is_not_theirs_to_write() {
    let upstream = knows_all().await;
    let setup = Setup::new().identity("").one_backend(upstream.address(), "").plugin("probe.wasm", &probe());
    let folder = setup.write();
    let host = HostProcess::start(weft(), &folder).await;
    let web = host.web();
    web.get("/maybe").bearer(&token("ann")).send().await.ok();
    let line = host.until_line("path=\"/maybe\"").await;
    for part in ["client=\"test\"", "caller=\"", "address=127.0.0.1", "upstream=0", "status=200"] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
    assert!(!line.contains("ann"), "by default callers are hashed: {line}");
    web.get("/log?lines=1&text=a%0D%0A%1B%5B2J%E2%80%AEforged").send().await;
    let line = host.until_line("forged").await;
    assert!(line.contains(r"a\r\n\u{1b}[2J\u{202e}forged"), "{line}");
}
