//! What all requests share, put together: plans, the cache's tiers, flights and the batcher.

use super::{
    backends::{Backends, Transports},
    batcher::Batcher,
    cache::Doubt,
    config::{BackendConfig, Config},
    flight::Flights,
    loads::Loads,
    misnamed::{Told, misnamed},
    plan::{PlanError, Plans},
    registry::Registry,
    scope::Forward,
    tiers::Tiers,
};
use crate::{
    artifact::Artifact,
    settings::Place,
    store::{Invalidation, Shared},
    telemetry::Metrics,
    upstream::{Backend, Transport},
};
use prost_reflect::DescriptorPool;
use std::{collections::BTreeSet, sync::Arc};

/// Everything between sessions and backends.
#[derive(Debug)]
pub struct Engine {
    pub(super) forward: Forward,
    pub(super) loads: Arc<Loads>,
    pub(super) batcher: Arc<Batcher>,
    pub(super) registry: Registry,
    pub(super) metrics: Metrics,
    /// Goes on in the engines after this one.
    told: Arc<Told>,
}

/// What an engine takes over from the one before it. Entries of other backends than these are found by nobody any more.
#[derive(Debug)]
pub struct Inherited<'a> {
    pub engine: &'a Engine,
    pub backends: &'a [Arc<Backend>],
    /// Backends of which nothing has changed, nor of what they are told of callers.
    pub unchanged: &'a BTreeSet<String>,
}

impl Inherited<'_> {
    fn backend(&self, name: &str) -> Option<(Arc<Backend>, Arc<dyn Transport>)> {
        let backend = self.backends.iter().find(|backend| backend.name() == name && self.unchanged.contains(name))?;
        Some((backend.clone(), self.engine.registry.backends.transport(name)?.clone()))
    }
}

impl Engine {
    /// Fails where a backend's TLS files can't be used; the message names it.
    pub fn new(
        config: Config,
        forward: Forward,
        metrics: &Metrics,
        inherited: Option<&Inherited<'_>>,
    ) -> Result<(Arc<Self>, Vec<Arc<Backend>>), String> {
        let (mut new, mut kept): (Transports, Transports) = Default::default();
        let mut backends = Vec::new();
        for BackendConfig { name, upstream, .. } in &config.backends {
            if let Some((backend, transport)) = inherited.and_then(|inherited| inherited.backend(name)) {
                backends.push(backend);
                kept.insert(name.clone(), transport);
            } else {
                let made = Arc::new(Backend::new(name, upstream, metrics)?);
                backends.push(made.clone());
                new.insert(name.clone(), made);
            }
        }
        let before = inherited.map(|inherited| inherited.engine);
        let served = Backends::new(config.backends.clone(), new, kept, &forward);
        Ok((Self::assembled(&config, forward, served, metrics, before)?, backends))
    }

    /// As [`Engine::new`], with other transports than the configured ones.
    pub fn with_transports(
        config: Config,
        forward: Forward,
        transports: Transports,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, String> {
        let backends = Backends::new(config.backends.clone(), transports, Transports::new(), &forward);
        Self::assembled(&config, forward, backends, metrics, None)
    }

    fn assembled(
        config: &Config,
        forward: Forward,
        backends: Backends,
        metrics: &Metrics,
        before: Option<&Self>,
    ) -> Result<Arc<Self>, String> {
        let tiers = Tiers::new(config, before.map(|before| before.loads.tiers.own.clone()))?;
        let known = before.map(|before| before.registry.known()).unwrap_or_default();
        let registry = Registry::new(backends, known, metrics.clone());
        let loads = Arc::new(Loads { flights: Arc::new(Flights::new()), tiers });
        let batcher = Batcher::new(loads.clone());
        let told = before.map(|before| before.told.clone()).unwrap_or_default();
        Ok(Arc::new(Self { forward, loads, batcher, registry, metrics: metrics.clone(), told }))
    }

    /// The plans of one release's method table, or every reason why there are none.
    pub async fn plans(&self, artifact: &Artifact) -> Result<Plans, Vec<PlanError>> {
        self.registry.plans(artifact).await
    }

    /// Methods and services of the configuration that are in none of these protos, not in the descriptors that operators give, and not
    /// in what backends tell of themselves, although one of them should have them. What nobody knows may be right, and is passed over.
    pub async fn misnamed(&self, pools: &[&DescriptorPool]) -> Vec<(Place, String)> {
        misnamed(&self.registry.backends, &self.registry.descriptors, pools).await.found
    }

    /// Warns of [`Engine::misnamed`], of each once. Says no where something could not be asked, and there is reason to come again.
    pub async fn tell_misnamed(&self, pools: &[&DescriptorPool]) -> bool {
        let misnamed = misnamed(&self.registry.backends, &self.registry.descriptors, pools).await;
        let is_whole = misnamed.is_whole;
        self.told.tell(misnamed);
        is_whole
    }

    /// Loads under way that may be shared.
    pub fn loads_under_way(&self) -> usize {
        self.loads.flights.len()
    }

    /// Brings the gauges up to date before they are read.
    pub fn observe(&self) {
        self.loads.tiers.observe(&self.metrics);
    }

    /// Whether callers' tokens are exchanged for others before anything is sent with them.
    pub fn exchanges_tokens(&self) -> bool {
        self.forward.exchange.is_some()
    }

    /// Whether the shared tier is there; `None` where none is configured.
    pub fn shared_cache_is_up(&self) -> Option<bool> {
        self.loads.tiers.shared_is_up()
    }

    /// The shared tier, for others than the entity cache.
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.loads.tiers.shared()
    }

    /// The same for what is begun now, by a request that has come before this engine had a successor.
    pub fn newest_shared(&self) -> Option<&Arc<Shared>> {
        self.loads.tiers.newest_shared()
    }

    /// Cached replies are true no more, here and on all hosts that share a tier with this one. When it returns they have been told,
    /// unless that tier is away or slow.
    pub async fn invalidate_everywhere(&self, what: &Invalidation) {
        self.loads.tiers.invalidate_everywhere(what).await;
    }

    /// Cached replies are not believed as long as this is held, by later engines with the same cache either.
    pub fn doubt(&self) -> Doubt {
        self.loads.tiers.own.doubt()
    }

    /// Keeps the connection to the shared tier until the future is dropped; without one, does nothing.
    pub async fn watch_shared(self: Arc<Self>) {
        self.loads.tiers.clone().watch().await;
    }

    /// Until everything that is true no more was removed from the shared tier, and the other hosts were told.
    pub async fn told(&self) {
        self.loads.tiers.told().await;
    }

    /// From now on `next` hears of all that is true no more here, and goes on with what has not come through yet.
    pub fn hand_over(&self, next: &Arc<Self>) {
        self.loads.tiers.hand_over(&next.loads.tiers);
    }

    /// Whether another one goes on with what this one has not told yet.
    pub fn has_successor(&self) -> bool {
        self.loads.tiers.has_successor()
    }
}
