//! The releases in service and the way to them.

use super::{
    Refusal,
    tally::{Observed, Sums, Tally},
};
use crate::{
    artifact::{Artifact, Digest, EndpointPolicy, Limits},
    fanout::Plans,
    plugin::{Cost, Plugin},
    routing::Routes,
    telemetry::{Counter, EndpointLabels, Gauge, Histogram, Metrics, Past, PluginLabels, RequestLabels, Statuses},
};
use http::StatusCode;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering::Relaxed},
    time::{Instant, SystemTime},
};

/// One artifact, ready to serve.
#[derive(Debug)]
pub struct Release {
    pub name: String,
    pub version: semver::Version,
    pub client: String,
    pub digest: Digest,
    pub file: PathBuf,
    pub loaded_at: SystemTime,
    pub limits: Limits,
    pub plugin: Plugin,
    pub plans: Arc<Plans>,
    pub endpoints: Vec<EndpointPolicy>,
    /// That it has answered with.
    statuses: Statuses,
    metrics: ReleaseMetrics,
    tally: Tally,
}

#[derive(Debug)]
struct ReleaseMetrics {
    cpu: Histogram,
    queue: Histogram,
    depth: Histogram,
    calls: Counter,
    memory: Gauge,
    traps: Counter,
    resting: Gauge,
}

/// One endpoint of one release. Requests hold it, and with it the release, until they are done.
#[derive(Debug)]
pub struct Endpoint {
    pub release: Arc<Release>,
    pub policy: EndpointPolicy,
    /// `GET /films/{id}`.
    pub name: String,
    metrics: Metrics,
    /// Made with the first request: an endpoint that nobody calls has no series.
    series: OnceLock<Series>,
    by_status: Mutex<HashMap<u16, Counter>>,
}

#[derive(Debug)]
struct Series {
    seconds: Histogram,
    amplification: Histogram,
    degraded: Counter,
}

/// Everything that requests look up. Immutable; a change makes a new one.
#[derive(Debug, Default)]
pub struct Table {
    clients: HashMap<String, Routes<Arc<Endpoint>>>,
    releases: Vec<Arc<Release>>,
}

impl Release {
    pub(super) fn new(artifact: &Artifact, file: PathBuf, plugin: Plugin, plans: Plans, metrics: &Metrics) -> Self {
        let manifest = &artifact.manifest;
        let labels = PluginLabels { plugin: manifest.name.clone(), version: manifest.version.to_string() };
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            client: manifest.client.clone(),
            digest: artifact.digest,
            file,
            loaded_at: SystemTime::now(),
            limits: manifest.limits,
            plugin,
            plans: Arc::new(plans),
            endpoints: manifest.endpoints.clone(),
            statuses: Statuses::default(),
            metrics: ReleaseMetrics {
                cpu: metrics.guest_cpu.get_or_create_owned(&labels),
                queue: metrics.queue_seconds.get_or_create_owned(&labels),
                depth: metrics.depth.get_or_create_owned(&labels),
                calls: metrics.plugin_calls.get_or_create_owned(&labels),
                memory: metrics.guest_memory.get_or_create_owned(&labels),
                traps: metrics.guest_traps.get_or_create_owned(&labels),
                resting: metrics.plugins_resting.get_or_create_owned(&labels),
            },
            tally: Tally::default(),
        }
    }

    fn observe(&self, observed: &Observed) {
        self.tally.add(observed);
        self.metrics.calls.inc_by(observed.calls.into());
        self.metrics.depth.observe(f64::from(observed.depth));
    }

    /// A guest has run to its end, whether somebody waits for its answer or not.
    pub fn observe_cost(&self, cost: &Cost) {
        self.metrics.cpu.observe(cost.cpu.as_secs_f64());
        self.metrics.queue.observe(cost.queued.as_secs_f64());
        let most = self.tally.add_cost(cost);
        self.metrics.memory.set(i64::try_from(most).unwrap_or(i64::MAX));
    }

    pub fn count_trap(&self) {
        self.tally.traps.fetch_add(1, Relaxed);
        self.metrics.traps.inc();
    }

    /// What it has done and cost so far.
    pub fn sums(&self) -> Sums {
        self.tally.sums()
    }

    /// What is not run for a while after crashes in a row; told to the metrics as well.
    pub fn resting(&self) -> Vec<String> {
        let resting = self.plugin.resting();
        self.metrics.resting.set(i64::try_from(resting.len()).unwrap_or(i64::MAX));
        resting
    }

    /// What there is of it in the metrics.
    pub(super) fn past(&self) -> Past {
        let endpoint = |policy| self.endpoint_labels(policy);
        let endpoints = self.endpoints.iter().map(endpoint).collect();
        Past { since: Instant::now(), labels: self.labels(), endpoints, statuses: self.statuses.clone() }
    }

    fn endpoint_labels(&self, policy: &EndpointPolicy) -> EndpointLabels {
        let (client, endpoint) = (self.client.clone(), policy.name.to_string());
        EndpointLabels { client, endpoint, plugin: self.name.clone(), version: self.version.to_string() }
    }

    pub(super) fn labels(&self) -> PluginLabels {
        PluginLabels { plugin: self.name.clone(), version: self.version.to_string() }
    }
}

impl Endpoint {
    fn new(release: &Arc<Release>, policy: &EndpointPolicy, metrics: &Metrics) -> Self {
        let name = policy.name.to_string();
        Self {
            release: release.clone(),
            policy: policy.clone(),
            name,
            metrics: metrics.clone(),
            series: OnceLock::new(),
            by_status: Mutex::default(),
        }
    }

    /// Counts one answered request.
    pub fn observe(&self, observed: &Observed) {
        self.release.observe(observed);
        let series = self.series.get_or_init(|| self.new_series());
        series.seconds.observe(observed.took.as_secs_f64());
        series.amplification.observe(f64::from(observed.upstream));
        if observed.degraded {
            series.degraded.inc();
        }
        let status = observed.status;
        let mut by_status = self.by_status.lock().unwrap_or_else(PoisonError::into_inner);
        by_status.entry(status.as_u16()).or_insert_with(|| self.counter(status)).inc();
    }

    fn new_series(&self) -> Series {
        let (labels, metrics) = (self.release.endpoint_labels(&self.policy), &self.metrics);
        Series {
            seconds: metrics.request_seconds.get_or_create_owned(&labels),
            amplification: metrics.amplification.get_or_create_owned(&labels),
            degraded: metrics.degraded.get_or_create_owned(&labels),
        }
    }

    fn counter(&self, status: StatusCode) -> Counter {
        self.release.statuses.lock().unwrap_or_else(PoisonError::into_inner).insert(status.as_u16());
        let labels = RequestLabels {
            client: self.release.client.clone(),
            endpoint: self.name.clone(),
            plugin: self.release.name.clone(),
            version: self.release.version.to_string(),
            status: status.as_u16().to_string(),
        };
        self.metrics.requests.get_or_create_owned(&labels)
    }
}

/// Client, plugin and endpoint.
type Claim = (String, String, String);

fn claim(release: &Release, policy: &EndpointPolicy) -> Claim {
    (release.client.clone(), release.name.clone(), policy.name.place())
}

/// One version of a plugin.
pub(super) trait Versioned {
    fn plugin(&self) -> &str;
    fn version(&self) -> &semver::Version;
}

impl Versioned for Arc<Release> {
    fn plugin(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &semver::Version {
        &self.version
    }
}

/// For each plugin its highest version, in the order of the list.
pub(super) fn highest<'a, V: Versioned>(list: &[&'a V]) -> Vec<&'a V> {
    let mut newest: BTreeMap<&str, &semver::Version> = BTreeMap::new();
    for one in list {
        let version = newest.entry(one.plugin()).or_insert(one.version());
        *version = (*version).max(one.version());
    }
    let is_newest = |one: &&&'a V| newest.get(one.plugin()) == Some(&one.version());
    list.iter().filter(is_newest).copied().collect()
}

impl Table {
    /// Puts together all releases that can stand beside each other; for each plugin the highest version that can. What `live` serves
    /// stays with the plugin that has it, as long as that declares it; beyond this an endpoint belongs to the first that declares it.
    /// `releases` come in the order of their claim. Those that can't serve come back with the reason.
    pub(super) fn build(
        releases: &[Arc<Release>],
        live: &Self,
        metrics: &Metrics,
    ) -> (Self, Vec<(Arc<Release>, Refusal)>) {
        let held = live.held();
        let mut refused: Vec<(Arc<Release>, Refusal)> = Vec::new();
        loop {
            let is_refused = |release: &Arc<Release>| refused.iter().any(|(other, _)| Arc::ptr_eq(other, release));
            let left: Vec<_> = releases.iter().filter(|release| !is_refused(release)).collect();
            match Self::assemble(&highest(&left), &held, metrics) {
                Ok(table) => return (table, refused),
                // Without it the table is put together anew: an older version of it may serve, and keeps what it has.
                Err(clash) => refused.push(clash),
            }
        }
    }

    /// All endpoints of all these releases; the first clash ends it.
    fn assemble(
        releases: &[&Arc<Release>],
        held: &HashSet<Claim>,
        metrics: &Metrics,
    ) -> Result<Self, (Arc<Release>, Refusal)> {
        let mut table = Self::default();
        for is_held in [true, false] {
            for release in releases {
                let routes = table.clients.entry(release.client.clone()).or_default();
                for policy in &release.endpoints {
                    if held.contains(&claim(release, policy)) == is_held {
                        let endpoint = Arc::new(Endpoint::new(release, policy, metrics));
                        routes
                            .add(&policy.name, &release.name, endpoint)
                            .map_err(|by| ((*release).clone(), Refusal::taken(&release.client, &policy.name, by)))?;
                    }
                }
            }
        }
        table.releases = releases.iter().map(|release| (*release).clone()).collect();
        Ok(table)
    }

    fn held(&self) -> HashSet<Claim> {
        let claims =
            |release: &Arc<Release>| release.endpoints.iter().map(|policy| claim(release, policy)).collect::<Vec<_>>();
        self.releases.iter().flat_map(claims).collect()
    }

    /// The endpoints of one client.
    pub fn routes(&self, client: &str) -> Option<&Routes<Arc<Endpoint>>> {
        self.clients.get(client)
    }

    pub fn releases(&self) -> &[Arc<Release>] {
        &self.releases
    }
}
