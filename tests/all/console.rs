//! The console: pages in a real browser, requests that are tried as a stranger's, and what of a host is shown.

use crate::support::{FOR_USER, GET_FILM, film, knows_all, probe, rule, weft};
use demo_services::proto::{catalog::v1::Film, recommend::v1::ForUserResponse};
use serde_json::{Value, json};
use std::path::Path;
use weft_tests::{
    browser,
    host::TestHost,
    process::HostProcess,
    setup::{ADMIN_TOKEN, Setup},
    tokens::{AUDIENCE, ISSUER, Token, token},
    upstream::{Answer, FakeUpstream},
    web::{Reply, Web},
};

async fn attempt(admin: &Web, asked: Value) -> Reply {
    admin.post("/v1/try").json(&asked).send().await
}

fn get(path: &str) -> Value {
    json!({ "client": "test", "method": "GET", "path": path })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_tried_is_a_strangers_whatever_this_machine_is_trusted_with() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    // Here everybody on this machine is the gateway, and says so in a PROXY header.
    let identity = format!(
        "[identity]\ntrust = \"full\"\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\ntrusted-peers = [\"127.0.0.0/8\", \"::1\"]"
    );
    let setup = |http: &str| {
        let setup = Setup::new().identity_tables(&identity).one_backend(upstream.address(), &rule(FOR_USER, ""));
        setup.http(http).plugin("probe.wasm", &probe())
    };
    let payload = Token::of("ann").payload();
    let trusting = "trusted-peers = [\"127.0.0.0/8\", \"::1\"]";
    let host = setup(trusting).start().await;
    host.get("/me").header("x-jwt-payload", &payload).send().await.ok();
    for more in ["", "\nproxy-protocol = true"] {
        let host = setup(&format!("{trusting}{more}")).start().await;
        let admin = Web::admin(host.admin_address());
        let said = attempt(&admin, get("/version")).await.ok().json();
        assert_eq!((&said["status"], &said["body"]), (&json!(200), &json!("1.0.0")), "{said}");
        let mut asked = get("/me");
        asked["headers"] = json!([["x-jwt-payload", payload], ["x-forwarded-for", "127.0.0.1"]]);
        let said = attempt(&admin, asked).await.ok().json();
        assert_eq!(said["status"], 401, "{said}");
        assert!(said["body"].as_str().unwrap().contains("not the gateway"), "{said}");
        assert!(said["took_ms"].as_f64().unwrap() > 0.0 && said["is_text"] == true, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_stays_within_the_public_side_and_changes_need_an_operator() {
    let upstream = knows_all().await;
    let folder = tempfile::tempdir().unwrap();
    let viewer = folder.path().join("viewer");
    std::fs::write(&viewer, "s3cret-of-a-viewer").unwrap();
    let tokens = format!(
        "tokens = [{{ name = \"v\", role = \"viewer\", token = \"file:{}\" }}]\ntoken = \"env:WEFT_TEST_TOKEN\"",
        viewer.display()
    );
    let setup =
        Setup::new().admin(&tokens).identity("").one_backend(upstream.address(), "").plugin("probe.wasm", &probe());
    let setup = setup.more("[telemetry]\nlog-level = \"debug\"");
    let (of_ann, environment) = (token("ann"), [("WEFT_TEST_TOKEN", Path::new(ADMIN_TOKEN))]);
    let process = HostProcess::start_with(weft(), &setup.write(), &environment).await;
    let admin = Web::admin(process.admin);
    let mut asked = get("/me");
    asked["token"] = json!(of_ann);
    let said = attempt(&admin, asked.clone()).await.ok().json();
    assert!(said["status"] == 200 && said["body"].as_str().unwrap().contains("\"ann\""), "{said}");
    // The admin's own token is nobody's here.
    asked["token"] = json!(ADMIN_TOKEN);
    assert_eq!(attempt(&admin, asked).await.ok().json()["status"], 401);

    let order = json!({ "client": "test", "method": "POST", "path": "/echo/a", "body": "{}", "headers": [["content-type", "application/json"]] });
    let of_viewer = Web::new(process.admin).post("/v1/try").bearer("s3cret-of-a-viewer").json(&order).send().await;
    assert_eq!((of_viewer.status, &of_viewer.json()["reason"]), (403, &json!("role")), "{of_viewer:?}");
    Web::new(process.admin).post("/v1/try").bearer("s3cret-of-a-viewer").json(&get("/version")).send().await.ok();
    assert_eq!(attempt(&admin, order).await.ok().json()["status"], 200);

    for (key, value) in [
        ("path", json!("http://127.0.0.1:1/")),
        ("path", json!("@evil.test/")),
        ("path", json!("/a b")),
        ("path", json!("/a\r\nx: y")),
        ("client", json!("none")),
        ("method", json!("G E T")),
        ("url", json!("http://evil.test/")),
        ("headers", json!([["host", "evil.test"]])),
        ("headers", json!([["transfer-encoding", "chunked"]])),
        ("headers", json!([["x", "a\r\nb"]])),
        ("token", json!({ "s3cret-of-ann": 1 })),
    ] {
        let mut bad = get("/version");
        bad[key] = value;
        let reply = attempt(&admin, bad.clone()).await;
        assert!(reply.status == 400 && !reply.text().contains("s3cret"), "{bad}: {reply:?}");
    }
    let elsewhere = attempt(&admin, get("//127.0.0.1:1/version")).await.ok().json();
    assert_eq!(elsewhere["status"], 404, "{elsewhere}");
    process.terminate();
    let (_, lines) = process.end().await;
    let text = lines.join("\n");
    assert!(text.contains("a request is tried"), "{text}");
    for secret in [&*of_ann, of_ann.rsplit('.').next().unwrap(), ADMIN_TOKEN, "s3cret"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_late_are_told_by_route_and_settings_without_secrets() {
    let upstream = knows_all().await;
    let more = "[cache]\nshared = \"redis://u:s3cret@127.0.0.1:1\"";
    let setup = Setup::new().identity("").one_backend(upstream.address(), "").more(more).plugin("probe.wasm", &probe());
    let host = setup.start().await;
    host.get("/films/31415?x=s3cret").header("cookie", "s3cret").send().await.ok();
    host.get("/me").bearer(&token("ann")).send().await.ok();
    host.get("/trap").send().await.problem(502);
    let told = host.admin("/v1/requests").send().await.ok();
    let (text, told) = (told.text(), told.json());
    assert!(!text.contains("31415") && !text.contains("s3cret") && !text.contains("\"ann\""), "{text}");
    assert_eq!(
        (&told["failed"][0]["endpoint"], &told["failed"][0]["problem"]),
        (&json!("GET /trap"), &json!("plugin-trapped"))
    );
    assert_eq!(
        (&told["amplified"][0]["endpoint"], &told["amplified"][0]["upstream"]),
        (&json!("GET /films/{id}"), &json!(1))
    );
    let slow = told["slow"].as_array().unwrap();
    let me = slow.iter().find(|noted| noted["endpoint"] == "GET /me").unwrap();
    assert_eq!((slow.len(), me["caller"].as_str().unwrap().len()), (3, 16), "{told}");

    let settings = host.admin("/v1/config").send().await.ok().text();
    assert!(settings.contains("redis://(hidden)@127.0.0.1:1") && !settings.contains("s3cret"), "{settings}");
    let clients = host.admin("/v1/clients").send().await.ok().json();
    let endpoints = clients["clients"][0]["endpoints"].as_array().unwrap();
    assert!(endpoints.iter().any(|endpoint| endpoint["path"] == "/me" && endpoint["auth"] == "required"), "{clients}");
    assert_eq!(clients["public"], format!("http://{}", host.address()));
}

/// What would run, if anything of it were taken for more than text.
const EVIL: &str = "<img src=x onerror=\"window.owned=1\"><script>window.owned=2</script>";

async fn shown() -> (TestHost, FakeUpstream) {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |call| {
        let id = call.decoded::<demo_services::proto::catalog::v1::GetFilmRequest>().id;
        if id == 13 { Answer::fails(13, EVIL) } else { Answer::message(&Film { title: EVIL.to_owned(), ..film(id) }) }
    });
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/<b>x\"\n";
    let setup =
        Setup::new().clients(clients).identity("").http("explain-scope = \"*\"").one_backend(upstream.address(), "");
    let setup = setup.plugin("probe.wasm", &probe()).plugin("<img src=x onerror=alert(1)>.wasm", &"junk".into());
    (setup.start().await, upstream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_signs_in_tries_and_looks_and_takes_nothing_for_more_than_text() {
    let (host, _upstream) = shown().await;
    for path in ["/films/13", "/trap"] {
        host.get(&format!("/%3Cb%3Ex{path}")).send().await;
    }
    let port = host.admin_address().port();
    let input =
        json!({ "port": port, "admin": ADMIN_TOKEN, "caller": token("ann"), "public": host.address().to_string() });
    let Some(shown) = browser::run("tests/all/console/console.mjs", &input).await else { return };
    // That a token is wrong, and that a client has no contract, is no fault of a page.
    let faults: Vec<_> = shown.complaints.iter().filter(|text| !text.contains("Failed to load resource")).collect();
    assert!(faults.is_empty() && shown.strangers.is_empty(), "{shown:#?}");
    let told = shown.value;
    assert_eq!(told["address"], format!("http://localhost:{port}/"), "no token is left in it");
    assert_eq!((&told["owned"], &told["stored"]), (&Value::Null, &json!(0)), "{told}");
    assert!(told["body"].as_str().unwrap().contains("<img src=x"), "{told}");
    assert!(told["me"].as_str().unwrap().contains("\"ann\""), "{told}");
    let waterfall = told["waterfall"].as_str().unwrap();
    assert!(waterfall.contains("catalog.v1.Films/GetFilm") && waterfall.contains("Round 1 1 call"), "{told}");
    let curl = told["curl"].as_str().unwrap();
    assert!(curl.contains("Bearer $TOKEN") && !curl.contains(&token("ann")), "{curl}");
    assert_eq!(told["call"], "const answer = await getFilmsById(client, { path: { id: 1 } });");
    assert!(told["plugins"].as_str().unwrap().contains("<img src=x onerror=alert(1)>.wasm"), "{told}");
    assert!(told["backends"].as_str().unwrap().contains("<script>"), "{told}");
    assert!(told["requests"].as_str().unwrap().contains("GET /trap"), "{told}");
    assert_eq!(told["axe"], json!({}), "{:#}", told["axe"]);
    assert_eq!((&told["wide"], &told["keyboard"]), (&json!([]), &json!("GET /films/{id}")), "{told}");
    assert!(told["left"].as_str().unwrap().ends_with("/sign-in"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_under_a_foreign_name_gets_no_page() {
    let (host, _upstream) = shown().await;
    let input = json!({ "port": host.admin_address().port(), "admin": ADMIN_TOKEN });
    let Some(shown) = browser::run("tests/all/console/foreign.mjs", &input).await else { return };
    assert_eq!(shown.value, json!({ "rebound": 421, "form": 403, "read": "refused", "framed": "" }), "{shown:?}");
}
