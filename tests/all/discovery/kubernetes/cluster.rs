//! What tests of EndpointSlices begin with: slices, a stand-in that has them, and a host that is told of it.

use super::super::{ONCE, etcd::Load};
use crate::support::{probe, weft};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use weft_tests::{
    api_server::ApiServer,
    metrics::Scrape,
    process::{self, Ended, HostProcess},
    setup::{Folder, Setup},
    upstream::FakeUpstream,
    wait::until,
    web::Web,
};

/// An endpoint that is ready.
pub(super) fn ready(ip: &str) -> Value {
    endpoint(ip, json!({ "ready": true, "serving": true, "terminating": false }))
}

pub(super) fn endpoint(ip: &str, conditions: Value) -> Value {
    json!({ "addresses": [ip], "conditions": conditions, "zone": "east", "targetRef": { "kind": "Pod", "uid": ip } })
}

/// A slice of the service `films` whose port `grpc` is that of this upstream.
pub(super) fn slice(name: &str, port: u16, endpoints: &[Value]) -> Value {
    json!({
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": { "name": name, "namespace": "shop", "labels": { "kubernetes.io/service-name": "films" } },
        "addressType": "IPv4",
        "ports": [{ "name": "metrics", "port": 9, "protocol": "TCP" }, { "name": "grpc", "port": port, "protocol": "TCP" }],
        "endpoints": endpoints,
    })
}

/// A slice with nobody but this one.
pub(super) fn alone(name: &str, upstream: &FakeUpstream, conditions: Value) -> Value {
    slice(name, upstream.address().port(), &[endpoint("127.0.0.1", conditions)])
}

pub(super) fn at(port: u16, ips: &[&str]) -> Vec<String> {
    ips.iter().map(|ip| format!("{ip}:{port}")).collect()
}

pub(super) fn of(upstreams: &[&FakeUpstream]) -> Vec<String> {
    let mut addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address().to_string()).collect();
    addresses.sort();
    addresses
}

/// Nobody listens there, as far as a test knows.
pub(super) const PORT: u16 = 9;

/// The API server, the folder with what is known of it, and a configuration that says so.
pub(super) struct Cluster {
    pub(super) api: ApiServer,
    pub(super) folder: TempDir,
    pub(super) setup: Setup,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        Self::of(ApiServer::start("one").await)
    }

    pub(super) fn of(api: ApiServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        api.account(folder.path(), "one");
        let kubeconfig = api.kubeconfig(folder.path());
        let setup = Self::setup("kubernetes://shop/films:grpc", &format!("kubeconfig = {kubeconfig:?}"));
        Self { api, folder, setup }
    }

    pub(super) fn setup(endpoints: &str, discovery: &str) -> Setup {
        let more = format!("{ONCE}\ndiscovery = {{ {discovery} }}\ntimeout = \"30s\"");
        Setup::new().found_backend(endpoints, &more).plugin("probe.wasm", &probe())
    }

    pub(super) async fn host(&self) -> Host {
        let folder = self.setup.write();
        let process = HostProcess::start(weft(), &folder).await;
        Host { process, folder }
    }
}

pub(super) struct Host {
    pub(super) process: HostProcess,
    pub(super) folder: Folder,
}

impl Host {
    pub(super) async fn backend(&self) -> Value {
        let answer = Web::admin(self.process.admin).get("/v1/backends").send().await.ok().json();
        answer["backends"][0].clone()
    }

    pub(super) async fn source(&self) -> Value {
        self.backend().await["discovery"].clone()
    }

    pub(super) async fn addresses(&self) -> Vec<String> {
        let backend = self.backend().await;
        let endpoints = backend["endpoints"].as_array().unwrap().iter();
        let mut addresses: Vec<_> = endpoints.map(|e| e["address"].as_str().unwrap().to_owned()).collect();
        addresses.sort();
        addresses
    }

    pub(super) async fn until_addresses(&self, wanted: &[String]) {
        let what = format!("the endpoints to be {wanted:?}");
        until(&what, async || (self.addresses().await == wanted).then_some(())).await;
    }

    pub(super) async fn until_failing(&self, wanted: bool) {
        let what = format!("the source to fail: {wanted}");
        until(&what, async || (self.source().await["failing_since"].is_u64() == wanted).then_some(())).await;
    }

    pub(super) async fn metrics(&self) -> Scrape {
        Scrape::parse(&Web::admin(self.process.admin).get("/metrics").send().await.ok().text())
    }

    pub(super) fn load(&self) -> Load {
        Load::begin_at(self.process.http)
    }
}

/// `weft check`, wherever this runs.
pub(super) async fn check(folder: &Folder, more: &[&str]) -> Ended {
    let mut command = Command::new(weft());
    command.arg("check").args(more).arg("--config").arg(folder.config());
    process::ended(command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST").kill_on_drop(true)).await
}
