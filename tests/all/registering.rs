//! The host in a real etcd: there when it is ready, again after whatever becomes of its lease, and gone before it drains.

mod consul;
mod nacos;

use crate::support::{probe, weft};
use rustix::process::Signal;
use serde_json::{Value, json};
use weft_tests::{
    etcd::Etcd,
    process::{self, HostProcess},
    setup::Setup,
    upstream::FakeUpstream,
    wait::until,
};

async fn setup(etcd: &Etcd, layout: &str, more: &str) -> Setup {
    let upstream = FakeUpstream::nowhere().await;
    let at = format!("etcd://{}/bff?layout={layout}", etcd.address());
    let table =
        format!("[register]\nat = {at:?}\nadvertise = \"127.0.0.1\"\nallow-loopback = true\nttl = \"3s\"\n{more}");
    Setup::new().one_backend(upstream, "").plugin("probe.wasm", &probe()).more(&table)
}

async fn until_keys(etcd: &Etcd, prefix: &str, count: usize) -> Vec<String> {
    let what = format!("{count} keys under {prefix}");
    until(&what, async || Some(etcd.keys(prefix).await).filter(|keys| keys.len() == count)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_of_kratos_outlives_its_lease_and_etcd_and_is_gone_before_the_host_drains() {
    let Some(mut etcd) = Etcd::start().await else { return };
    let more = "version = \"v7\"\nmetadata = { zone = \"a\" }";
    let folder = setup(&etcd, "kratos", more).await.http("drain-delay = \"60s\"").write();
    let host = HostProcess::start(weft(), &folder).await;
    let key = format!("/microservices/bff/{}", host.http);
    assert_eq!(until_keys(&etcd, "/microservices/bff/", 1).await, std::slice::from_ref(&key));
    let value: Value = serde_json::from_str(&etcd.get(&key).await).unwrap();
    let expected = json!({
        "id": host.http.to_string(), "name": "bff", "version": "v7", "metadata": { "zone": "a" },
        "endpoints": [format!("http://{}", host.http)],
    });
    assert_eq!(value, expected);

    // Somebody deletes it; somebody ends its lease; etcd is killed, and comes back with what it knew.
    etcd.delete(&key).await;
    until_keys(&etcd, &key, 1).await;
    let leases = etcd.ctl(&["lease", "list"]).await;
    etcd.ctl(&["lease", "revoke", leases.lines().last().unwrap()]).await;
    until_keys(&etcd, &key, 1).await;
    host.until_line("registered again at").await;
    let said = host.lines().len();
    let since = |text: &str| host.lines()[said..].iter().any(|line| line.contains(text)).then_some(());
    etcd.kill().await;
    until("etcd to be missed", async || since("this host can't be registered")).await;
    etcd.run().await;
    until("the host to be registered again", async || since("registered again at")).await;
    until_keys(&etcd, &key, 1).await;

    host.terminate();
    host.until_line("no longer registered").await;
    assert_eq!(etcd.keys("/microservices/").await, Vec::<String>::new());
    assert_eq!(host.web().get("/version").send().await.status, 200, "and requests that come still are served");
    host.signal(Signal::KILL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_killed_goes_with_its_lease_and_go_zeros_layout_is_written_and_warned_of() {
    let Some(etcd) = Etcd::start().await else { return };
    let folder = setup(&etcd, "go-zero", "").await.write();
    let checked = process::run(weft(), &["check", "--config", folder.config().to_str().unwrap()]).await;
    assert!(
        checked.code == 0 && checked.out.contains("is read by its RPC clients only"),
        "{}{}",
        checked.out,
        checked.err
    );
    let host = HostProcess::start(weft(), &folder).await;
    let keys = until_keys(&etcd, "bff/", 1).await;
    assert!(keys[0].strip_prefix("bff/").unwrap().parse::<u64>().is_ok(), "{keys:?}");
    assert_eq!(etcd.get(&keys[0]).await, host.http.to_string());
    host.signal(Signal::KILL);
    until_keys(&etcd, "bff/", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_nobody_else_reaches_are_mistakes() {
    let table = |lines: &str| format!("[register]\nat = \"etcd://127.0.0.1:2379/bff?layout=kratos\"\n{lines}");
    for (lines, expected) in [
        ("", "nobody else reaches 127.0.0.1"),
        ("advertise = \"0.0.0.0\"\nallow-loopback = true", "0.0.0.0 is nobody's address"),
        ("advertise = \"[::]:80\"", "[::] is nobody's address"),
        ("advertise = \"::1\"", "nobody else reaches [::1]"),
        ("advertise = \"localhost:80\"", "nobody else reaches localhost"),
        ("advertise = \"10.0.0.1:0\"", "expected HOST, HOST:PORT or env:NAME"),
        ("advertise = \"http://10.0.0.1\"", "expected HOST, HOST:PORT or env:NAME"),
        ("advertise = \"10.0.0.1\"\nttl = \"1s\"", "register.ttl: expected a value from 3s"),
        ("advertise = \"10.0.0.1\"\nname = \"x\"", "unknown key"),
    ] {
        let setup = Setup::new().one_backend(FakeUpstream::nowhere().await, "").more(&table(lines));
        let checked = process::run(weft(), &["check", "--config", setup.write().config().to_str().unwrap()]).await;
        assert!(checked.code != 0 && checked.err.contains(expected), "{lines}: {}", checked.err);
    }
    let grpc = table("advertise = \"10.0.0.1\"").replace("layout=kratos", "layout=grpc");
    let setup = Setup::new().one_backend(FakeUpstream::nowhere().await, "").more(&grpc);
    let checked = process::run(weft(), &["check", "--config", setup.write().config().to_str().unwrap()]).await;
    assert!(checked.err.contains("register.at: expected ?layout=kratos or go-zero, found grpc"), "{}", checked.err);
}
