//! A new configuration for a running host: in force as a whole with a word on what has changed, or refused with reasons and nothing
//! changed. Requests under way notice nothing of it.

use crate::support::{GET_FILM, GET_PERSON, hold_people, knows_all, person, probe, raw, rule, weft};
use bytes::Bytes;
use demo_services::proto::DESCRIPTORS;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::{
    LazyLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use weft_tests::{
    artifacts::{with_manifest, with_methods, with_version},
    host::TestHost,
    process::HostProcess,
    raw::Connection,
    setup::Setup,
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
    web::{Reply, Web},
};

const CLIENT: &str = "[[client]]\nname = \"test\"\nprefix = \"/a\"\n";

fn artifact() -> Bytes {
    with_manifest(&probe(), |manifest| {
        let echo = manifest["endpoint"]["POST /echo/{name}"].as_table_mut().unwrap();
        echo.extend("idempotency = { ttl = \"1h\", scope = \"public\" }".parse::<toml::Table>().unwrap());
        manifest["endpoint"]["GET /people"].as_table_mut().unwrap().insert("timeout".to_owned(), "30s".into());
    })
}

/// Written once: all tests read it, at the start of their hosts and again by reloads.
static TOKEN: LazyLock<&str> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/reloading-token");
    std::fs::write(file, "s3cret").unwrap();
    file
});

async fn host(upstream: &FakeUpstream) -> TestHost {
    let admin = format!("token = \"file:{}\"", *TOKEN);
    let setup = Setup::new().admin(&admin).clients(CLIENT).one_backend(upstream.address(), "timeout = \"30s\"");
    setup.plugin("probe.wasm", &artifact()).start().await
}

async fn reload(host: &TestHost, token: &str) -> Reply {
    let admin = Web::new(host.admin_address());
    admin.post("/v1/config/reload").header("authorization", &format!("Bearer {token}")).send().await
}

/// Changes the file and reloads it.
async fn change(host: &TestHost, from: &str, to: &str) -> Reply {
    host.folder.change(|text| text.replace(from, to));
    reload(host, "s3cret").await
}

async fn version(host: &TestHost, prefix: &str) -> u16 {
    host.get(&format!("{prefix}/version")).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_token_puts_a_changed_file_in_force_and_is_told_what_has_changed() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    host.folder.change(|text| {
        text.replace("prefix = \"/a\"", "prefix = \"/b\"").replace("timeout = \"30s\"", "timeout = \"20s\"")
    });
    assert_eq!(reload(&host, "wrong").await.status, 401);
    assert_eq!((version(&host, "/a").await, version(&host, "/b").await), (200, 404));
    let expected = json!({ "changes": [
        { "key": "backend.fake.timeout", "before": "\"30s\"", "after": "\"20s\"" },
        { "key": "client[test].prefix", "before": "\"/a\"", "after": "\"/b\"" },
    ] });
    assert_eq!(reload(&host, "s3cret").await.ok().json(), expected);
    assert_eq!((version(&host, "/a").await, version(&host, "/b").await), (404, 200));
    assert_eq!(reload(&host, "s3cret").await.ok().json(), json!({ "changes": [] }));

    // Whatever a reload may change is another now.
    let changes =
        change(&host, "[plugins]\n", "[plugins.config.probe]\ncolour = \"red\"\n[plugins]\n").await.ok().json();
    assert_eq!(
        changes["changes"][0],
        json!({ "key": "plugins.config.probe.colour", "before": null, "after": "\"red\"" })
    );
    assert_eq!(host.get("/b/config/colour").send().await.ok().text(), "red");
    change(&host, "[http]\n", "[http]\nmax-body = \"10B\"\n").await.ok();
    host.post("/b/echo/a").body("more than ten").send().await.problem(413);
    let other = FakeUpstream::start().await;
    other.on(GET_PERSON, |_| Answer::message(&person(99)));
    change(&host, &upstream.address().to_string(), &other.address().to_string()).await.ok();
    assert_eq!(host.get("/b/people?ids=1").send().await.ok().json(), json!(["Person 99"]));
    // And the folder is watched still.
    host.folder.install("probe.wasm", &with_version(&artifact(), "2.0.0"));
    host.until_live("probe", "2.0.0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_named_and_have_other_content_are_told_as_changes_and_are_in_force() {
    let upstream = knows_all().await;
    let files = tempfile::tempdir().unwrap();
    let (protos, token) = (files.path().join("protos"), files.path().join("token"));
    std::fs::write(&protos, "garbled").unwrap();
    std::fs::write(&token, "s3cret").unwrap();
    let setup = Setup::new().admin(&format!("token = \"file:{}\"", token.display())).clients(CLIENT);
    let bare = with_methods(&raw(), &[GET_PERSON], &[]);
    let setup = setup.one_backend(upstream.address(), &format!("descriptors = {protos:?}")).plugin("raw.wasm", &bare);
    let host = setup.plugin("probe.wasm", &artifact()).start().await;
    host.until_refused("raw.wasm").await;
    std::fs::write(&protos, DESCRIPTORS).unwrap();
    std::fs::write(&token, "another").unwrap();
    let changes = reload(&host, "s3cret").await.ok().json();
    let told: Vec<_> = changes["changes"].as_array().unwrap().iter().map(|it| (&it["key"], &it["after"])).collect();
    assert_eq!(told.len(), 2, "{changes}");
    assert_eq!((told[0].0, told[1].0), (&"admin.token".into(), &"backend.fake.descriptors".into()));
    assert!(told[0].1.as_str().unwrap().ends_with("with other content, in force after a restart"), "{changes}");
    assert!(told[1].1.as_str().unwrap().ends_with("protos\", with other content"), "{changes}");
    host.until_live("raw", "1.0.0").await;
    assert_eq!(reload(&host, "s3cret").await.ok().json(), json!({ "changes": [] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_can_not_be_put_in_force_changes_nothing_and_all_reasons_are_told() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let good = std::fs::read_to_string(host.folder.config()).unwrap();
    let digests = async || {
        let plugins = host.plugins().await;
        plugins["plugins"].as_array().unwrap().iter().map(|plugin| plugin["digest"].clone()).collect::<Vec<_>>()
    };
    let before = digests().await;
    for (from, to, reasons) in [
        ("[http]", "[http", &["weft.toml:1"][..]),
        ("[http]\n", "[http]\ntimeuot = \"1s\"\nmax-body = -1\n", &["http.timeuot", "http.max-body"]),
        ("prefix = \"/a\"", "prefix = \"a\"", &["client[0].prefix", "it begins with `/`"]),
        ("[http]\n", "[http]\nstreams = 5\n", &["restart", "http.streams: 5 (new)"]),
        ("requests = 32", "requests = 33", &["restart", "limits.requests: 32 → 33"]),
        ("name = \"test\"", "name = \"other\"", &["could not serve", "probe 1.0.0: ", "client `test`"]),
        ("\"people.v1.People\", ", "", &["could not serve", "probe 1.0.0: ", "people.v1.People"]),
        ("/plugins\"", "/nothing\"", &["nothing"]),
    ] {
        assert!(good.contains(from), "{from}");
        let reply = change(&host, from, to).await;
        assert_eq!(reply.status, 409, "{to}: {reply:?}");
        for reason in reasons.iter().chain(&["nothing has changed"]) {
            assert!(reply.text().contains(reason), "{to}: no {reason:?} in {}", reply.text());
        }
        assert_eq!(version(&host, "/a").await, 200, "{to}");
        assert_eq!(host.get("/a/people?ids=1").send().await.ok().json(), json!(["Person 1"]), "{to}");
        host.folder.change(|_| good.clone());
    }
    assert_eq!(digests().await, before);
    assert_eq!(reload(&host, "s3cret").await.ok().json(), json!({ "changes": [] }));
    host.folder.remove("../weft.toml");
    assert_eq!(reload(&host, "s3cret").await.status, 409);
    assert_eq!(version(&host, "/a").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_finish_with_what_they_began_with_and_connections_stay() {
    let gate = Gate::new();
    let upstream = knows_all().await;
    hold_people(&upstream, &gate, 1);
    let host = host(&upstream).await;
    let mut connection = Connection::open(host.address()).await;
    connection.send(b"GET /a/people?ids=1 HTTP/1.1\r\nhost: test\r\n\r\n").await;
    upstream.arrived(GET_PERSON, 1).await;
    // Another prefix, and another backend.
    let nowhere = FakeUpstream::nowhere().await.to_string();
    host.folder.change(|text| {
        text.replace("prefix = \"/a\"", "prefix = \"/b\"").replace(&upstream.address().to_string(), &nowhere)
    });
    reload(&host, "s3cret").await.ok();
    gate.open();
    assert_eq!(connection.next().await.body(), "[\"Person 1\"]");
    connection.send(b"GET /b/version HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(connection.next().await.body(), "1.0.0");
    assert_eq!(host.get("/b/people?ids=1").send().await.ok().json(), json!(["UNAVAILABLE"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_repeated_writes_outlive_a_reload() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let write = async |prefix: &str| {
        host.post(&format!("{prefix}/echo/a")).header("idempotency-key", "k1").body("x").send().await.ok()
    };
    let first = write("/a").await;
    change(&host, "timeout = \"30s\"", "timeout = \"20s\"").await.ok();
    let again = write("/a").await;
    assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
}

/// What is cached outlives a reload that has nothing to do with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_outlive_a_reload_that_does_not_concern_them() {
    let upstream = knows_all().await;
    let rule = format!("timeout = \"30s\"\n{}", rule(GET_PERSON, "scope = \"public\"\ncache = { ttl = \"1h\" }"));
    let setup = Setup::new().clients(CLIENT).one_backend(upstream.address(), &rule);
    let host = setup.plugin("probe.wasm", &artifact()).start().await;
    let person = async |prefix: &str| host.get(&format!("{prefix}/people?ids=1")).send().await.ok().text();
    let first = person("/a").await;
    host.reload().await.unwrap();
    assert_eq!((person("/a").await, upstream.count(GET_PERSON)), (first.clone(), 1), "nothing has changed");
    host.folder.change(|text| text.replace("prefix = \"/a\"", "prefix = \"/b\""));
    host.reload().await.unwrap();
    assert_eq!((person("/b").await, upstream.count(GET_PERSON)), (first.clone(), 1), "of another client's path");
    host.folder.change(|text| text.replace("timeout = \"30s\"", "timeout = \"20s\""));
    host.reload().await.unwrap();
    assert_eq!((person("/b").await, upstream.count(GET_PERSON)), (first, 2), "the backend is another now");
}

/// Of a backend that another one's change does not concern, replies are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cached_of_one_backend_outlives_a_change_of_another() {
    let (films, people) = (knows_all().await, knows_all().await);
    let cached =
        |method| format!("timeout = \"30s\"\n{}", rule(method, "scope = \"public\"\ncache = { ttl = \"1h\" }"));
    let of = |backend: &str, method| cached(method).replace("backend.fake", &format!("backend.{backend}"));
    let others = ["people.v1.People", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let setup = Setup::new().clients(CLIENT).plugin("probe.wasm", &artifact());
    let setup = setup.backend("films", &["catalog.v1.Films"], films.address(), &of("films", GET_FILM));
    let setup = setup.backend("people", &others, people.address(), &of("people", GET_PERSON));
    let host = setup.start().await;
    let ask = async || {
        let outcome = host.get("/a/outcome?film=1&person=1").send().await.ok().json();
        assert_eq!((&outcome["film"]["code"], &outcome["person"]["code"]), (&json!("OK"), &json!("OK")), "{outcome}");
        (films.count(GET_FILM), people.count(GET_PERSON))
    };
    assert_eq!((ask().await, ask().await), ((1, 1), (1, 1)));
    host.folder.change(|text| {
        let (films, people) = text.split_once("[backend.people]").unwrap();
        format!("{films}[backend.people]{}", people.replace("timeout = \"30s\"", "timeout = \"29s\""))
    });
    host.reload().await.unwrap();
    assert_eq!(ask().await, (1, 2), "only the other backend's replies are asked for again");
}

/// What a plugin has made with one configuration is not given out under another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_has_made_does_not_outlive_its_configuration() {
    let upstream = knows_all().await;
    let kept = with_manifest(&probe(), |manifest| {
        let policy = manifest["endpoint"]["GET /config/{key}"].as_table_mut().unwrap();
        policy.extend("cache = { ttl = \"1h\", scope = \"public\" }".parse::<toml::Table>().unwrap());
    });
    let setup = Setup::new().clients(CLIENT).one_backend(upstream.address(), "").plugin("probe.wasm", &kept);
    let host = setup.start().await;
    let get = async |path: &str| host.get(path).send().await.ok().text();
    let seen =
        async |mark: &str| (get("/a/config/colour").await, get(&format!("/a/first/x?scope=public&value={mark}")).await);
    assert_eq!(seen("1").await, ("blue".to_owned(), "1".to_owned()));
    host.folder.change(|text| text.replace("[http]\n", "[http]\ntimeout = \"20s\"\n"));
    host.reload().await.unwrap();
    assert_eq!(seen("2").await, ("blue".to_owned(), "1".to_owned()), "both are kept");
    host.folder.change(|text| text.replace("[plugins]\n", "[plugins.config.probe]\ncolour = \"red\"\n[plugins]\n"));
    host.reload().await.unwrap();
    assert_eq!(seen("3").await, ("red".to_owned(), "3".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_configurations_come_and_go() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let over = AtomicBool::new(false);
    let client = async |web: Web| {
        let mut answers = 0;
        while !over.load(Relaxed) {
            assert_eq!(
                web.get(&format!("/a/people?ids={answers}")).send().await.ok().json(),
                json!([format!("Person {answers}")])
            );
            answers += 1;
        }
        answers
    };
    let reloads = async {
        for turn in 0..10 {
            let (from, to) = if turn % 2 == 0 { ("30s", "20s") } else { ("20s", "30s") };
            let changed = |text: String| text.replace(&format!("timeout = \"{from}\""), &format!("timeout = \"{to}\""));
            host.folder.change(changed);
            // At the same time; one after the other is what comes of it.
            let (one, other) = tokio::join!(reload(&host, "s3cret"), reload(&host, "s3cret"));
            let count = |reply: Reply| reply.ok().json()["changes"].as_array().map_or(0, Vec::len);
            assert_eq!(count(one) + count(other), 1);
        }
        over.store(true, Relaxed);
    };
    let ((), one, two) = tokio::join!(reloads, client(Web::new(host.address())), client(Web::h2c(host.address())));
    assert!(one > 10 && two > 10, "{one} and {two} requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reloads_the_file_and_says_what_came_of_it() {
    let upstream = knows_all().await;
    let setup = Setup::new().clients(CLIENT).one_backend(upstream.address(), "").plugin("probe.wasm", &artifact());
    let folder = setup.write();
    let process = HostProcess::start(weft(), &folder).await;
    let status = async |path: &str| process.web().get(path).send().await.status;
    process.signal(Signal::HUP);
    process.until_line("SIGHUP: nothing has changed in the configuration").await;
    folder.change(|text| text.replace("prefix = \"/a\"", "prefix = \"/b\""));
    process.signal(Signal::HUP);
    process.until_line("SIGHUP: client[test].prefix: \"/a\" → \"/b\"").await;
    assert_eq!((status("/a/version").await, status("/b/version").await), (404, 200));
    folder.change(|text| text.replace("prefix = \"/b\"", "prefix = \"/c/\""));
    process.signal(Signal::HUP);
    process.until_line("SIGHUP: nothing was changed: the file has mistakes").await;
    assert_eq!(status("/b/version").await, 200);
    let plugins: Value = Web::admin(process.admin).get("/v1/plugins").send().await.ok().json();
    assert_eq!(plugins["plugins"][0]["name"], "probe");
    process.terminate();
    assert_eq!(process.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_backend_that_is_configured_away_no_endpoints_are_told() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let told = async |backend| {
        let scrape = host.metrics().await;
        let states = scrape.find("weft_endpoints", &[("backend", backend)]).count();
        (states, scrape.sum("weft_endpoints", &[("backend", backend)]))
    };
    assert_eq!(told("fake").await, (5, 1.0));
    change(&host, "[backend.fake]", "[backend.other]").await.ok();
    assert_eq!(told("other").await, (5, 1.0));
    until("the backend before is gone", || async { (told("fake").await == (0, 0.0)).then_some(()) }).await;
}
