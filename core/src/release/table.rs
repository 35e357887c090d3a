//! The releases in service and the way to them.

use super::{
    arrange::{Claim, Held, holdings},
    choice::Choice,
    history::{History, Name},
    tally::{Observed, Sums, Tally},
};
use crate::{
    artifact::{Artifact, EndpointName, EndpointPolicy, Limits},
    fanout::Plans,
    model::Digest,
    observe::{Event, Listener},
    openapi::{Problems, Told},
    plugin::Plugin,
    routing::Routes,
    sync::lock,
    telemetry::{
        Counter, EndpointLabels, Gauge, Histogram, Metrics, Past, PluginLabels, RequestLabels, Statuses, Timed,
    },
};
use http::StatusCode;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, Weak, atomic::Ordering::Relaxed},
    time::{Instant, SystemTime},
};
use tokio::runtime::Handle;

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
    /// What its code says of itself.
    pub told: Told,
    /// That it has answered with.
    statuses: Statuses,
    metrics: ReleaseMetrics,
    tally: Tally,
    /// As long as it is in service, or requests are under way that began when it was.
    stint: Mutex<Weak<Stint>>,
}

/// A time in service. Its end is when the last request has let go of its endpoint.
#[derive(Debug)]
struct Stint {
    digest: Digest,
    history: Arc<History>,
}

impl Drop for Stint {
    fn drop(&mut self) {
        let (digest, history) = (self.digest, self.history.clone());
        // Who lets go last is a request, and does not wait for a disk.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || history.drained(digest))),
            Err(_) => history.drained(digest),
        }
    }
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
    /// Those that its code may answer with.
    problems: Problems,
    metrics: Metrics,
    _stint: Arc<Stint>,
    /// Made with the first request: an endpoint that nobody calls has no series.
    series: OnceLock<Series>,
    by_status: Mutex<HashMap<u16, Counter>>,
}

#[derive(Debug)]
struct Series {
    seconds: Timed,
    amplification: Histogram,
    degraded: Counter,
}

/// Everything that requests look up. Immutable; a change makes a new one.
#[derive(Debug, Default)]
pub struct Table {
    clients: HashMap<String, Routes<Choice<Arc<Endpoint>>>>,
    releases: Vec<Arc<Release>>,
    _stints: Vec<Arc<Stint>>,
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
            told: Told::of(artifact),
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
            stint: Mutex::default(),
        }
    }

    /// By what the history knows it.
    pub(super) fn named(&self) -> Name {
        Name { plugin: self.name.clone(), version: self.version.clone(), client: self.client.clone() }
    }

    fn stint(&self, history: &Arc<History>) -> Arc<Stint> {
        let mut stint = lock(&self.stint);
        stint.upgrade().unwrap_or_else(|| {
            let begun = Arc::new(Stint { digest: self.digest, history: history.clone() });
            *stint = Arc::downgrade(&begun);
            begun
        })
    }

    fn observe(&self, observed: &Observed) {
        self.tally.add(observed);
        self.metrics.calls.inc_by(observed.calls.into());
        self.metrics.depth.observe(f64::from(observed.depth));
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

/// Of guests, whether somebody waits for their answers or not.
impl Listener for Release {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::GuestRan(cost) => {
                self.metrics.cpu.observe(cost.cpu.as_secs_f64());
                self.metrics.queue.observe(cost.queued.as_secs_f64());
                let most = self.tally.add_cost(cost);
                self.metrics.memory.set(i64::try_from(most).unwrap_or(i64::MAX));
            }
            Event::GuestCrashed => {
                self.tally.traps.fetch_add(1, Relaxed);
                self.metrics.traps.inc();
            }
            _ => {}
        }
    }
}

impl Endpoint {
    fn new(release: &Arc<Release>, policy: &EndpointPolicy, stint: &Arc<Stint>, metrics: &Metrics) -> Self {
        let name = policy.name.to_string();
        Self {
            release: release.clone(),
            policy: policy.clone(),
            name,
            problems: release.told.problems(&policy.name),
            metrics: metrics.clone(),
            _stint: stint.clone(),
            series: OnceLock::new(),
            by_status: Mutex::default(),
        }
    }

    /// Counts one answered request.
    pub fn observe(&self, observed: &Observed) {
        self.release.observe(observed);
        let series = self.series.get_or_init(|| self.new_series());
        series.seconds.observe(observed.took.as_secs_f64(), observed.trace);
        series.amplification.observe(f64::from(observed.upstream));
        if observed.degraded {
            series.degraded.inc();
        }
        let status = observed.status;
        let mut by_status = lock(&self.by_status);
        by_status.entry(status.as_u16()).or_insert_with(|| self.counter(status)).inc();
    }

    /// Counts a request of somebody who may ask, where it is deprecated. `version`: what the app says it is.
    pub fn called<'a>(&self, version: impl FnOnce() -> Option<&'a str>) {
        if self.policy.deprecated.is_some() {
            self.metrics.contracts.called(&self.release.client, &self.name, version());
        }
    }

    /// Counts a problem of its code that its code has not declared.
    pub fn answered_with(&self, status: u16, kind: &str) {
        if !self.problems.has(status, kind) {
            self.metrics.contracts.undeclared(&self.release.endpoint_labels(&self.policy));
            tracing::debug!(endpoint = %self.name, plugin = %self.release.name, status, kind, "a problem that the code does not declare");
        }
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
        lock(&self.release.statuses).insert(status.as_u16());
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

impl Claim for Arc<Release> {
    fn plugin(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &semver::Version {
        &self.version
    }

    fn client(&self) -> &str {
        &self.client
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn endpoints(&self) -> impl Iterator<Item = &EndpointName> {
        self.endpoints.iter().map(|policy| &policy.name)
    }
}

impl Table {
    /// All endpoints of all these releases, of which no two want the same one: [`super::arrange()`] sees to that.
    pub(super) fn of(releases: Vec<Arc<Release>>, history: &Arc<History>, metrics: &Metrics) -> Self {
        let mut clients: HashMap<_, Routes<_>> = HashMap::new();
        let mut stints = Vec::new();
        for release in &releases {
            let routes = clients.entry(release.client.clone()).or_default();
            let stint = release.stint(history);
            for policy in &release.endpoints {
                let endpoint = Choice::only(Arc::new(Endpoint::new(release, policy, &stint, metrics)));
                if let Err(taken) = routes.add(&policy.name, &release.name, endpoint) {
                    tracing::error!(plugin = %release.name, endpoint = %policy.name, "not served: {taken}");
                }
            }
            stints.push(stint);
        }
        Self { clients, releases, _stints: stints }
    }

    /// Which plugin serves what now.
    pub(super) fn held(&self) -> Held {
        self.releases.iter().flat_map(holdings).collect()
    }

    /// The endpoints of one client.
    pub fn routes(&self, client: &str) -> Option<&Routes<Choice<Arc<Endpoint>>>> {
        self.clients.get(client)
    }

    pub fn releases(&self) -> &[Arc<Release>] {
        &self.releases
    }
}
