//! The engine that all requests share, and the way of a single load.

use super::{
    cache::{Ended, EntityCache},
    call::{Origin, Outcome, Trip},
    config::{BackendConfig, CacheConfig, Config},
    flight::{Boarded, Flight, Flights, Load, Unsent},
    inbox::Post,
    plan::{Plan, PlanError, Plans},
    remote,
    scope::{Forward, Scoped},
    stats::Counted,
    token_exchange::Exchanging,
};
use crate::{
    artifact::Artifact,
    model::{Code, Failure},
    store::{Invalidation, Shared},
    telemetry::{Metrics, TierLabels},
    upstream::{Answer, Backend, Outgoing, Transport},
};
use bytes::Bytes;
use prost_reflect::DescriptorPool;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{runtime::Handle, task::AbortHandle, time::Instant};

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
    /// What has taken this one's place.
    pub(super) successor: OnceLock<Arc<Self>>,
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
        let transports = exchanging(transports, &forward);
        let cache = EntityCache::new(config.cache_bytes.0, config.cache_entries);
        let shared = match &config.shared {
            Some(tier) => Some(remote::connect(tier)?),
            None => None,
        };
        Ok(Arc::new(Self {
            config,
            forward,
            shared,
            successor: OnceLock::new(),
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

    pub(super) fn backends(&self) -> &[BackendConfig] {
        &self.config.backends
    }

    pub(super) fn transport(&self, backend: &str) -> Option<Arc<dyn Transport>> {
        self.transports.get(backend).cloned()
    }

    /// The plan, or an equal one that some release uses.
    pub(super) fn share_plan(&self, plan: Plan) -> Arc<Plan> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let known = plans.entry(plan.name.to_string()).or_default();
        known.retain(|plan| plan.strong_count() > 0);
        if let Some(equal) = known.iter().filter_map(Weak::upgrade).find(|known| known.is_same(&plan)) {
            return equal;
        }
        let plan = Arc::new(Plan { id: self.next_plan.fetch_add(1, Ordering::Relaxed), ..plan });
        known.push(Arc::downgrade(&plan));
        plan
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

    /// The second tier, for others than the entity cache.
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Starts the load of one flight that travels alone.
    pub(super) fn load(self: &Arc<Self>, unsent: Unsent<'_>, scoped: &Arc<Scoped>) {
        let Some(flight) = unsent.take() else { return };
        // From here on the flight is the task's, whether it is ever run or not.
        let boarded = Boarded { engine: self.clone(), flights: vec![flight.clone()] };
        let load = Load::new(1);
        if !flight.board(&load) {
            return;
        }
        let scoped = scoped.clone();
        let task = spawn(async move {
            let engine = &boarded.engine;
            if flight.plan.cache.is_none() || !engine.take_shared(vec![flight.clone()]).await.is_empty() {
                let loaded = engine.load_single(&flight, &scoped).await;
                engine.settle(&flight, loaded, &mut Post::default());
            }
        });
        load.runs_as(task);
    }

    /// One call of the method itself, for one flight.
    pub(super) async fn load_single(&self, flight: &Flight, scoped: &Scoped) -> Loaded {
        let plan = &flight.plan;
        let Some(deadline) = flight.ends() else { return Loaded::unwanted() };
        let counted = Counted::new(flight.stats());
        let outgoing = Outgoing {
            method: plan.method.clone(),
            message: flight.key.request.clone(),
            metadata: scoped.metadata.clone(),
            deadline,
            source: scoped.source,
            cut: Arc::default(),
        };
        let started = Instant::now();
        let answer = plan.backend.call(outgoing).await;
        counted.ended(&answer);
        let gathered = started.saturating_duration_since(flight.started);
        let trip = Trip { via: plan.name.to_string(), keys: 1, gathered, started, ..Trip::ended(&answer) };
        Loaded::of(answer, trip)
    }

    /// Keeps the result where the plan says so, then hands it to all who wait. In this order, so that a call that comes
    /// between the two finds one or the other. Where a load failed, an old reply may stand in.
    pub(super) fn settle(&self, flight: &Arc<Flight>, loaded: Loaded, post: &mut Post) {
        let is_whole = !loaded.cut;
        if is_whole {
            self.to_shared(flight, &loaded);
        }
        let mut outcome = loaded.into_outcome();
        if let Some(rule) = flight.plan.cache {
            if is_whole {
                self.keep(flight, &outcome.result, rule);
            }
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
    pub fn invalidate(&self, what: &Invalidation) -> Option<u64> {
        self.forget(what, true)
    }

    /// As [`Engine::invalidate`]; when it returns the others have been told, unless the shared cache is away or slow.
    pub async fn invalidate_everywhere(&self, what: &Invalidation) {
        if let (Some(number), Some(shared)) = (self.invalidate(what), &self.shared) {
            shared.removed(number).await;
        }
    }

    /// It is pending for the second tier before it is done in the first: a load that begins in between finds the old reply in neither.
    pub(super) fn forget(&self, what: &Invalidation, tell: bool) -> Option<u64> {
        let number = self.shared.as_ref().map(|shared| shared.invalidate(what, tell));
        match what {
            Invalidation::Tags(tags) => tags.iter().for_each(|tag| self.cache.generations.invalidate(tag)),
            Invalidation::All => self.cache.generations.invalidate_all(),
        }
        self.pass_on(what, tell);
        number
    }
}

/// Where tokens are exchanged, no transport sees a caller's.
fn exchanging(
    transports: HashMap<String, Arc<dyn Transport>>,
    forward: &Forward,
) -> HashMap<String, Arc<dyn Transport>> {
    let Some(exchange) = &forward.exchange else { return transports };
    let wrap = |(backend, inner): (String, Arc<dyn Transport>)| {
        let wrapped: Arc<dyn Transport> =
            Arc::new(Exchanging { inner, exchange: exchange.clone(), backend: backend.clone() });
        (backend, wrapped)
    };
    transports.into_iter().map(wrap).collect()
}

/// What a load brought.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) result: Result<Bytes, Failure>,
    pub(super) trip: Option<Arc<Trip>>,
    /// Who refused the call, where it was not sent.
    pub(super) refused_by: Option<&'static str>,
    /// It is not all that there is, so it is not kept.
    pub(super) cut: bool,
}

impl Loaded {
    pub(super) fn of(answer: Answer, trip: Trip) -> Self {
        let Answer { result, refused_by, cut, .. } = answer;
        Self { result, trip: Some(Arc::new(trip)), refused_by, cut }
    }

    pub(super) fn unwanted() -> Self {
        let failure = Failure::new(Code::Cancelled, "nobody waits for the reply");
        Self { result: Err(failure), trip: None, refused_by: None, cut: false }
    }

    /// The part of one item in what a batch brought.
    pub(super) fn part(&self, result: Result<Bytes, Failure>) -> Self {
        Self { result, trip: self.trip.clone(), refused_by: None, cut: false }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        let Self { result, trip, refused_by, cut } = self;
        let origin = if refused_by.is_some() { Origin::Refused } else { Origin::Upstream };
        Outcome { trip, origin, refused_by, cut, ..Outcome::upstream(result.map_err(Arc::new)) }
    }
}

/// Runs it; where the runtime is gone, drops it, and its guards do what is to be done.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    Some(Handle::try_current().ok()?.spawn(task).abort_handle())
}
