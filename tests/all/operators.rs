//! Who may look at a host and change it through its admin interface, and what is refused.

use crate::support::{probe, weft};
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;
use weft_tests::{
    host::TestHost,
    process::{HostProcess, run},
    setup::Setup,
    tls::Authority,
    wait::until,
    web::{Reply, Request, Web},
};

const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

/// The token of a role.
fn token(role: &str) -> String {
    format!("s3cret-of-the-{role}")
}

/// A host with a token for each role.
async fn host(more: &str) -> (TestHost, Web, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let host = setup(folder.path(), more).start().await;
    let admin = Web::new(host.admin_address());
    (host, admin, folder)
}

fn setup(folder: &Path, more: &str) -> Setup {
    let one = |role: &str| {
        let file = folder.join(role);
        std::fs::write(&file, token(role)).unwrap();
        format!("{{ name = \"of-{role}\", role = \"{role}\", token = \"file:{}\" }}", file.display())
    };
    let lines = format!("tokens = [{}]\n{more}", ROLES.map(one).join(", "));
    Setup::new().admin(&lines).one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe())
}

fn refused(reply: &Reply, status: u16, reason: &str) {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    assert_eq!((reply.status, &reply.json()["reason"]), (status, &json!(reason)), "{reply:?}");
}

const FORM: &str = "application/x-www-form-urlencoded";

/// What a page of the host sends.
fn of_page(host: &TestHost, request: Request) -> Request {
    request.header("origin", &format!("http://{}", host.admin_address()))
}

async fn sign_in(host: &TestHost, admin: &Web, role: &str) -> (String, Reply) {
    let request = of_page(host, admin.post("/v1/session")).header("content-type", FORM);
    let reply = request.body(format!("token={}", token(role))).send().await.ok();
    let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    (cookie, reply)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_nothing_is_seen_but_health_and_metrics() {
    let (host, admin, _folder) = host("").await;
    for path in ["/livez", "/readyz", "/metrics"] {
        admin.get(path).send().await.ok();
        assert_ne!(admin.post(path).send().await.status, 200, "{path}");
    }
    for path in [
        "/v1/plugins",
        "/v1/backends",
        "/v1/identity",
        "/v1/session",
        "/v1/other",
        "/",
        "/console.js",
        "/livez/",
        "//livez",
    ] {
        let reply = admin.get(path).send().await;
        refused(&reply, 401, "unknown");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"weft admin\""));
        refused(&admin.request("OPTIONS", path).send().await, 401, "unknown");
    }
    for path in ["/v1/invalidate", "/v1/config/reload"] {
        refused(&admin.post(path).send().await, 401, "unknown");
        refused(&admin.post(path).bearer("s3cret-of-the-admi").send().await, 401, "wrong");
    }
    for line in ["Basic czNjcmV0", "s3cret-of-the-admin", "bearer s3cret-of-the-admin", "Bearer", ""] {
        refused(&admin.get("/v1/plugins").header("authorization", line).send().await, 401, "wrong");
    }
    let twice = admin.get("/v1/plugins").bearer(&token("admin")).bearer(&token("admin")).send().await;
    refused(&twice, 401, "wrong");
    let visit = admin.get("/").header("accept", "text/html").send().await;
    assert_eq!((visit.status, visit.header("location")), (303, Some("/sign-in")));
    let scrape = host.metrics().await;
    assert!(scrape.sum("weft_admin_refused_total", &[("reason", "unknown")]) > 10.0);
    assert!(scrape.sum("weft_admin_refused_total", &[("reason", "wrong")]) >= 8.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_do_what_it_is_for_and_no_more() {
    let (_host, admin, _folder) = host("").await;
    let statuses = async |role: &str| {
        let token = token(role);
        let requests = [
            admin.get("/v1/plugins"),
            admin.post("/v1/invalidate").body(r#"{"all": true}"#),
            admin.post("/v1/config/reload"),
        ];
        let mut statuses = Vec::new();
        for request in requests {
            let reply = request.bearer(&token).send().await;
            if reply.status == 403 {
                refused(&reply, 403, "role");
            }
            statuses.push(reply.status);
        }
        statuses
    };
    assert_eq!(statuses("viewer").await, [200, 403, 403]);
    assert_eq!(statuses("operator").await, [200, 200, 403]);
    assert_eq!(statuses("admin").await, [200, 200, 200]);
    refused(&admin.request("DELETE", "/v1/plugins").bearer(&token("operator")).send().await, 403, "role");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_signed_in_for_a_while_and_changes_come_from_its_own_page() {
    let (host, admin, _folder) = host("").await;
    let (cookie, reply) = sign_in(&host, &admin, "operator").await;
    let line = reply.header("set-cookie").unwrap();
    assert!(
        line.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict") || line.contains("Max-Age=3599"),
        "{line}"
    );
    assert!(!line.contains("s3cret") && reply.header("cache-control") == Some("no-store"), "{reply:?}");
    let told = admin.get("/v1/session").header("cookie", &cookie).send().await.ok().json();
    assert_eq!((&told["name"], &told["role"]), (&json!("of-operator"), &json!("operator")));
    let csrf = told["csrf"].as_str().unwrap();
    assert_eq!(reply.json()["csrf"], csrf);
    let signed = |request: Request| request.header("cookie", &format!("other=1; {cookie}"));
    signed(admin.get("/v1/plugins")).send().await.ok();
    refused(
        &of_page(&host, signed(admin.post("/v1/config/reload"))).header("x-weft-csrf", csrf).send().await,
        403,
        "role",
    );

    let change = || signed(admin.post("/v1/invalidate")).body(r#"{"all": true}"#);
    refused(&change().header("x-weft-csrf", csrf).send().await, 403, "origin");
    for foreign in [
        "http://evil.test",
        "null",
        "https://127.0.0.1",
        "http://localhost:1",
        &format!("http://{}.evil.test", host.admin_address()),
    ] {
        refused(&change().header("x-weft-csrf", csrf).header("origin", foreign).send().await, 403, "origin");
    }
    let elsewhere = of_page(&host, change()).header("x-weft-csrf", csrf).header("sec-fetch-site", "same-site");
    refused(&elsewhere.send().await, 403, "origin");
    refused(&of_page(&host, change()).send().await, 403, "csrf");
    let (_, other) = sign_in(&host, &admin, "operator").await;
    let of_other = other.json()["csrf"].as_str().unwrap().to_owned();
    refused(&of_page(&host, change()).header("x-weft-csrf", &of_other).send().await, 403, "csrf");
    of_page(&host, change()).header("x-weft-csrf", csrf).send().await.ok();

    let leave = of_page(&host, signed(admin.request("DELETE", "/v1/session"))).header("x-weft-csrf", csrf).send().await;
    assert_eq!(leave.status, 204);
    assert!(leave.header("set-cookie").unwrap().contains("=; Path=/; Max-Age=0; "), "{leave:?}");
    refused(&signed(admin.get("/v1/plugins")).send().await, 401, "wrong");
    assert_eq!(signed(admin.get("/").header("accept", "text/html")).send().await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_and_is_begun_by_a_page_of_the_host_only() {
    let (host, admin, _folder) = host("session = \"1s\"").await;
    let (cookie, _) = sign_in(&host, &admin, "viewer").await;
    let status = async || admin.get("/v1/plugins").header("cookie", &cookie).send().await.status;
    until("the session to end", async || (status().await == 401).then_some(())).await;

    let good = format!("token={}", token("viewer"));
    let form = || admin.post("/v1/session").header("content-type", FORM);
    refused(&form().body(good.clone()).send().await, 403, "origin");
    refused(&form().body(good.clone()).header("origin", "http://evil.test").send().await, 403, "origin");
    let own = |request| of_page(&host, request);
    refused(
        &own(admin.post("/v1/session").header("content-type", "text/plain")).body(good.clone()).send().await,
        400,
        "form",
    );
    for bad in ["", "token=", "tok=1", "token=a&token=b", "token=%ff", &format!("token={}", "a".repeat(5_000))] {
        refused(&own(form()).body(bad.to_owned()).send().await, 400, "form");
    }
    refused(&own(form()).body("token=none").send().await, 401, "wrong");
    own(form()).body(good.replace('-', "%2D")).send().await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_has_made_its_name_lead_here_gets_nothing() {
    let (host, admin, _folder) = host("hosts = [\"weft.internal\", \"10.1.2.3\"]").await;
    let port = host.admin_address().port();
    let of = |name: &str| admin.get("/v1/plugins").bearer(&token("viewer")).header("host", name);
    for good in [
        "localhost",
        "LocalHost:80",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]:9090",
        "weft.internal",
        "WEFT.internal.:8443",
        "10.1.2.3:9090",
    ] {
        of(good).send().await.ok();
    }
    let rebound = format!("evil.test:{port}");
    for bad in [
        &*rebound,
        "10.1.2.4",
        "localhost.evil.test",
        "weft.internal.evil.test",
        "127.0.0.1.nip.io",
        "a@localhost",
        "[::2]",
    ] {
        refused(&of(bad).send().await, 421, "host");
        // Nor does it learn whether there is a sign-in.
        refused(&admin.get("/sign-in").header("host", bad).send().await, 421, "host");
        admin.get("/readyz").header("host", bad).send().await.ok();
    }
    let form = admin.post("/v1/session").header("content-type", FORM).header("host", &rebound);
    let form = form.header("origin", &format!("http://{rebound}")).body(format!("token={}", token("viewer")));
    refused(&form.send().await, 421, "host");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_has_to_wait_and_who_is_signed_in_has_not() {
    let (host, admin, _folder) = host("").await;
    let (cookie, _) = sign_in(&host, &admin, "viewer").await;
    let guess = async |token: &str| admin.get("/v1/plugins").bearer(token).send().await;
    // An old token, again and again, is no guess.
    for _ in 0..50 {
        refused(&guess("old").await, 401, "wrong");
    }
    for number in 0..9 {
        refused(&guess(&format!("guess-{number}")).await, 401, "wrong");
    }
    let waits = guess("one more").await;
    refused(&waits, 429, "too-many");
    assert!(waits.header("retry-after").unwrap().parse::<u32>().unwrap() <= 7, "{waits:?}");
    let form = of_page(&host, admin.post("/v1/session")).header("content-type", FORM);
    refused(&form.body("token=another").send().await, 429, "too-many");
    refused(&guess("old").await, 401, "wrong");
    admin.get("/v1/plugins").header("cookie", &cookie).send().await.ok();
    admin.get("/readyz").send().await.ok();
    until("the wait to end", async || (guess(&token("admin")).await.status == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_cookies_stay_in_it_and_commands_ask_by_token() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (ca, [certificate, key]) =
        (authority.write(folder.path(), "ca.pem"), authority.issue(folder.path(), "localhost"));
    let written = setup(folder.path(), &format!("tls = {{ certificate = {certificate:?}, key = {key:?} }}")).write();
    let process = HostProcess::start(weft(), &written).await;
    process.until_line(&format!("(admin on https://{})", process.admin)).await;
    let admin = Web::tls(process.admin, &ca, None);
    let base = format!("https://localhost:{}", process.admin.port());
    let form = admin.post("/v1/session").header("content-type", FORM).body(format!("token={}", token("viewer")));
    let reply = form.header("origin", &base).send().await.ok();
    let line = reply.header("set-cookie").unwrap();
    assert!(line.starts_with("__Host-weft-admin-") && line.ends_with("; Secure"), "{line}");

    let (ca, file) = (ca.to_str().unwrap(), folder.path().join("viewer"));
    let top =
        async |more: &[&str]| run(weft(), &[&["top", "--json", "--admin", &base, "--ca", ca], more].concat()).await;
    let said = top(&["--token-file", file.to_str().unwrap()]).await;
    assert!(said.code == 0 && said.out.contains("\"probe\""), "{said:?}");
    let said = top(&[]).await;
    assert!(said.code == 1 && said.err.contains("this needs a token") && said.err.contains("--token-file"), "{said:?}");
    let said = run(weft(), &["health", "--admin", &base, "--ca", ca]).await;
    assert_eq!((said.code, said.out.trim()), (0, "ready"), "{said:?}");
}

#[tokio::test]
async fn a_listener_beyond_this_machine_takes_no_tokens_in_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |listen: &str, more: &str| {
        let setup = setup(folder.path(), more).write();
        setup.change(|text| {
            text.replace("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"{listen}\""))
        });
        run(weft(), &["check", "--config", setup.config().to_str().unwrap()]).await
    };
    for listen in ["0.0.0.0:9090", "[::]:9090", "10.0.0.1:9090"] {
        let said = check(listen, "").await;
        assert!(said.code == 2 && said.err.contains("admin.listen: ") && said.err.contains("behind-tls"), "{said:?}");
        assert_eq!(check(listen, "behind-tls = true").await.code, 0);
    }
    for listen in ["127.0.0.1:9090", "[::1]:9090", "127.1.2.3:9090"] {
        assert_eq!(check(listen, "").await.code, 0, "{listen}");
    }
    for (lines, expected) in [
        ("hosts = [\"http://weft\"]", "admin.hosts: expected names or addresses"),
        ("hosts = [\"weft:9090\"]", "admin.hosts: expected names or addresses"),
        ("session = \"48h\"", "admin.session: expected a value from"),
        ("tls = { certificate = \"nowhere\", key = \"nowhere\" }", "admin.tls: "),
    ] {
        let said = check("127.0.0.1:9090", lines).await;
        assert!(said.code == 2 && said.err.contains(expected), "{expected}: {said:?}");
    }
}
