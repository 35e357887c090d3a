//! The engine that all requests share, and the way of a single load.

use super::{
    behalf::OnBehalf,
    cache::{Ended, EntityCache},
    call::{Origin, Outcome, Trip},
    config::{BackendConfig, CacheConfig, Config},
    flight::{Boarded, Flight, Flights, Load, Start},
    inbox::Post,
    plan::{Plan, PlanError, Plans},
    remote,
    scope::{Forward, Scoped},
    tags::Tags,
};
use crate::{
    artifact::Artifact,
    model::{Code, Failure},
    store::{Shared, Untrue},
    telemetry::{Metrics, TierLabels},
    upstream::{Backend, Outgoing, Rest, Transport},
};
use bytes::Bytes;
use prost_reflect::DescriptorPool;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::time::Instant;

/// Everything between sessions and backends.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    pub(super) forward: Forward,
    transports: HashMap<String, Arc<dyn Transport>>,
    pub(super) flights: Flights,
    pub(super) cache: EntityCache,
    /// The second tier, where one is configured.
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) metrics: Metrics,
    plans: Mutex<HashMap<String, Vec<Weak<Plan>>>>,
    /// Messages that no artifact brought, by service.
    pub(super) learnt: Mutex<HashMap<String, DescriptorPool>>,
    next_plan: AtomicU32,
}

impl Engine {
    /// Fails where a backend's TLS files can't be used; the message names it.
    pub fn new(config: Config, forward: Forward, metrics: &Metrics) -> Result<(Arc<Self>, Vec<Arc<Backend>>), String> {
        let mut transports: HashMap<String, Arc<dyn Transport>> = HashMap::new();
        let mut backends = Vec::new();
        for backend in &config.backends {
            let made = Arc::new(Backend::new(&backend.name, &backend.upstream, metrics)?);
            backends.push(made.clone());
            transports.insert(backend.name.clone(), made);
        }
        Ok((Self::with_transports(config, forward, transports, metrics)?, backends))
    }

    /// As [`Engine::new`], with other transports than the configured ones.
    pub fn with_transports(
        config: Config,
        forward: Forward,
        transports: HashMap<String, Arc<dyn Transport>>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, String> {
        let transports = on_behalf(transports, &forward);
        let cache = EntityCache::new(config.cache_bytes.0, config.cache_entries);
        let shared = match &config.shared {
            Some((url, timeout)) => Some(remote::connect(url, *timeout)?),
            None => None,
        };
        Ok(Arc::new(Self {
            config,
            forward,
            shared,
            transports,
            flights: Flights::new(),
            cache,
            metrics: metrics.clone(),
            plans: Mutex::default(),
            learnt: Mutex::default(),
            next_plan: AtomicU32::new(0),
        }))
    }

    /// The plans of one release's method table, or every reason why there are none.
    pub fn plans(&self, artifact: &Artifact) -> Result<Plans, Vec<PlanError>> {
        Plans::resolve(self, &artifact.methods, &artifact.descriptors, &artifact.manifest.fallbacks)
    }

    pub(super) fn backend_of(&self, service: &str) -> Option<(&BackendConfig, Arc<dyn Transport>)> {
        let config = self.config.backend_of(service)?;
        Some((config, self.transports.get(&config.name)?.clone()))
    }

    pub(super) fn transport(&self, backend: &str) -> Option<Arc<dyn Transport>> {
        self.transports.get(backend).cloned()
    }

    /// An equal plan that some release uses.
    pub(super) fn known_plan(
        &self,
        name: &str,
        safe: bool,
        spec: Option<&weft_wire::Spec>,
        tags: &Tags,
        rest: Option<&Rest>,
    ) -> Option<Arc<Plan>> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let known = plans.get_mut(name)?;
        known.retain(|plan| plan.strong_count() > 0);
        let equal = |plan: &Arc<Plan>| {
            plan.safe == safe
                && plan.batch.as_ref().map(|b| &b.spec) == spec
                && plan.tags.is_same(tags)
                && plan.method.rest.as_ref() == rest
        };
        known.iter().filter_map(Weak::upgrade).find(equal)
    }

    pub(super) fn add_plan(&self, plan: Plan) -> Arc<Plan> {
        let plan = Arc::new(plan);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.entry(plan.name.to_string()).or_default().push(Arc::downgrade(&plan));
        plan
    }

    /// A number that no other plan of this engine has or had.
    pub(super) fn plan_id(&self) -> u32 {
        self.next_plan.fetch_add(1, Ordering::Relaxed)
    }

    /// What a flight of this plan begins with, now.
    pub(super) fn start_of<'a>(&self, plan: &'a Arc<Plan>, scoped: &Scoped) -> Start<'a> {
        Start { plan, expires_at: scoped.expires_at, generation: self.cache.generations.now() }
    }

    /// Loads under way that may be shared.
    pub fn loads_under_way(&self) -> usize {
        self.flights.len()
    }

    /// Brings the gauges up to date before they are read.
    pub fn observe(&self) {
        let (entries, bytes) = self.cache.size();
        self.metrics.cache_entries.set(entries.try_into().unwrap_or(i64::MAX));
        self.metrics.cache_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
        if let Some(is_up) = self.shared_cache_is_up() {
            let labels = TierLabels { tier: "shared".to_owned() };
            self.metrics.cache_up.get_or_create(&labels).set(is_up.into());
        }
    }

    /// Whether the second tier is there; `None` where none is configured.
    pub fn shared_cache_is_up(&self) -> Option<bool> {
        self.shared.as_ref().map(|shared| shared.is_up())
    }

    /// Starts the load of one flight that travels alone.
    pub(super) fn load(self: &Arc<Self>, flight: Arc<Flight>, scoped: &Arc<Scoped>) {
        let load = Load::new(1);
        if !flight.board(&load) {
            return;
        }
        let engine = self.clone();
        let scoped = scoped.clone();
        let task = tokio::spawn(async move {
            let boarded = Boarded { flights: &engine.flights, boarded: vec![flight.clone()] };
            if flight.plan.cache.is_none() || !engine.take_shared(vec![flight.clone()]).await.is_empty() {
                let loaded = engine.load_single(&flight, &scoped).await;
                engine.settle(&flight, loaded, &mut Post::default());
            }
            drop(boarded);
        });
        load.runs_as(task.abort_handle());
    }

    /// One call of the method itself, for one flight.
    pub(super) async fn load_single(&self, flight: &Flight, scoped: &Scoped) -> Loaded {
        let plan = &flight.plan;
        let Some(deadline) = flight.latest_deadline() else {
            return Loaded { result: Err(Failure::new(Code::Cancelled, "nobody waits for the reply")), trip: None };
        };
        for stats in flight.stats() {
            stats.count_upstream();
        }
        let outgoing = Outgoing {
            method: plan.method.clone(),
            message: flight.key.request.clone(),
            metadata: scoped.metadata.clone(),
            deadline: deadline.capped(plan.timeout),
            source: scoped.source,
        };
        let started = Instant::now();
        let answer = plan.backend.call(outgoing).await;
        let gathered = started.saturating_duration_since(flight.started);
        let (via, attempts, ended) = (plan.name.to_string(), answer.attempts, Instant::now());
        let trip = Some(Arc::new(Trip { via, keys: 1, attempts, gathered, started, ended }));
        Loaded { result: answer.result, trip }
    }

    /// Keeps the result where the plan says so, then hands it to all who wait. In this order, so that a call that comes
    /// between the two finds one or the other. Where a load failed, an old reply may stand in.
    pub(super) fn settle(&self, flight: &Arc<Flight>, loaded: Loaded, post: &mut Post) {
        self.to_shared(flight, &loaded);
        let mut outcome = Outcome { trip: loaded.trip, ..Outcome::upstream(loaded.result.map_err(Arc::new)) };
        if let Some(rule) = flight.plan.cache {
            self.keep(flight, &outcome.result, rule);
            if outcome.is_backend_failure()
                && let Some((bytes, age)) = self.cache.standby(&flight.key, rule.stale_if_error)
            {
                outcome = outcome.instead(bytes, Origin::Stale, age);
            }
        }
        self.flights.end(flight, &outcome, post);
    }

    pub(super) fn keep(&self, flight: &Flight, result: &Result<Bytes, Arc<Failure>>, rule: CacheConfig) {
        if let Some(name) = self.shared_name(flight) {
            self.cache.name(name, &flight.key, rule.ttl.saturating_add(rule.retention()));
        }
        self.cache.keep(Ended {
            key: &flight.key,
            result,
            rule,
            tags: flight.plan.tags.of(&flight.key.request),
            generation: flight.generation,
            cost: flight.started.elapsed(),
            expires_at: flight.expires_at,
        });
    }

    /// Cached replies are true no more, here and on all hosts that share a cache with this one, which are told as soon as can be.
    /// Gives back what [`Shared::removed`] waits for.
    pub fn invalidate(&self, what: &Untrue) -> Option<u64> {
        self.forget(what, true)
    }

    /// As [`Engine::invalidate`]; when it returns the others have been told, unless the shared cache is away or slow.
    pub async fn invalidate_everywhere(&self, what: &Untrue) {
        if let (Some(number), Some(shared)) = (self.invalidate(what), &self.shared) {
            shared.removed(number).await;
        }
    }

    /// What a write that went well is declared to make untrue.
    pub(super) async fn invalidate_written(&self, plan: &Plan, message: &[u8]) {
        // The first tag is the write's own name, which no cached reply carries.
        if let [_, declared @ ..] = &*plan.tags.of(message)
            && !declared.is_empty()
        {
            self.invalidate_everywhere(&Untrue::Tags(declared.to_vec())).await;
        }
    }

    /// The second tier is in doubt before the first: a load that begins in between finds the old reply in neither.
    pub(super) fn forget(&self, what: &Untrue, tell: bool) -> Option<u64> {
        let number = self.shared.as_ref().map(|shared| shared.doubt(what, tell));
        match what {
            Untrue::Tags(tags) => tags.iter().for_each(|tag| self.cache.generations.invalidate(tag)),
            Untrue::All => self.cache.generations.invalidate_all(),
        }
        number
    }
}

/// Where tokens are exchanged, no transport sees a caller's.
fn on_behalf(
    transports: HashMap<String, Arc<dyn Transport>>,
    forward: &Forward,
) -> HashMap<String, Arc<dyn Transport>> {
    let Some(exchange) = &forward.exchange else { return transports };
    let wrap = |(backend, inner): (String, Arc<dyn Transport>)| {
        let wrapped: Arc<dyn Transport> =
            Arc::new(OnBehalf { inner, exchange: exchange.clone(), backend: backend.clone() });
        (backend, wrapped)
    };
    transports.into_iter().map(wrap).collect()
}

/// What a load brought.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) result: Result<Bytes, Failure>,
    pub(super) trip: Option<Arc<Trip>>,
}
