//! Endpoints that are looked for, by real DNS: they come and go while calls run, and the last good ones outlive whoever told of them.

mod consul;
mod etcd;
mod kubernetes;
mod nacos;

use crate::support::{GET_FILM, knows_all, probe, weft};
use serde_json::Value;
use weft_tests::{
    dnsmasq::Dnsmasq,
    host::TestHost,
    process::{self, HostProcess},
    setup::Setup,
    upstream::FakeUpstream,
    wait::until,
};

/// Calls that may be repeated are not, so that one that is lost is seen.
const ONCE: &str = "retry = { attempts = 1 }\nbreaker = { k = 0 }";

async fn addresses(host: &TestHost) -> Vec<String> {
    let answer: Value = host.admin("/v1/backends").send().await.ok().json();
    let endpoints = answer["backends"][0]["endpoints"].as_array().unwrap().clone();
    let mut addresses: Vec<_> = endpoints.iter().map(|e| e["address"].as_str().unwrap().to_owned()).collect();
    addresses.sort();
    addresses
}

async fn until_addresses(host: &TestHost, wanted: &[String]) {
    let what = format!("the endpoints to be {wanted:?}");
    until(&what, async || (addresses(host).await == wanted).then_some(())).await;
}

async fn source(host: &TestHost) -> Value {
    let answer: Value = host.admin("/v1/backends").send().await.ok().json();
    answer["backends"][0]["discovery"].clone()
}

fn setup(endpoints: &str) -> Setup {
    Setup::new().found_backend(endpoints, ONCE).plugin("probe.wasm", &probe())
}

async fn one_call(host: &TestHost) {
    assert_eq!(host.get("/films/1").send().await.ok().text(), "Film 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_a_name_come_and_go_and_stay_when_its_server_fails() {
    let upstream = knows_all().await;
    let port = upstream.address().port();
    let one = "host-record=films.test,127.0.0.1,1";
    let Some(mut dns) = Dnsmasq::start(one).await else { return };
    let host = setup(&format!("dns://films.test:{port}?server={}", dns.server())).start().await;
    one_call(&host).await;
    assert_eq!(addresses(&host).await, [format!("127.0.0.1:{port}")]);

    // Nobody listens at the second one, so that only its place in the set is looked at.
    dns.restart("host-record=films.test,127.0.0.1,1\nhost-record=films.test,127.0.0.2,1").await;
    until_addresses(&host, &[format!("127.0.0.1:{port}"), format!("127.0.0.2:{port}")]).await;
    dns.restart(one).await;
    until_addresses(&host, &[format!("127.0.0.1:{port}")]).await;

    // It says that there is no such name: that is no reason to forget somebody who answers.
    let told = source(&host).await["set_at"].as_u64().unwrap();
    dns.restart("local=/test/").await;
    until("its answer", async || (source(&host).await["set_at"].as_u64() > Some(told + 2)).then_some(())).await;
    assert_eq!(source(&host).await["failing_since"], Value::Null);
    one_call(&host).await;
    dns.kill().await;
    until("the server to be missed", async || source(&host).await["failing_since"].as_u64()).await;
    assert!(source(&host).await["last_error"]["message"].as_str().unwrap().contains("films.test"));
    one_call(&host).await;
    assert_eq!(host.metrics().await.sum("weft_discovery_up", &[("backend", "fake"), ("source", "dns")]), 0.0);
    dns.restart(one).await;
    until("the server to be found again", async || source(&host).await["failing_since"].is_null().then_some(())).await;
    one_call(&host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_brings_ports_and_weights_and_only_its_first_priority() {
    let upstream = knows_all().await;
    let port = upstream.address().port();
    let lines = format!(
        "local=/test/\nhost-record=a.test,127.0.0.1,1\nhost-record=b.test,127.0.0.2,1\nhost-record=spare.test,127.0.0.3,1\n\
         srv-host=_grpc._tcp.films.test,a.test,{port},1,30\nsrv-host=_grpc._tcp.films.test,b.test,9,1,10\n\
         srv-host=_grpc._tcp.films.test,none.test,9,1,10\nsrv-host=_grpc._tcp.films.test,spare.test,9,2,10"
    );
    let Some(mut dns) = Dnsmasq::start(&lines).await else { return };
    let endpoints = format!("dns+srv://_grpc._tcp.films.test?server={}", dns.server());
    let setup = setup(&endpoints);
    let checked =
        process::run(weft(), &["check", "--connect", "--config", setup.write().config().to_str().unwrap()]).await;
    let expected = format!(
        "backend fake: 2 endpoints\n    127.0.0.1:{port} weight=30\n    127.0.0.2:9 weight=10\n    passed over: 1 (unresolved), the first \
         of them: none.test.: it has no address"
    );
    assert!(checked.code == 0 && checked.out.contains(&expected), "{}{}", checked.out, checked.err);

    let host = setup.start().await;
    assert_eq!(addresses(&host).await, [format!("127.0.0.1:{port}"), "127.0.0.2:9".to_owned()]);
    assert_eq!(source(&host).await["skipped"]["unresolved"], 1);
    let skipped = [("backend", "fake"), ("source", "dns+srv"), ("reason", "unresolved")];
    assert_eq!(host.metrics().await.sum("weft_discovery_skipped", &skipped), 1.0);
    dns.restart("host-record=spare.test,127.0.0.3,1\nsrv-host=_grpc._tcp.films.test,spare.test,9,2,10").await;
    until_addresses(&host, &["127.0.0.3:9".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_starts_without_its_registry_says_so_and_keeps_what_it_knows_over_a_reload() {
    let upstream = knows_all().await;
    let port = upstream.address().port();
    let one = "host-record=films.test,127.0.0.1,1";
    let Some(mut dns) = Dnsmasq::start(one).await else { return };
    dns.kill().await;
    let endpoints = format!("dns://films.test:{port}?server={}", dns.server());
    let more = format!("{ONCE}\ndiscovery = {{ wait = \"50ms\" }}\ntimeout = \"30s\"");
    let setup = Setup::new().found_backend(&endpoints, &more).plugin("probe.wasm", &probe());
    let folder = setup.write();
    let checked = process::run(weft(), &["check", "--connect", "--config", folder.config().to_str().unwrap()]).await;
    assert!(
        checked.code != 0 && checked.err.contains("backend.fake.endpoints: endpoints can't be found"),
        "{}",
        checked.err
    );

    let host = HostProcess::start(weft(), &folder).await;
    let problem = host.web().get("/films/1").send().await.problem(503);
    assert_eq!(problem["code"], "UNAVAILABLE");
    host.until_line("can't tell of its endpoints").await;
    dns.restart(one).await;
    until("the first endpoint", async || (host.web().get("/films/1").send().await.status == 200).then_some(())).await;

    // Gone again, and a changed backend still begins with what is known.
    dns.kill().await;
    folder.change(|text| text.replace("timeout = \"30s\"", "timeout = \"20s\""));
    host.signal(rustix::process::Signal::HUP);
    host.until_line("configuration reloaded").await;
    assert_eq!(host.web().get("/films/1").send().await.ok().text(), "Film 1");
    assert!(upstream.count(GET_FILM) >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_in_endpoints_are_told_with_what_was_expected() {
    let upstream = FakeUpstream::start().await;
    drop(upstream);
    for (endpoints, expected) in [
        ("films.test:80", "expected \"static://HOST:PORT,HOST:PORT\""),
        ("dns://films.test", "expected dns://NAME:PORT with a port"),
        ("dns://films.test:0", "expected dns://NAME:PORT with a port"),
        ("dns://127.0.0.1:80", "expected a name that DNS knows addresses of"),
        ("dns://films.test:80?servers=1", "no other option"),
        ("dns+srv://?server=127.0.0.1:53", "expected a name"),
        ("dns+srv://films.test?server=here", "expected server=IP:PORT"),
        ("static://films.test:99999", "no port from 1 to 65535"),
    ] {
        let folder = setup(endpoints).write();
        let checked = process::run(weft(), &["check", "--config", folder.config().to_str().unwrap()]).await;
        assert!(
            checked.err.contains("backend.fake.endpoints: ") && checked.err.contains(expected),
            "{endpoints}: {}",
            checked.err
        );
    }
}
