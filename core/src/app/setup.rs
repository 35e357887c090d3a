//! What the configuration makes of a host, beside its listeners: everything that a reload makes anew, as one.

use super::StartError;
use crate::{
    config::Config,
    fanout::{Engine, Forward, Inherited},
    gateway::{Admission, Answers, Ceilings, Gateway, Shared, Streams, Toolboxes},
    identity::{Exchanger, Verifier},
    observe::Tracer,
    plugin::Runtime,
    release::{self, Loader, Releases, history::History},
    settings::Parts,
    telemetry::Metrics,
    upstream::Backend,
};
use futures_util::future::join_all;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};

/// How long a start waits for verification keys; without them it goes on, and callers are told to come again.
const KEYS: Duration = Duration::from_secs(5);

/// How long a host that ends tries to tell the others what is true no more.
const TELLING: Duration = Duration::from_secs(5);

/// Gateway, releases and backends of one configuration.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) gateway: Arc<Gateway>,
    pub(super) loader: Arc<Loader>,
    pub(super) releases: Arc<Releases>,
    pub(super) engine: Arc<Engine>,
    pub(super) backends: Vec<Arc<Backend>>,
}

/// What a reload keeps of the setup before: whatever the changed parts of the configuration have no say in.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Keys, and tokens that were verified.
    identity: bool,
    /// All backends and the entity cache.
    engine: bool,
    /// Connections to these backends, what is known of them and cached of their replies; none where the cache is another one.
    backends: Option<BTreeSet<String>>,
    /// Whole responses.
    responses: bool,
}

impl Kept {
    pub(super) fn of(before: &Parts, after: &Parts) -> Self {
        let identity = after.agree(before, &["identity"]);
        let engine = identity && after.agree(before, &["backend", "cache"]);
        let is_cache = identity && after.agree(before, &["cache"]);
        let backends = is_cache.then(|| after.unchanged(before, "backend"));
        Self { identity, engine, backends, responses: engine && after.agree(before, &["client", "plugins"]) }
    }

    fn inherited<'a>(&'a self, before: &'a Setup) -> Option<Inherited<'a>> {
        let unchanged = self.backends.as_ref()?;
        Some(Inherited { engine: &before.engine, backends: &before.backends, unchanged })
    }
}

impl Setup {
    /// Without plugins as yet. Answers to repeated writes and what counts against rates outlive every reload.
    pub(super) fn prepare(
        config: &Config,
        runtime: &Runtime,
        (metrics, tracer): (&Metrics, &Arc<Tracer>),
        history: Arc<History>,
        before: Option<(&Self, &Kept)>,
    ) -> Result<Self, StartError> {
        let verifier = verifier(config, metrics, before)?;
        let (engine, backends) = match before {
            Some((before, Kept { engine: true, .. })) => (before.engine.clone(), before.backends.clone()),
            before => {
                let inherited = before.and_then(|(before, kept)| kept.inherited(before));
                let forward = forward(config, metrics)?;
                Engine::new(config.fanout.clone(), forward, metrics, inherited.as_ref()).map_err(StartError::Backend)?
            }
        };
        watch_backends(&backends, before.map(|(before, _)| before));
        let releases = Arc::<Releases>::default();
        let (plugins, clients) = (config.plugins.clone(), config.clients.names());
        let loader = Loader::new(plugins, clients, runtime.clone(), engine.clone(), metrics, releases.clone(), history);
        let loader = Arc::new(loader);
        let before = before.map(|(before, kept)| (&*before.gateway, kept));
        let gateway = Arc::new(gateway(config, (metrics, tracer), verifier, engine.clone(), &releases, before));
        Ok(Self { gateway, loader, releases, engine, backends })
    }

    /// Loads all plugins; what can't be loaded is reported by the loader. Waits a while for the first instances of backends that are looked
    /// for.
    pub(super) async fn load(&self) -> Result<(), StartError> {
        let instances = join_all(self.backends.iter().map(|backend| backend.has_instances()));
        let (loaded, _) = tokio::join!(self.loader.refresh(), instances);
        loaded.map_err(|error| StartError::Load(error.to_string()))
    }

    /// Requests see its releases from now on; no longer those of the setup before.
    pub(super) async fn enter_service(&self, before: Option<&Self>) {
        if let Some(before) = before {
            before.loader.leave_service();
        }
        let loader = self.loader.clone();
        let entered = tokio::task::spawn_blocking(move || {
            loader.enter_service();
            // What was asked for while it was made.
            loader.look();
        });
        if let Err(error) = entered.await {
            tracing::error!(%error, "what is in service was not written to the history of releases");
        }
    }

    /// Waits a while for the first keys.
    pub(super) async fn settle_keys(&self) {
        if let Some(verifier) = &self.gateway.verifier {
            verifier.settle(KEYS).await;
        }
    }

    /// What goes on beside the requests; and of the tasks of the setup before, those that have to finish.
    pub(super) fn spawn(&self, before: Option<Tasks>) -> (Tasks, Option<Tasks>) {
        let watching = [
            tokio::spawn(self.gateway.admission.clone().watch()),
            tokio::spawn(release::watch(self.loader.clone())),
            tokio::spawn(release::tell_misnamed(self.releases.clone(), self.engine.clone())),
        ];
        let engine = self.engine.clone();
        match before {
            // The same engine has the same line to the others.
            Some(before) if Arc::ptr_eq(&before.engine, &engine) => {
                before.stop_watching();
                (Tasks { watching, ..before }, None)
            }
            before => (Tasks { watching, tier: tokio::spawn(engine.clone().watch_shared()), engine }, before),
        }
    }
}

/// The tasks of one setup.
#[derive(Debug)]
pub(super) struct Tasks {
    watching: [JoinHandle<()>; 3],
    /// Tells others what is true no more, and hears of it: needed as long as requests are under way.
    tier: JoinHandle<()>,
    engine: Arc<Engine>,
}

impl Tasks {
    /// Nothing is loaded any more.
    pub(super) fn stop_watching(&self) {
        self.watching.iter().for_each(JoinHandle::abort);
    }

    /// To be called when no request is under way, or all that comes of them is heard by a setup that has taken this one's place. Ends
    /// when what was invalidated has come through, or has had its time.
    pub(super) async fn finish(self) {
        self.stop_watching();
        let told = tokio::time::timeout(TELLING, self.engine.told());
        let claims = async {
            match self.engine.shared() {
                // Requests go on here until they end, each in its time.
                Some(shared) if self.engine.has_successor() => shared.claims_ended().await,
                // What is not told by then, others see by the lease that ends.
                Some(shared) => drop(tokio::time::timeout(TELLING, shared.claims_ended()).await),
                None => {}
            }
        };
        let (told, ()) = tokio::join!(told, claims);
        if told.is_err() && !self.engine.has_successor() {
            tracing::error!(
                "the shared cache could not be told of all that was invalidated; it may hold old replies until they end: publish \
                 {{\"all\": true}} to its channel once it is there"
            );
        }
        self.tier.abort();
    }
}

/// Their instances are kept up to date from now on. A backend that is another one begins with those of the one before.
fn watch_backends(backends: &[Arc<Backend>], before: Option<&Setup>) {
    for backend in backends {
        let before = before.and_then(|before| before.backends.iter().find(|other| other.name() == backend.name()));
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, backend)) {
            backend.begin_with(before);
        }
        backend.watch();
    }
}

/// Keys that are there stay there, also where their issuer is away now.
fn verifier(
    config: &Config,
    metrics: &Metrics,
    before: Option<(&Setup, &Kept)>,
) -> Result<Option<Arc<Verifier>>, StartError> {
    let known = before.and_then(|(before, _)| before.gateway.verifier.as_ref());
    if let Some((_, Kept { identity: true, .. })) = before {
        return Ok(known.cloned());
    }
    let start = |identity| Verifier::start(identity, metrics, known.map(|known| &**known));
    config.identity.clone().map(start).transpose().map_err(StartError::Identity)
}

/// What backends are told of callers; with the means to exchange their tokens, where these are configured.
fn forward(config: &Config, metrics: &Metrics) -> Result<Forward, StartError> {
    let mut forward = config.forward.clone();
    if let Some(exchange) = config.identity.as_ref().and_then(|identity| identity.exchange.as_ref()) {
        forward.exchange = Some(Arc::new(Exchanger::new(exchange, metrics).map_err(StartError::Identity)?));
    }
    Ok(forward)
}

fn gateway(
    config: &Config,
    (metrics, tracer): (&Metrics, &Arc<Tracer>),
    verifier: Option<Arc<Verifier>>,
    engine: Arc<Engine>,
    releases: &Arc<Releases>,
    before: Option<(&Gateway, &Kept)>,
) -> Gateway {
    let ceilings = Ceilings {
        timeout: config.http.timeout,
        calls: config.limits.calls,
        arena: config.limits.arena.as_usize(),
        message: config.limits.message.as_usize(),
    };
    Gateway {
        clients: config.clients.clone(),
        verifier,
        releases: releases.clone(),
        engine,
        ceilings,
        admission: Arc::new(Admission::new(config.limits.requests as usize * 2)),
        rates: before.map(|(before, _)| before.rates.clone()).unwrap_or_default(),
        answers: match before {
            Some((before, _)) => before.answers.clone(),
            None => Answers::new(config.limits.idempotency.0, metrics),
        },
        responses: match before {
            Some((before, Kept { responses: true, .. })) => before.responses.clone(),
            _ => Shared::new(config.limits.responses.0),
        },
        granted_headers: config.plugins.response_headers.clone().into(),
        explain: config.http.explain.clone(),
        streams: match before {
            Some((before, _)) => before.streams.clone(),
            None => Streams::new(metrics),
        },
        stream_bounds: config.streams,
        endings: watch::Sender::default(),
        tracer: tracer.clone(),
        follow: before.map(|(before, _)| before.follow.clone()).unwrap_or_default(),
        documents: Arc::default(),
        tools: Arc::new(Toolboxes::new(metrics)),
    }
}
