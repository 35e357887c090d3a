//! A server that speaks as Nacos 2 does: it tells of instances that come and go, and goes itself in every way.

use super::{addresses, one_call, setup, source, until_addresses};
use crate::support::{knows_all, probe, weft};
use std::net::SocketAddr;
use weft_tests::{
    host::TestHost,
    nacos::{Nacos, PASSWORD, USER},
    process,
    program::replaced,
    repository,
    setup::Setup,
    tcp_proxy::{TcpProxy, Toxics},
    upstream::FakeUpstream,
    wait::until,
};

const FILMS: &str = "films.grpc";

fn endpoints(nacos: SocketAddr) -> String {
    format!("nacos://{nacos}/{FILMS}")
}

fn both(one: &FakeUpstream, two: &FakeUpstream) -> [String; 2] {
    let mut both = [at(one), at(two)];
    both.sort();
    both
}

fn at(upstream: &FakeUpstream) -> String {
    upstream.address().to_string()
}

async fn until_failing(host: &TestHost, wanted: bool) {
    let what = format!("the source to fail: {wanted}");
    until(&what, async || (source(host).await["failing_since"].is_u64() == wanted).then_some(())).await;
}

async fn check(setup: &Setup) -> process::Ended {
    let folder = setup.write();
    process::run(weft(), &["check", "--connect", "--config", folder.config().to_str().unwrap()]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_come_and_go_as_nacos_tells_and_nonsense_is_passed_over() {
    let Some(nacos) = Nacos::start().await else { return };
    let (one, two) = (knows_all().await, knows_all().await);
    let as_kratos = "&weight=100&metadata=%7B%22kind%22%3A%22grpc%22%2C%22version%22%3A%22v2%22%7D";
    nacos.put(FILMS, one.address(), as_kratos).await;
    let host = setup(&endpoints(nacos.address())).start().await;
    one_call(&host).await;
    assert_eq!(addresses(&host).await, [at(&one)]);
    nacos.put(FILMS, two.address(), "&clusterName=west&weight=7").await;
    until_addresses(&host, &both(&one, &two)).await;

    let checked = check(&setup(&format!("{}?cluster=west", endpoints(nacos.address())))).await;
    let expected = format!("backend fake: 1 endpoint\n    {} weight=7 zone=west", at(&two));
    assert!(checked.code == 0 && checked.out.contains(&expected), "{}{}", checked.out, checked.err);
    let checked = check(&setup(&format!("{}?cluster=DEFAULT", endpoints(nacos.address())))).await;
    let expected = format!("backend fake: 1 endpoint\n    {} weight=100 kind=grpc version=v2", at(&one));
    assert!(checked.code == 0 && checked.out.contains(&expected), "{}{}", checked.out, checked.err);

    // Out by its weight, out by a switch, and back.
    nacos.put(FILMS, two.address(), "&clusterName=west&weight=0").await;
    until_addresses(&host, &[at(&one)]).await;
    nacos.put(FILMS, two.address(), "&clusterName=west&weight=7&enabled=false").await;
    nacos.put("films", two.address(), "").await;
    for (number, odd) in ["ip=10.0.0.1&port=0", "ip=10.0.0.1&port=99999", "ip=10.0.0.1%2Fx&port=9"].iter().enumerate() {
        nacos.put_at(FILMS, odd, "").await;
        let told = async || (source(&host).await["skipped"]["address"] == number + 1).then_some(());
        until("nonsense to be told", told).await;
    }
    nacos.put_at(FILMS, "ip=10.0.0.1&port=8", "&weight=NaN").await;
    until("a weight to be told", async || (source(&host).await["skipped"]["weight"] == 1).then_some(())).await;
    assert_eq!(addresses(&host).await, [at(&one)]);
    nacos.put(FILMS, two.address(), "&clusterName=west&weight=7&enabled=true").await;
    until_addresses(&host, &both(&one, &two)).await;

    // The last of all is no reason to have nobody.
    nacos.delete(FILMS, one.address(), "").await;
    until_addresses(&host, &[at(&two)]).await;
    nacos.delete(FILMS, two.address(), "&clusterName=west").await;
    for port in 1..4 {
        nacos.put_at(FILMS, &format!("ip=10.0.0.1%2F{port}&port=9"), "").await;
    }
    until("a set without anybody", async || (source(&host).await["skipped"]["address"] == 6).then_some(())).await;
    one_call(&host).await;
    assert_eq!(addresses(&host).await, [at(&two)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_nacos_the_last_set_holds_and_what_has_changed_is_caught_up_with() {
    let Some(mut nacos) = Nacos::start().await else { return };
    let (one, two) = (knows_all().await, knows_all().await);
    nacos.put(FILMS, one.address(), "").await;
    let proxy = TcpProxy::start(nacos.grpc()).await;
    let endpoints = format!("{}?grpc-port={}", endpoints(nacos.address()), proxy.address().port());
    let host = setup(&endpoints).start().await;
    one_call(&host).await;

    // Killed, and started again; it has forgotten all.
    nacos.kill().await;
    until_failing(&host, true).await;
    one_call(&host).await;
    nacos.run().await;
    until_failing(&host, false).await;
    one_call(&host).await;
    assert_eq!(addresses(&host).await, [at(&one)], "an empty set is refused while one answers");
    nacos.put(FILMS, two.address(), "").await;
    until_addresses(&host, &[at(&two)]).await;

    // It takes what comes, and says nothing; then nothing comes through, and nobody is told.
    nacos.program().freeze();
    until_failing(&host, true).await;
    one_call(&host).await;
    nacos.program().thaw();
    until_failing(&host, false).await;
    proxy.set(Toxics { blackhole: true, ..Toxics::default() });
    until_failing(&host, true).await;
    nacos.put(FILMS, one.address(), "").await;
    one_call(&host).await;
    assert_eq!(addresses(&host).await, [at(&two)]);
    proxy.heal();
    proxy.cut();
    until_addresses(&host, &both(&one, &two)).await;

    // A bad network is slower, and no worse.
    proxy.set(Toxics { slicer: Some(7), ..Toxics::default() });
    proxy.cut();
    nacos.delete(FILMS, two.address(), "").await;
    until_addresses(&host, &[at(&one)]).await;
    let failures = [("backend", "fake"), ("source", "nacos")];
    assert!(host.metrics().await.sum("weft_discovery_failures_total", &failures) >= 3.0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_is_told_by_a_login_whose_token_is_renewed() {
    let Some(nacos) = Nacos::guarded(4).await else { return };
    let one = knows_all().await;
    nacos.put(FILMS, one.address(), "").await;
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        format!("file:{}", folder.path().join(name).display())
    };
    let with = |password: &str| {
        let more = format!("retry = {{ attempts = 1 }}\ndiscovery = {{ user = {USER:?}, password = {password:?} }}");
        Setup::new().found_backend(&endpoints(nacos.address()), &more).plugin("probe.wasm", &probe())
    };
    let checked = check(&setup(&endpoints(nacos.address()))).await;
    assert!(checked.code != 0 && checked.err.contains("it refuses: 403 unknown user!"), "{}", checked.err);
    let checked = check(&with(&written("wrong", "secret"))).await;
    assert!(checked.code != 0 && checked.err.contains("the login was answered by 403 Forbidden"), "{}", checked.err);

    let host = with(&written("right", PASSWORD)).start().await;
    one_call(&host).await;
    let logins = || nacos.program().log().matches("POST /nacos/v1/auth/login HTTP").count();
    let before = logins();
    until("some more logins", async || (logins() > before + 2).then_some(())).await;
    let two = knows_all().await;
    nacos.put(FILMS, two.address(), "").await;
    until_addresses(&host, &both(&one, &two)).await;
    assert!(source(&host).await["failures"] == 0, "{}", source(&host).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_of_the_page_is_a_good_one() {
    let page = std::fs::read_to_string(repository().join("docs/operators/neighbours/nacos.md")).unwrap();
    let shown: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [backend, register] = shown.try_into().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, PASSWORD).unwrap();
    let secret = format!("file:{}", secret.display());
    let Some(nacos) = Nacos::guarded(60).await else { return };
    let one = knows_all().await;
    // rnacos has this namespace by its name.
    nacos.put(FILMS, one.address(), "&namespaceId=prod&groupName=STREAMING&clusterName=east").await;
    let here = nacos.address().to_string();
    let pairs = [("127.0.0.1:8848,127.0.0.1:8858", here.as_str()), ("env:NACOS_PASSWORD", secret.as_str())];
    let more = format!(
        "{}\nretry = {{ attempts = 1 }}\n[backend.others]\nservices = [\"people.v1.People\", \"reviews.v1.Reviews\", \
         \"recommend.v1.Recommend\"]\nendpoints = \"static://{}\"\n{}\nallow-loopback = true",
        replaced(backend, &pairs),
        at(&one),
        replaced(register, &[pairs[1], ("127.0.0.1:8848", here.as_str()), ("env:POD_IP", "127.0.0.1")])
    );
    let host = Setup::new().plugin("probe.wasm", &probe()).more(&more).start().await;
    one_call(&host).await;
    let registered = async || nacos.instances("bff.http&namespaceId=prod").await.len();
    until("the host to be registered", async || (registered().await == 1).then_some(())).await;
    host.stop().await;
    assert_eq!(registered().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_with_what_was_expected() {
    for (endpoints, expected) in [
        ("nacos://127.0.0.1/films", "found \"127.0.0.1\": there is no port"),
        ("nacos://127.0.0.1:65000/films", "there is no port 1000 above 65000"),
        ("nacos://127.0.0.1:8848", "expected the name of a service, as in nacos://127.0.0.1:8848/films.grpc"),
        ("nacos://127.0.0.1:8848/a/b", "expected the name of a service"),
        ("nacos://me:secret@127.0.0.1:8848/films", "credentials don't stand in a URL"),
        ("nacos://127.0.0.1:8848/films?ns=x", "expected the options namespace, group, cluster and grpc-port=PORT"),
        ("nacos://127.0.0.1:8848/films?grpc-port=0", "expected the options"),
        ("nacos://127.0.0.1:8848/films?cluster=", "expected the options"),
    ] {
        let folder = setup(endpoints).write();
        let checked = process::run(weft(), &["check", "--config", folder.config().to_str().unwrap()]).await;
        assert!(checked.err.contains("backend.fake.endpoints: ") && checked.err.contains(expected), "{}", checked.err);
    }
    let more = "discovery = { user = \"weft\" }";
    let setup = Setup::new().found_backend("nacos://127.0.0.1:8848/films", more).plugin("probe.wasm", &probe());
    let checked = process::run(weft(), &["check", "--config", setup.write().config().to_str().unwrap()]).await;
    assert!(checked.err.contains("backend.fake.discovery: `user` and `password` go together"), "{}", checked.err);
}
