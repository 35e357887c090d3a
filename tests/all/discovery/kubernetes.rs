//! EndpointSlices by a stand-in for the API server, which speaks its lists and watches over HTTPS; the host is the real command.

mod cluster;

use super::setup;
use crate::support::{knows_all, weft};
use cluster::{Cluster, Host, PORT, alone, at, check, of, ready, slice};
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;
use weft_tests::{
    api_server::{ApiServer, End},
    process::{self, HostProcess},
    repository,
    setup::Setup,
    wait::until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_come_and_go_under_load_and_leave_last_if_all_leave() {
    let (one, two) = (knows_all().await, knows_all().await);
    let cluster = Cluster::start().await;
    let api = &cluster.api;
    api.put(alone("films-a", &one, json!({ "ready": true })));
    let host = cluster.host().await;
    let load = host.load();
    load.more(5).await;
    assert_eq!(host.addresses().await, of(&[&one]));

    // It starts; then nobody says whether it is ready, which means that it is.
    api.put(alone("films-b", &two, json!({ "ready": false, "serving": false, "terminating": false })));
    let mut people = slice("people-a", PORT, &[ready("127.0.0.1")]);
    people["metadata"]["labels"]["kubernetes.io/service-name"] = "people".into();
    api.put(people);
    api.bookmark();
    load.more(5).await;
    assert_eq!(host.addresses().await, of(&[&one]));
    api.put(alone("films-b", &two, Value::Null));
    host.until_addresses(&of(&[&one, &two])).await;
    load.more(20).await;

    // Those that leave go before those that are ready; the last ones serve until they have gone.
    let leaving = json!({ "ready": false, "serving": true, "terminating": true });
    api.put(alone("films-a", &one, leaving.clone()));
    host.until_addresses(&of(&[&two])).await;
    api.put(alone("films-b", &two, leaving));
    host.until_addresses(&of(&[&one, &two])).await;
    api.put(alone("films-a", &one, json!({ "ready": true })));
    host.until_addresses(&of(&[&one])).await;
    // All are gone, it says, and one answers.
    api.delete("films-a");
    api.delete("films-b");
    load.more(5).await;
    load.end().await;
    assert_eq!(api.count("watch=1"), 1);
    let first = &api.asked()[0];
    let path =
        "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dfilms";
    assert_eq!(first, &format!("{path}&limit=100"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_ends_goes_on_from_where_it_was_and_a_forgotten_one_is_listed_anew() {
    let port = PORT;
    for protocol in ["h2", "http/1.1"] {
        let cluster = Cluster::of(ApiServer::speaking(protocol, "one").await);
        let api = &cluster.api;
        api.put(slice("films-a", port, &[ready("127.0.0.1")]));
        let host = cluster.host().await;
        api.watched(1).await;
        for (number, how) in [(1, End::Well), (2, End::Half)] {
            api.bookmark();
            api.ends(how);
            // It comes between two watches, or with the first event of the next one.
            let ip = format!("127.0.0.{}", number + 1);
            api.put(slice("films-b", port, &[ready(&ip)]));
            host.until_addresses(&at(port, &["127.0.0.1", &ip])).await;
            assert_eq!((api.count("limit="), api.count("watch=1")), (1, number + 1), "{protocol}");
        }
        for compacted in [false, true] {
            let listed = api.count("limit=");
            if compacted {
                // What happened is known to nobody any more, but from the list.
                api.forgets("films-b");
            } else {
                api.put(slice("films-b", port, &[ready("127.0.0.7")]));
                api.ends(End::Error(410));
            }
            let wanted: &[&str] = if compacted { &["127.0.0.1"] } else { &["127.0.0.1", "127.0.0.7"] };
            host.until_addresses(&at(port, wanted)).await;
            until("a list", async || (api.count("limit=") > listed).then_some(())).await;
        }
        assert_eq!(host.source().await["failures"], 0, "{protocol}: {:?}", host.source().await);
        api.ends(End::Error(500));
        until("a failure", async || (host.source().await["failures"] == 1).then_some(())).await;
        host.until_failing(false).await;
        assert!(host.source().await["last_error"]["message"].as_str().unwrap().contains("500 as a test says"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_read_again_and_the_last_set_outlives_an_outage_and_a_reload() {
    let (one, two) = (knows_all().await, knows_all().await);
    let mut cluster = Cluster::start().await;
    cluster.api.put(alone("films-a", &one, Value::Null));
    let host = cluster.host().await;
    let load = host.load();
    cluster.api.watched(1).await;
    // Made anew in time, then too late.
    cluster.api.account(cluster.folder.path(), "two");
    cluster.api.accepts("two");
    cluster.api.ends(End::Well);
    cluster.api.watched(2).await;
    cluster.api.put(alone("films-b", &two, Value::Null));
    host.until_addresses(&of(&[&one, &two])).await;
    assert_eq!(host.source().await["failures"], 0);
    cluster.api.accepts("three");
    cluster.api.ends(End::Well);
    host.until_failing(true).await;
    let said = host.source().await["last_error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("401 Unauthorized") && !said.contains("two"), "{said}");
    cluster.api.account(cluster.folder.path(), "three");
    host.until_failing(false).await;

    for (status, body, expected) in [
        (
            403,
            r#"{"kind":"Status","message":"endpointslices is forbidden"}"#,
            "endpointslices is forbidden: its account needs",
        ),
        (200, "<html>", "no list of EndpointSlices"),
        (200, r#"{"kind":"EndpointSliceList","metadata":{},"items":[]}"#, "no resourceVersion"),
        (500, "", "500 Internal Server Error"),
    ] {
        cluster.api.answers(Some((status, body)));
        cluster.api.ends(End::Error(500));
        let what = async || {
            let source = host.source().await;
            source["last_error"]["message"].as_str().filter(|text| text.contains(expected)).map(|_| ())
        };
        until(expected, what).await;
        cluster.api.answers(None);
        host.until_failing(false).await;
    }

    cluster.api.stop().await;
    host.until_failing(true).await;
    host.folder.change(|text| text.replace("timeout = \"30s\"", "timeout = \"20s\""));
    host.process.signal(rustix::process::Signal::HUP);
    host.process.until_line("configuration reloaded").await;
    load.more(5).await;
    assert_eq!(host.addresses().await, of(&[&one, &two]));
    assert_eq!(host.metrics().await.sum("weft_discovery_up", &[("backend", "fake"), ("source", "kubernetes")]), 0.0);
    cluster.api.resume().await;
    cluster.api.delete("films-b");
    host.until_addresses(&of(&[&one])).await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_endpoints_come_in_pages_of_one_revision() {
    let upstream = knows_all().await;
    let port = upstream.address().port();
    let cluster = Cluster::start().await;
    let api = &cluster.api;
    for number in 0..101 {
        let ips = (1..=100).map(|host| ready(&format!("127.1.{number}.{host}")));
        api.put(slice(&format!("films-{number}"), port, &ips.collect::<Vec<_>>()));
    }
    api.pages_of(7);
    let checked = check(&cluster.setup.write(), &["--connect"]).await;
    assert!(checked.code == 0 && checked.out.contains("backend fake: 10000 endpoints"), "{}", checked.err);
    assert!(checked.out.contains("passed over: 100 (too-many)"), "{}", checked.out);
    assert_eq!(api.count("continue="), 14);
    assert_eq!(api.count("continue=a%2Bb%2F1%3D"), 1);
    let host = cluster.host().await;
    until("all of them", async || (host.addresses().await.len() == 10_000).then_some(())).await;
    for number in 0..100 {
        api.delete(&format!("films-{number}"));
    }
    until("a hundred", async || (host.addresses().await.len() == 100).then_some(())).await;
    api.put(slice("films-100", port, &[ready("127.0.0.1")]));
    host.until_addresses(&at(port, &["127.0.0.1"])).await;
    assert_eq!(host.process.web().get("/films/1").send().await.ok().text(), "Film 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_passed_over_with_one_line_for_each_kind() {
    let upstream = knows_all().await;
    let port = upstream.address().port();
    let cluster = Cluster::start().await;
    let api = &cluster.api;
    let host = cluster.host().await;
    let mut other = slice("by-name", port, &[ready("films.example")]);
    other["addressType"] = "FQDN".into();
    api.put(other);
    let mut nobodys = slice("nobodys", port, &[ready("127.0.0.5")]);
    nobodys["metadata"]["labels"] = json!({});
    api.put(nobodys);
    let mut without = slice("without-port", port, &[ready("127.0.0.6")]);
    without["ports"] = json!([{ "name": "http", "port": 80 }]);
    api.put(without);
    let mut broken = slice("broken", port, &[]);
    broken["endpoints"] = "none".into();
    api.put(broken);
    let odd =
        [json!(null), json!(7), ready("127.0.0.256"), ready("0.0.0.0"), json!({ "addresses": [] }), ready("127.0.0.1")];
    api.put(slice("mixed", port, &odd));
    host.until_addresses(&at(port, &["127.0.0.1"])).await;
    let skipped = host.source().await["skipped"].clone();
    assert_eq!(skipped, json!({ "address": 5, "other-service": 1, "unreadable": 3 }));
    for number in 2..6 {
        api.put(slice("mixed", port, &odd[number..]));
        host.until_addresses(&at(port, &["127.0.0.1"])).await;
    }
    let lines = host.process.lines();
    let told = |reason: &str| lines.iter().filter(|line| line.contains(&format!("passed over ({reason})"))).count();
    assert_eq!((told("address"), told("other-service"), told("unreadable")), (1, 1, 1), "{lines:#?}");
    let labels = [("backend", "fake"), ("source", "kubernetes"), ("reason", "other-service")];
    assert_eq!(host.metrics().await.sum("weft_discovery_skipped", &labels), 1.0);

    // A line that is no event ends the watch, and what is there is listed.
    for line in [
        "null\n",
        "{\"type\":\"ADDED\"}\n",
        "<html>\n",
        "{\"type\":\"MOVED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}\n",
    ] {
        let failures = host.source().await["failures"].as_u64().unwrap();
        until("the next watch", async || {
            api.says(line);
            (host.source().await["failures"].as_u64() > Some(failures)).then_some(())
        })
        .await;
        host.until_failing(false).await;
    }
    host.until_addresses(&at(port, &["127.0.0.1"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_asks_by_what_is_mounted_into_it() {
    let upstream = knows_all().await;
    let port = upstream.address().port();
    let cluster = Cluster::start().await;
    cluster.api.put(slice("films-a", port, &[ready("127.0.0.1")]));
    let endpoints = format!("kubernetes://shop/films:{port}");
    let mounted = format!("service-account = {:?}", cluster.folder.path());
    let folder = Cluster::setup(&endpoints, &mounted).write();
    let port_text = cluster.api.address().port().to_string();
    let environment =
        [("KUBERNETES_SERVICE_HOST", Path::new("127.0.0.1")), ("KUBERNETES_SERVICE_PORT", Path::new(&port_text))];
    let process = HostProcess::start_with(weft(), &folder, &environment).await;
    let host = Host { process, folder };
    assert_eq!(host.addresses().await, at(port, &["127.0.0.1"]));
    assert_eq!(host.process.web().get("/films/1").send().await.ok().text(), "Film 1");

    let by_file = Cluster::setup(&endpoints, "context = \"here\"").write();
    let file = cluster.api.kubeconfig(cluster.folder.path());
    let host = HostProcess::start_with(weft(), &by_file, &[("KUBECONFIG", &file)]).await;
    assert_eq!(host.web().get("/films/1").send().await.ok().text(), "Film 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_what_is_found_and_what_is_wrong() {
    let upstream = knows_all().await;
    let port = upstream.address().port();
    let cluster = Cluster::start().await;
    cluster.api.put(slice("films-a", port, &[ready("127.0.0.1")]));
    let checked = check(&cluster.setup.write(), &["--connect"]).await;
    let expected = format!("backend fake: 1 endpoint\n    127.0.0.1:{port} weight=1 zone=east");
    assert!(checked.code == 0 && checked.out.contains(&expected), "{}{}", checked.out, checked.err);
    for (endpoints, expected) in [
        ("kubernetes://films:80", "expected kubernetes://NAMESPACE/SERVICE:PORT"),
        ("kubernetes://shop/films", "expected kubernetes://NAMESPACE/SERVICE:PORT"),
        ("kubernetes:///films:80", "\"\" is not the name of a namespace"),
        ("kubernetes://shop/Films:80", "\"Films\" is not the name of a service"),
        ("kubernetes://shop/films:0", "\"0\" is no port"),
        ("kubernetes://shop/films:99999", "\"99999\" is no port"),
        ("kubernetes://shop/films:80?context=a", "discovery = { kubeconfig"),
    ] {
        let checked = check(&setup(endpoints).write(), &[]).await;
        assert!(checked.err.contains("backend.fake.endpoints: ") && checked.err.contains(expected), "{}", checked.err);
    }
    let file = cluster.folder.path().join("kube.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    for (from, to, expected) in [
        (
            "tokenFile: token",
            "exec: {command: aws}",
            "a program that brings credentials (exec) is not known here: take the token",
        ),
        ("current-context: here", "current-context: there", "there is no context \"there\""),
        ("certificate-authority: ca.crt", "insecure-skip-tls-verify: true", "give its certificate-authority"),
        ("ca.crt", "none.crt", "none.crt: No such file"),
        ("https://", "http://", "no token is sent there"),
        ("users:", "users: {", "expected a kubeconfig, see line"),
    ] {
        std::fs::write(&file, good.replace(from, to)).unwrap();
        let checked = check(&cluster.setup.write(), &[]).await;
        let key = "backend.fake.discovery.kubeconfig: ";
        assert!(checked.err.contains(key) && checked.err.contains(expected), "{to}: {}", checked.err);
    }
    std::fs::write(&file, good).unwrap();
    // Outside of a cluster this says so, and only when it is asked.
    let away = Cluster::setup("kubernetes://shop/films:grpc", "wait = \"1s\"").write();
    assert_eq!(check(&away, &[]).await.code, 0);
    let checked = check(&away, &["--connect"]).await;
    assert!(
        checked.err.contains("no `kubeconfig`, no $KUBECONFIG, and the environment has no KUBERNETES_SERVICE_HOST"),
        "{}",
        checked.err
    );
}

/// What stands in the page, and in the file of `deploy/kubernetes` behind `#`, as it is there.
#[tokio::test]
async fn what_the_page_and_the_manifests_say_finds_its_pods() {
    let cluster = Cluster::start().await;
    let file = cluster.api.kubeconfig(cluster.folder.path());
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let page = read("docs/operators/neighbours/kubernetes.md");
    let block = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap().to_owned();
    let deployed = read("deploy/kubernetes/weft.toml");
    let lines = deployed.split("# [backend.films]").nth(1).unwrap().lines().map(|line| line.trim_start_matches("# "));
    let deployed = format!("[backend.films]{}", lines.collect::<Vec<_>>().join("\n"));
    for (namespace, backend) in [("shop", block), ("services", deployed)] {
        let mut there = slice(&format!("films-{namespace}"), PORT, &[ready("127.0.0.1")]);
        there["metadata"]["namespace"] = namespace.into();
        cluster.api.put(there);
        let folder = Setup::new().more(&backend).write();
        let mut command = Command::new(weft());
        command.args(["check", "--connect", "--config"]).arg(folder.config()).env("KUBECONFIG", &file);
        let checked = process::ended(&mut command).await;
        let expected = "backend films: 1 endpoint\n    127.0.0.1:9 weight=1 zone=east";
        assert!(checked.code == 0 && checked.out.contains(expected), "{backend}: {}{}", checked.out, checked.err);
    }
}
