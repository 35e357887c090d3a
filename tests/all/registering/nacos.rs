//! The host in a server that speaks as Nacos 2 does.

use crate::support::{probe, weft};
use rustix::process::Signal;
use serde_json::{Value, json};
use weft_tests::{
    nacos::Nacos,
    process::{self, HostProcess},
    setup::Setup,
    upstream::FakeUpstream,
    wait::until,
};

const BFF: &str = "bff.http";

async fn setup(at: &str, more: &str) -> Setup {
    let table =
        format!("[register]\nat = {at:?}\nadvertise = \"127.0.0.1\"\nallow-loopback = true\nttl = \"3s\"\n{more}");
    Setup::new().one_backend(FakeUpstream::nowhere().await, "").plugin("probe.wasm", &probe()).more(&table)
}

async fn until_instances(nacos: &Nacos, count: usize) -> Vec<Value> {
    let what = format!("{count} instances");
    until(&what, async || Some(nacos.instances(BFF).await).filter(|found| found.len() == count)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_outlives_nacos_and_is_gone_before_the_host_drains() {
    let Some(mut nacos) = Nacos::start().await else { return };
    let more = "version = \"v7\"\nmetadata = { zone = \"a\" }";
    let at = format!("nacos://{}/bff?cluster=east", nacos.address());
    let folder = setup(&at, more).await.http("drain-delay = \"60s\"").write();
    let host = HostProcess::start(weft(), &folder).await;
    let found = until_instances(&nacos, 1).await.remove(0);
    assert_eq!((&found["ip"], &found["port"]), (&json!("127.0.0.1"), &json!(host.http.port())), "{found}");
    assert_eq!(
        (&found["weight"], &found["clusterName"], &found["ephemeral"]),
        (&json!(100.0), &json!("east"), &json!(true))
    );
    assert_eq!(found["metadata"], json!({ "kind": "http", "version": "v7", "zone": "a" }));

    // Somebody takes it away; nacos is killed, and comes back without it; it hangs, and comes back.
    nacos.delete(BFF, host.http, "&clusterName=east").await;
    until_instances(&nacos, 1).await;
    let said = |from: usize, text: &str| host.lines()[from..].iter().any(|line| line.contains(text)).then_some(());
    let mut from = host.lines().len();
    nacos.kill().await;
    until("nacos to be missed", async || said(from, "this host can't be registered")).await;
    nacos.run().await;
    until("the host to be registered again", async || said(from, "registered again at")).await;
    until_instances(&nacos, 1).await;
    from = host.lines().len();
    nacos.program().freeze();
    until("nacos to be missed", async || said(from, "this host can't be registered")).await;
    nacos.program().thaw();
    until("the host to be registered again", async || said(from, "registered again at")).await;
    until_instances(&nacos, 1).await;

    host.terminate();
    host.until_line("no longer registered").await;
    assert_eq!(nacos.instances(BFF).await, Vec::<Value>::new());
    assert_eq!(host.web().get("/version").send().await.status, 200, "and requests that come still are served");
    host.signal(Signal::KILL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_killed_goes_with_its_connection_and_mistakes_are_told() {
    for (at, expected) in [
        ("nacos://127.0.0.1:8848", "register.at: expected the name of a service"),
        ("nacos://127.0.0.1:8848/bff?cluster=a,b", "register.at: expected ?cluster= with one cluster"),
        ("zookeeper://127.0.0.1:2181/bff", "register.at: expected etcd://HOST:PORT"),
    ] {
        let setup = setup(at, "").await;
        let checked = process::run(weft(), &["check", "--config", setup.write().config().to_str().unwrap()]).await;
        assert!(checked.code != 0 && checked.err.contains(expected), "{at}: {}", checked.err);
    }
    let Some(nacos) = Nacos::start().await else { return };
    let folder = setup(&format!("nacos://{}/bff", nacos.address()), "").await.write();
    let host = HostProcess::start(weft(), &folder).await;
    until_instances(&nacos, 1).await;
    host.signal(Signal::KILL);
    until_instances(&nacos, 0).await;
}
