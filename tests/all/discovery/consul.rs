//! Consul by its documented answers to blocking queries: there is no package of the program itself.

use super::{addresses, one_call, setup, source, until_addresses};
use crate::support::{knows_all, weft};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;
use weft_tests::{
    host::TestHost,
    process,
    site::{Asked, Page, Site},
    upstream::FakeUpstream,
    wait::until,
};

const PATH: &str = "/v1/health/service/films";

/// An agent that knows what a test tells it, and answers when that changes.
struct Agent {
    site: Site,
    now: Arc<Mutex<Now>>,
}

struct Now {
    index: u64,
    instances: Value,
    changed: watch::Sender<bool>,
}

impl Agent {
    async fn start(instances: Value) -> Self {
        let site = Site::start().await;
        let now = Arc::new(Mutex::new(Now { index: 7, instances, changed: watch::Sender::new(false) }));
        let agent = Self { site, now };
        agent.serves();
        agent
    }

    /// As Consul does.
    fn serves(&self) {
        let known = self.now.clone();
        self.site.on(PATH, move |asked| {
            let now = known.lock().unwrap();
            let page = Page::json(now.instances.to_string()).header("x-consul-index", &now.index.to_string());
            // Whoever knows this already waits for the next one; what is held is what there was, and is asked for again.
            match index(asked) == Some(now.index) {
                true => Page::Held(now.changed.subscribe(), Box::new(page)),
                false => page,
            }
        });
    }

    fn knows(&self, instances: Value, index: u64) {
        let mut now = self.now.lock().unwrap();
        (now.index, now.instances) = (index, instances);
        std::mem::replace(&mut now.changed, watch::Sender::new(false)).send_replace(true);
    }

    fn endpoints(&self) -> String {
        format!("consul://{}/films?tag=v2&dc=east", self.site.address())
    }
}

fn index(asked: &Asked) -> Option<u64> {
    asked.target.split("&index=").nth(1)?.split('&').next()?.parse().ok()
}

fn instance(address: SocketAddr) -> Value {
    json!({
        "Node": { "Address": "10.9.9.9", "Datacenter": "east" },
        "Service": { "Service": "films", "Address": address.ip().to_string(), "Port": address.port(), "Weights": { "Passing": 3 } },
    })
}

fn at(upstream: &FakeUpstream) -> String {
    upstream.address().to_string()
}

async fn until_failing(host: &TestHost, wanted: bool) {
    let what = format!("the source to fail: {wanted}");
    until(&what, async || (source(host).await["failing_since"].is_u64() == wanted).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_come_and_go_as_an_agent_says_and_stay_when_it_is_away() {
    let (one, two) = (knows_all().await, knows_all().await);
    let agent = Agent::start(json!([instance(one.address())])).await;
    let host = setup(&agent.endpoints()).start().await;
    one_call(&host).await;
    assert_eq!(addresses(&host).await, [at(&one)]);
    agent.site.arrived(2).await;
    let targets = agent.site.targets();
    assert_eq!(targets[0], format!("GET {PATH}?passing=1&tag=v2&dc=east"));
    assert_eq!(targets[1], format!("GET {PATH}?passing=1&tag=v2&dc=east&index=7&wait=55s"));

    let mut both = [at(&one), at(&two)];
    both.sort();
    agent.knows(json!([instance(one.address()), instance(two.address()), null, { "Service": 1 }]), 9);
    until_addresses(&host, &both).await;
    assert_eq!(source(&host).await["skipped"]["unreadable"], 2);
    // An index that goes back is another server's: what is there is asked for anew.
    agent.knows(json!([instance(two.address())]), 3);
    until_addresses(&host, &[at(&two)]).await;
    let asked = agent.site.count();
    agent.site.arrived(asked + 2).await;
    assert!(
        agent.site.targets()[asked..].iter().any(|target| !target.contains("index=")),
        "{:?}",
        agent.site.targets()
    );

    // None is healthy, it says, and one answers.
    let asked = agent.site.count();
    agent.knows(json!([]), 5);
    agent.site.arrived(asked + 1).await;
    one_call(&host).await;
    for page in [
        Page::status(500, "No cluster leader"),
        Page::json("<html>"),
        Page::json("[]"),
        Page::status(403, "ACL not found"),
        Page::Whole(200, vec![("x-consul-index", "many".to_owned())], "[]".into()),
    ] {
        agent.site.has(PATH, page);
        agent.knows(json!([]), 6);
        until_failing(&host, true).await;
        one_call(&host).await;
        agent.serves();
        until_failing(&host, false).await;
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_what_an_agent_tells_and_what_is_wrong_with_the_url() {
    let one = knows_all().await;
    let agent = Agent::start(json!([instance(one.address())])).await;
    let check = async |endpoints: &str, more: &[&str]| {
        let folder = setup(endpoints).write();
        let config = folder.config();
        let words = [&["check"], more, &["--config", config.to_str().unwrap()]].concat();
        process::run(weft(), &words).await
    };
    let checked = check(&agent.endpoints(), &["--connect"]).await;
    let expected = format!("backend fake: 1 endpoint\n    {} weight=3 zone=east", at(&one));
    assert!(checked.code == 0 && checked.out.contains(&expected), "{}{}", checked.out, checked.err);
    agent.site.has(PATH, Page::status(403, "Permission denied: token with AccessorID lacks permission"));
    let checked = check(&agent.endpoints(), &["--connect"]).await;
    assert!(checked.code != 0 && checked.err.contains("403 Forbidden: Permission denied"), "{}", checked.err);
    for (endpoints, expected) in [
        ("consul://127.0.0.1/films", "found \"127.0.0.1\": there is no port"),
        ("consul://127.0.0.1:8500", "expected the name of a service"),
        ("consul://127.0.0.1:8500/a/b", "expected the name of a service"),
        ("consul://127.0.0.1:8500/films?near=me", "expected the options tag and dc"),
    ] {
        let checked = check(endpoints, &[]).await;
        assert!(checked.err.contains("backend.fake.endpoints: ") && checked.err.contains(expected), "{}", checked.err);
    }
}
