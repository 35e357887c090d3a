//! What a plugin is given: its request, its time, its configuration, calls by number and by name. And what one request leaves behind
//! for the next: nothing.

use crate::support::{GET_FILM, GET_PERSON, film, knows_all, person, probe, raw};
use prost::Message;
use serde_json::json;
use std::time::Duration;
use weft::sandbox::Environment;
use weft_tests::{
    artifacts::{with_limit, with_manifest, with_version},
    host::TestHost,
    raw::abandon,
    setup::Setup,
    upstream::{Answer, FakeUpstream},
};

async fn host(upstream: &FakeUpstream) -> TestHost {
    let setup = Setup::new().one_backend(upstream.address(), "timeout = \"30s\"");
    setup.plugin("probe.wasm", &probe()).plugin("raw.wasm", &raw()).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_gets_the_request_as_it_was() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let request = host.get("/echo/a%2Fb%20c?q=1+2%263&flag&q=%C3%A4").header("x-request-id", "echo-1");
    let echo = request.header("accept-language", "de").header("accept-language", "en").send().await.ok().json();
    let expected = json!({
        "endpoint": "GET /echo/{name}", "path": "/echo/a%2Fb%20c", "client": "test", "request_id": "echo-1",
        "params": [["name", "a/b c"]], "query": [["q", "1 2&3"], ["flag", ""], ["q", "ä"]],
        "headers": [["accept-language", "de"], ["accept-language", "en"]], "body": "", "subject": null,
    });
    assert_eq!(echo, expected);
    let body = host.post("/echo/a").header("content-type", "text/plain").body("ü").send().await.ok().json();
    assert_eq!((&body["body"], &body["headers"]), (&"ü".into(), &json!([["content-type", "text/plain"]])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_waits_and_a_millisecond_of_work_never_reach_the_cpu_limit() {
    let upstream = knows_all().await;
    let setup = Setup::new().one_backend(upstream.address(), "");
    let host = setup.plugin("probe.wasm", &with_limit(&probe(), "cpu", "20ms")).start().await;
    // Counting ticks of 2 ms would charge each wait with at least one: eighty milliseconds.
    let waits = || host.get("/waits?times=40&millis=5").send();
    for reply in [waits().await, waits().await] {
        let text = reply.ok().text();
        assert!(text.starts_with("40 waits"), "{text}");
    }
    let (one, other, third) = tokio::join!(waits(), waits(), waits());
    for reply in [one, other, third] {
        reply.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reused_instance_serves_again_and_counts_its_tickets_from_zero() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    for served in 1..=3 {
        let text = host.get("/raw/tickets").send().await.ok().text();
        assert_eq!(text, format!("served {served}, left over [], done [0:0]"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_abandoned_in_an_exchange_is_never_used_again() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let tickets = async || host.get("/raw/tickets").send().await.ok().text();
    assert_eq!(tickets().await, "served 1, left over [], done [0:0]");

    upstream.on(GET_PERSON, |_| Answer::Stall);
    let request = b"GET /raw/tickets HTTP/1.1\r\nhost: test\r\n\r\n";
    abandon(host.address(), request, upstream.arrived(GET_PERSON, 2)).await;
    upstream.idle().await;
    host.until_plugins("the abandoned request to end", |plugins| plugins["requests_under_way"] == 0).await;

    upstream.on(GET_PERSON, |_| Answer::message(&person(1)));
    assert_eq!(
        tickets().await,
        "served 1, left over [], done [0:0]",
        "a fresh instance, and no ticket of the old request"
    );
    assert_eq!(tickets().await, "served 2, left over [], done [0:0]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_trapped_is_never_used_again() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let tickets = async || host.get("/raw/tickets").send().await.ok().text();
    assert!(tickets().await.starts_with("served 1,"));
    host.get("/raw/bad-offset").send().await.problem(502);
    assert!(tickets().await.starts_with("served 1,"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_request_gets_an_instance_of_its_own() {
    let upstream = knows_all().await;
    let isolated = with_limit(&raw(), "isolation", "request");
    let host = Setup::new().one_backend(upstream.address(), "").plugin("raw.wasm", &isolated).start().await;
    for _ in 0..3 {
        assert!(host.get("/raw/tickets").send().await.ok().text().starts_with("served 1,"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_ticket_never_comes_back() {
    let upstream = knows_all().await;
    // Nothing is there when the guest looks without waiting, and the film would never come.
    upstream.on(GET_FILM, |_| Answer::Stall);
    upstream.on(GET_PERSON, |_| Answer::message(&person(1)).slow(Duration::from_millis(50)));
    let host = host(&upstream).await;
    assert_eq!(host.get("/raw/cancel").send().await.ok().text(), "[] [0:0] []");
    upstream.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_is_not_granted_fails_that_call_and_leaves_the_house_to_nobody() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    assert_eq!(host.get("/raw/forged-number").send().await.ok().text(), "[0:7] [1:0]");
    assert_eq!(host.get("/films/1/ungranted").send().await.ok().text(), "PERMISSION_DENIED");
    assert_eq!((upstream.count(GET_FILM), upstream.total()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_batch_takes_protobuf_and_json_and_answers_in_order() {
    let upstream = knows_all().await;
    let host = host(&upstream).await;
    let text = host.get("/raw/batch").send().await.ok().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], format!("{:02x?}", film(1).encode_to_vec()));
    let person: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(
        (&person["id"], &person["name"], &person["born"]),
        (&1.into(), &"Person 1".into(), &0.into()),
        "{person}"
    );
    assert!(lines[2].starts_with("3 ") && lines[2].contains("people.v1.GetPersonRequest"), "{}", lines[2]);
    assert!(
        lines[3].starts_with("7 ") && lines[3].contains("catalog.v1.Films/ListFilms is not granted"),
        "{}",
        lines[3]
    );
    assert_eq!((upstream.count(GET_FILM), upstream.count(GET_PERSON), upstream.total()), (1, 1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_and_chance_come_through_the_host() {
    let upstream = knows_all().await;
    let setup = Setup::new().one_backend(upstream.address(), "").plugin("probe.wasm", &probe());
    let environment = async |environment: Environment| {
        let host = setup.clone().environment(environment).start().await;
        let one = host.get("/environment").send().await.ok().json();
        [one, host.get("/environment").send().await.ok().json()]
    };
    let fixed = |seed| Environment::Fixed { since_epoch: Duration::from_secs(1_000_000), seed };
    let [one, other] = environment(fixed(7)).await;
    assert_eq!(one, other);
    assert_eq!(one["seconds"], 1_000_000);
    assert_eq!(environment(fixed(7)).await[0], one, "another host with the same environment");
    assert_ne!(environment(fixed(8)).await[0]["hash"], one["hash"]);
    let [one, other] = environment(Environment::Real).await;
    assert_ne!(one["hash"], other["hash"]);
    assert!(one["seconds"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_configuration_goes_before_the_manifests() {
    let upstream = knows_all().await;
    let plugins = "[plugins.config.probe]\ncolour = \"red\"\nmore = \"yes\"";
    let setup = Setup::new().plugins(plugins).one_backend(upstream.address(), "");
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    let setting = async |key: &str| host.get(&format!("/config/{key}")).send().await;
    assert_eq!(setting("colour").await.ok().text(), "red");
    assert_eq!(setting("more").await.ok().text(), "yes");
    assert_eq!(setting("version").await.ok().text(), "1.0.0");
    assert_eq!(setting("absent").await.problem(404)["detail"], "there is no setting `absent`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hosts_ceilings_hold_where_a_manifest_asks_for_more() {
    let upstream = knows_all().await;
    let greedy = with_manifest(&probe(), |manifest| {
        manifest["limits"] =
            toml::from_str("memory = \"4GiB\"\ncpu = \"1m\"\ncalls = 100000\nresponse = \"200MiB\"").unwrap();
    });
    let ceilings = "requests = 32\nidle = 8\nmemory = \"16MiB\"\ncpu = \"50ms\"\ncalls = 3\nresponse = \"64KiB\"";
    let setup = Setup::new().limits(ceilings).one_backend(upstream.address(), "");
    let host = setup.plugin("probe.wasm", &greedy).start().await;
    for (path, status) in [("/grow", 502), ("/loop", 504), ("/big?bytes=70000", 502), ("/big?bytes=60000", 200)] {
        assert_eq!(host.get(path).send().await.status, status, "{path}");
    }
    assert!(host.get("/calls?calls=5").send().await.ok().text().starts_with("3 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_plugins_cache_is_seen_by_another_version() {
    let upstream = knows_all().await;
    let setup = Setup::new().identity("").one_backend(upstream.address(), "");
    let host = setup.plugin("probe.wasm", &probe()).start().await;
    host.web().request("PUT", "/cache/key?scope=public&value=old").send().await;
    assert_eq!(host.get("/cache/key?scope=public").send().await.ok().text(), "old");
    host.folder.install("probe.wasm", &with_version(&probe(), "1.1.0"));
    host.until_live("probe", "1.1.0").await;
    assert_eq!(host.get("/cache/key?scope=public").send().await.ok().text(), "nothing");
}
