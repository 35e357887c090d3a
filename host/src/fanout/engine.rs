//! The engine that all requests share, and the way of a single load.

use super::{
    cache::EntityCache,
    call::Outcome,
    config::{BackendConfig, CacheConfig, Config},
    flight::{Boarded, Flight, Flights, Load},
    plan::{Plan, PlanError, Plans},
    scope::{Forward, Scoped},
};
use crate::{
    model::{Code, Failure},
    telemetry::Metrics,
    upstream::{Backend, Outgoing, Transport},
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

/// Everything between sessions and backends.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    pub(super) forward: Forward,
    transports: HashMap<String, Arc<dyn Transport>>,
    pub(super) flights: Flights,
    pub(super) cache: EntityCache,
    pub(super) metrics: Metrics,
    plans: Mutex<HashMap<String, Vec<Weak<Plan>>>>,
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
        Ok((Self::with_transports(config, forward, transports, metrics), backends))
    }

    /// As [`Engine::new`], with other transports than the configured ones.
    pub fn with_transports(
        config: Config,
        forward: Forward,
        transports: HashMap<String, Arc<dyn Transport>>,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let cache = EntityCache::new(config.cache_bytes.0);
        Arc::new(Self {
            config,
            forward,
            transports,
            flights: Flights::new(),
            cache,
            metrics: metrics.clone(),
            plans: Mutex::default(),
            next_plan: AtomicU32::new(0),
        })
    }

    /// The plans of one release's method table, or every reason why there are none.
    pub fn plans(&self, methods: &[String], descriptors: &DescriptorPool) -> Result<Plans, Vec<PlanError>> {
        Plans::resolve(self, methods, descriptors)
    }

    pub(super) fn backend_of(&self, service: &str) -> Option<(&BackendConfig, Arc<dyn Transport>)> {
        let config = self.config.backend_of(service)?;
        Some((config, self.transports.get(&config.name)?.clone()))
    }

    /// An equal plan that some release uses.
    pub(super) fn known_plan(&self, name: &str, safe: bool, spec: Option<&weft_wire::Spec>) -> Option<Arc<Plan>> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let known = plans.get_mut(name)?;
        known.retain(|plan| plan.strong_count() > 0);
        let equal = |plan: &Arc<Plan>| plan.safe == safe && plan.batch.as_ref().map(|b| &b.spec) == spec;
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

    /// Loads under way that may be shared.
    pub fn loads_under_way(&self) -> usize {
        self.flights.len()
    }

    /// Brings the gauges up to date before they are read.
    pub fn observe(&self) {
        let (entries, bytes) = self.cache.size();
        self.metrics.cache_entries.set(entries.try_into().unwrap_or(i64::MAX));
        self.metrics.cache_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
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
            let result = engine.load_single(&flight, &scoped).await;
            engine.settle(&flight, result);
            drop(boarded);
        });
        load.runs_as(task.abort_handle());
    }

    /// One call of the method itself, for one flight.
    pub(super) async fn load_single(&self, flight: &Flight, scoped: &Scoped) -> Result<Bytes, Failure> {
        let plan = &flight.plan;
        let Some(deadline) = flight.latest_deadline() else {
            return Err(Failure::new(Code::Cancelled, "nobody waits for the reply"));
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
        plan.backend.call(outgoing).await.result
    }

    /// Keeps the result where the plan says so, then hands it to all who wait. In this order, so that a call that comes
    /// between the two finds one or the other.
    pub(super) fn settle(&self, flight: &Arc<Flight>, result: Result<Bytes, Failure>) {
        let result = result.map_err(Arc::new);
        if let Some(rule) = flight.plan.cache {
            self.keep(flight, &result, rule);
        }
        self.flights.end(flight, &Outcome::upstream(result));
    }

    fn keep(&self, flight: &Flight, result: &Result<Bytes, Arc<Failure>>, rule: CacheConfig) {
        self.cache.keep(&flight.key, result, rule, flight.expires_at);
    }
}
