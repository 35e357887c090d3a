//! What the configuration makes of a host, beside its listeners: everything that a reload makes anew, as one.

use crate::{
    config::Config,
    fanout::Engine,
    gateway::{Admission, Answers, Ceilings, Gateway, Shared},
    identity::Verifier,
    plugin::Runtime,
    release::{self, Loader, Releases},
    telemetry::Metrics,
    upstream::Backend,
};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Gateway, releases and backends of one configuration.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) gateway: Arc<Gateway>,
    pub(super) loader: Arc<Loader>,
    pub(super) releases: Arc<Releases>,
    pub(super) engine: Arc<Engine>,
    pub(super) backends: Vec<Arc<Backend>>,
}

impl Site {
    /// Without plugins as yet. Answers to repeated writes outlive a reload: they are `before`'s.
    pub(super) fn prepare(
        config: &Config,
        runtime: &Runtime,
        metrics: &Metrics,
        before: Option<&Self>,
    ) -> Result<Self, super::StartError> {
        let (engine, backends) =
            Engine::new(config.fanout.clone(), config.forward.clone(), metrics).map_err(super::StartError::Backend)?;
        let releases = Arc::<Releases>::default();
        let (plugins, clients) = (config.plugins.clone(), config.clients.names());
        let loader =
            Arc::new(Loader::new(plugins, clients, runtime.clone(), engine.clone(), metrics, releases.clone()));
        let answers = before.map(|before| before.gateway.answers.clone());
        let gateway = Arc::new(gateway(config, engine.clone(), &releases, answers));
        Ok(Self { gateway, loader, releases, engine, backends })
    }

    /// Loads all plugins; what can't be loaded is reported by the loader.
    pub(super) async fn load(&self) -> Result<(), super::StartError> {
        let first = self.loader.clone();
        let loaded = tokio::task::spawn_blocking(move || first.refresh()).await;
        loaded.map_err(|error| super::StartError::Load(error.to_string()))
    }

    /// What goes on beside the requests.
    pub(super) fn spawn(&self) -> Vec<JoinHandle<()>> {
        vec![
            tokio::spawn(self.gateway.admission.clone().watch()),
            tokio::spawn(release::watch(self.loader.clone())),
            tokio::spawn(self.engine.clone().watch_shared()),
        ]
    }
}

fn gateway(config: &Config, engine: Arc<Engine>, releases: &Arc<Releases>, answers: Option<Arc<Answers>>) -> Gateway {
    let verifier = config.keys.clone().map(|keys| Verifier::new(config.identity.clone(), keys));
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
        answers: answers.unwrap_or_else(|| Answers::new(config.limits.idempotency.0)),
        responses: Shared::new(config.limits.responses.0),
        granted_headers: config.plugins.response_headers.clone().into(),
        explain: config.http.explain.clone(),
    }
}
