//! The host in Consul, by the documented requests of an agent: there is no package of the program itself.

use crate::support::{probe, weft};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use weft_tests::{
    process::{self, HostProcess},
    program::replaced,
    repository,
    setup::Setup,
    site::{Page, Site},
    tls::Authority,
    upstream::FakeUpstream,
    wait::until,
};

/// An agent that keeps what it is told of.
struct Agent {
    site: Site,
    services: Arc<Mutex<Vec<Value>>>,
}

impl Agent {
    async fn start() -> Self {
        let (site, services) = (Site::start().await, Arc::<Mutex<Vec<Value>>>::default());
        let agent = Self { site, services };
        agent.serves();
        agent
    }

    /// As Consul does.
    fn serves(&self) {
        let known = self.services.clone();
        self.site.otherwise(move |asked| {
            let mut services = known.lock().unwrap();
            let (method, _) = asked.target.split_once(' ').unwrap();
            let id = asked.path.rsplit('/').next().unwrap();
            let id = id.replace("%3A", ":").replace("%2D", "-").replace("%2E", ".");
            match (method, asked.path.rsplit_once('/').unwrap().0) {
                ("PUT", "/v1/agent/service") => {
                    let told = asked.json();
                    services.retain(|service| service["ID"] != told["ID"]);
                    services.push(told);
                    Page::status(200, "")
                }
                ("PUT", "/v1/agent/check/pass")
                    if services.iter().any(|service| service["Checks"][0]["CheckID"] == id) =>
                {
                    Page::status(200, "")
                }
                ("PUT", "/v1/agent/check/pass") => Page::status(404, format!("Unknown check ID {id:?}")),
                ("PUT", "/v1/agent/service/deregister") => {
                    services.retain(|service| service["ID"] != id);
                    Page::status(200, "")
                }
                _ => Page::status(405, "method not allowed"),
            }
        });
    }

    fn services(&self) -> Vec<Value> {
        self.services.lock().unwrap().clone()
    }

    async fn until_services(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} services");
        until(&what, async || Some(self.services()).filter(|found| found.len() == count)).await
    }
}

async fn setup(at: &str, more: &str) -> Setup {
    let table =
        format!("[register]\nat = {at:?}\nadvertise = \"127.0.0.1\"\nallow-loopback = true\nttl = \"3s\"\n{more}");
    Setup::new().one_backend(FakeUpstream::nowhere().await, "").plugin("probe.wasm", &probe()).more(&table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_kratos_passes_its_check_outlives_its_agent_and_is_gone_before_the_host_drains() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret").unwrap();
    let more = format!("version = \"v7\"\nmetadata = {{ zone = \"a\" }}\ntoken = \"file:{}\"", token.display());
    let at = format!("consul://{}/bff?tag=blue", agent.site.address());
    let folder = setup(&at, &more).await.http("drain-delay = \"60s\"").write();
    let host = HostProcess::start(weft(), &folder).await;
    let found = agent.until_services(1).await.remove(0);
    let (own, port) = (host.http.to_string(), host.http.port());
    let expected = json!({
        "ID": format!("bff-{own}"), "Name": "bff", "Address": "127.0.0.1", "Port": port, "Tags": ["version=v7", "blue"],
        "Meta": { "zone": "a" }, "TaggedAddresses": { "http": { "Address": format!("http://{own}"), "Port": port } },
        "Checks": [{
            "CheckID": format!("service:bff-{own}"), "Name": "this host is ready", "Status": "passing", "TTL": "3000ms",
            "DeregisterCriticalServiceAfter": "600s",
        }],
    });
    assert_eq!(found, expected);
    agent.site.arrived(4).await;
    let asked = agent.site.asked();
    assert_eq!(asked[0].target, "PUT /v1/agent/service/register?replace-existing-checks=true");
    assert!(asked[1..4].iter().all(|asked| asked.path.starts_with("/v1/agent/check/pass/service%3Abff")), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.header("x-consul-token") == Some("s3cret")));

    // The agent has begun anew, and knows nothing; it fails; it refuses.
    agent.services.lock().unwrap().clear();
    agent.until_services(1).await;
    assert!(!host.lines().iter().any(|line| line.contains("can't be registered")), "nothing was lost");
    for page in [Page::status(500, "No cluster leader"), Page::status(403, "ACL not found")] {
        let said = host.lines().len();
        let since = |text: &str| host.lines()[said..].iter().any(|line| line.contains(text)).then_some(());
        agent.site.otherwise(move |_| page.clone());
        until("the agent to be missed", async || since("this host can't be registered")).await;
        agent.serves();
        until("the host to be registered again", async || since("registered again at")).await;
    }

    host.terminate();
    host.until_line("no longer registered").await;
    assert_eq!(agent.services(), Vec::<Value>::new());
    assert_eq!(host.web().get("/version").send().await.status, 200, "and requests that come still are served");
    host.signal(Signal::KILL);
    assert!(!host.lines().iter().any(|line| line.contains("s3cret")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_and_the_configuration_of_the_page_is_a_good_one() {
    for (at, expected) in [
        ("consul://127.0.0.1:8500", "register.at: expected the name of a service"),
        ("consul://127.0.0.1:8500,127.0.0.2:8500/bff", "register.at: expected one agent"),
        ("consul://127.0.0.1:8500/bff?dc=east", "register.at: the datacenter is the agent's own"),
    ] {
        let setup = setup(at, "").await;
        let checked = process::run(weft(), &["check", "--config", setup.write().config().to_str().unwrap()]).await;
        assert!(checked.code != 0 && checked.err.contains(expected), "{at}: {}", checked.err);
    }
    let page = std::fs::read_to_string(repository().join("docs/operators/neighbours/consul.md")).unwrap();
    let shown =
        page.split("```toml\n").find(|rest| rest.starts_with("[register]")).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.write(folder.path(), "ca.pem");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret").unwrap();
    let agent = Agent::start().await;
    let table = replaced(
        shown,
        &[
            ("127.0.0.1:8500", &agent.site.address().to_string()),
            ("env:POD_IP", "127.0.0.1"),
            ("env:CONSUL_TOKEN", &format!("file:{}", token.display())),
        ],
    );
    let setup = Setup::new().one_backend(FakeUpstream::nowhere().await, "").plugin("probe.wasm", &probe());
    let plain = setup.clone().more(&format!("{table}\nallow-loopback = true"));
    let host = plain.start().await;
    agent.until_services(1).await;
    host.stop().await;
    assert_eq!(agent.services(), Vec::<Value>::new());
    // The same over TLS, to an agent that has none.
    let tls = format!("{table}\nallow-loopback = true\ntls = {{ ca = {ca:?} }}");
    let host = HostProcess::start(weft(), &setup.more(&tls).write()).await;
    host.until_line("this host can't be registered").await;
    host.terminate();
    assert_eq!(host.end().await.0, 0);
}
