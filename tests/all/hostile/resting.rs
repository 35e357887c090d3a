//! What crashes again and again is not run for a while, and nothing else is held back for it.

use super::component::{manifest, plugin};
use crate::support::{knows_all, probe, raw};
use weft_tests::{
    artifacts::{renamed, with_version},
    host::TestHost,
    setup::Setup,
    web::Reply,
};

/// Crashes in a row after which there is a rest.
const CRASHES: usize = 10;

async fn crash(host: &TestHost, path: &str, kind: &str) {
    for _ in 0..CRASHES {
        assert_eq!(host.get(path).send().await.problem(502)["type"], format!("urn:weft:problem:{kind}"));
    }
}

fn assert_rests(reply: &Reply) {
    assert_eq!(reply.problem(503)["type"], "urn:weft:problem:plugin-resting");
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_crashes_again_and_again_rests_until_a_new_version_comes() {
    let upstream = knows_all().await;
    let host = Setup::new().one_backend(upstream.address(), "").plugin("probe.wasm", &probe()).start().await;
    crash(&host, "/trap", "plugin-trapped").await;
    assert_rests(&host.get("/trap").send().await);
    host.get("/version").send().await.ok();
    let plugins = host.plugins().await;
    let told = &plugins["plugins"][0];
    assert_eq!((&told["state"], &told["resting"][0]), (&"resting".into(), &"GET /trap".into()), "{plugins}");
    assert_eq!(host.metrics().await.sum("weft_plugin_resting", &[("plugin", "probe")]), 1.0);

    host.folder.install("probe.wasm", &with_version(&probe(), "1.1.0"));
    host.until_live("probe", "1.1.0").await;
    assert_eq!(host.plugins().await["plugins"][0]["state"], "live");
    host.get("/trap").send().await.problem(502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_never_starts_rests_as_a_whole() {
    let clients = "[[client]]\nname = \"bad\"\n";
    let never = plugin(&manifest("never", "5s", ""), "(func $s unreachable) (start $s)", "");
    let nowhere = "127.0.0.1:1";
    let setup = Setup::new().clients(clients).one_backend(nowhere, "");
    let host = setup.plugin("never.wasm", &never).start().await;
    crash(&host, "/never", "plugin-start").await;
    assert_rests(&host.get("/never").send().await);
    assert_eq!(host.plugins().await["plugins"][0]["resting"][0], "start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_idle_instance_that_was_not_used_for_longest_gives_way() {
    let clients =
        "[[client]]\nname = \"test\"\nprefix = \"/test\"\n[[client]]\nname = \"other\"\nprefix = \"/other\"\n";
    let upstream = knows_all().await;
    let setup = Setup::new().clients(clients).limits("requests = 8\nidle = 1").one_backend(upstream.address(), "");
    let setup = setup.plugin("raw.wasm", &raw()).plugin("other.wasm", &renamed(&raw(), "other", "other"));
    let host = setup.start().await;
    let served = async |path: &str| host.get(path).send().await.ok().text().split(',').next().unwrap().to_owned();
    assert_eq!(served("/test/raw/tickets").await, "served 1");
    assert_eq!(served("/test/raw/tickets").await, "served 2");
    assert_eq!(served("/other/raw/tickets").await, "served 1");
    assert_eq!(served("/other/raw/tickets").await, "served 2", "who came last has the place");
    assert_eq!(served("/test/raw/tickets").await, "served 1");
}
