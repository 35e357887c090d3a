//! The composition root: from configuration to a running host, and its end.

use crate::{
    admin::{self, Admin},
    config::Config,
    edge::{self, Bounds},
    fanout::Engine,
    gateway::{Admission, Answers, Ceilings, Gateway},
    identity::Verifier,
    plugin::{Natives, Runtime, Senses},
    release::{self, Loader, Releases},
    telemetry::Metrics,
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Why a host did not start. Nothing is left half-started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("can't listen on {address} ({key} in the configuration): {source}; is another program there already?")]
    Listen { address: SocketAddr, key: &'static str, source: io::Error },
    #[error("{0}")]
    Backend(String),
    #[error("{0}")]
    Runtime(String),
    #[error("loading plugins failed: {0}")]
    Load(String),
}

/// A host that serves.
#[derive(Debug)]
pub struct Running {
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub metrics: Metrics,
    pub releases: Arc<Releases>,
    ready: Arc<AtomicBool>,
    drain_delay: Duration,
    stop_http: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    http_task: JoinHandle<()>,
    admin_task: JoinHandle<()>,
    watch_task: JoinHandle<()>,
    admission_task: JoinHandle<()>,
    shared_task: JoinHandle<()>,
}

/// Starts everything: listeners first, so that a taken port is found at once; then plugins; then it is ready.
pub async fn start(config: Config, senses: Senses) -> Result<Running, StartError> {
    start_with(config, senses, Natives::default()).await
}

/// As [`start`], with plugins that run natively.
pub async fn start_with(config: Config, senses: Senses, natives: Natives) -> Result<Running, StartError> {
    let http = listen(config.http.listen, "http.listen").await?;
    let admin = listen(config.admin.listen, "admin.listen").await?;
    let addresses = [(&http, config.http.listen), (&admin, config.admin.listen)]
        .map(|(listener, asked)| listener.local_addr().unwrap_or(asked));
    let metrics = Metrics::default();
    let (engine, backends) =
        Engine::new(config.fanout.clone(), config.forward.clone(), &metrics).map_err(StartError::Backend)?;
    let compiled = config.plugins.compiled.clone();
    let runtime =
        Runtime::new(config.limits.clone(), senses, compiled).map_err(StartError::Runtime)?.with_natives(natives);
    let releases = Arc::<Releases>::default();
    let loader = Arc::new(Loader::new(
        config.plugins.clone(),
        config.clients.names(),
        runtime.clone(),
        engine.clone(),
        &metrics,
        releases.clone(),
    ));
    let ready = Arc::new(AtomicBool::new(false));
    let (stop_http, http_stopped) = watch::channel(false);
    let (stop_admin, admin_stopped) = watch::channel(false);
    let operator = Admin {
        ready: ready.clone(),
        releases: releases.clone(),
        loader: loader.clone(),
        runtime,
        engine: engine.clone(),
        backends,
        metrics: metrics.clone(),
        token: config.admin.token.as_ref().and_then(|token| token.read().ok()),
    };
    let bounds = Bounds::from(&config.http);
    let admin_bounds = Bounds { drain: Duration::from_secs(1), connections: 100, ..bounds };
    let admin_task = tokio::spawn(edge::serve(admin, admin::router(operator), admin_bounds, admin_stopped));

    // First the watch: what changes while the first plugins are loaded is noticed.
    let watching = release::watch(loader.clone());
    let first = loader.clone();
    tokio::task::spawn_blocking(move || first.refresh()).await.map_err(|error| StartError::Load(error.to_string()))?;
    let gateway = Arc::new(gateway(&config, engine.clone(), &releases));
    let admission_task = tokio::spawn(gateway.admission.clone().watch());
    let router = edge::router(gateway, &config.http, &metrics);
    let http_task = tokio::spawn(edge::serve(http, router, bounds, http_stopped));
    let watch_task = tokio::spawn(watching);
    let shared_task = tokio::spawn(engine.clone().watch_shared());
    ready.store(true, Relaxed);
    let [http, admin] = addresses;
    tracing::info!(%http, %admin, releases = releases.current().releases().len(), "ready");
    Ok(Running {
        http,
        admin,
        metrics,
        releases,
        ready,
        drain_delay: config.http.drain_delay,
        stop_http,
        stop_admin,
        http_task,
        admin_task,
        watch_task,
        admission_task,
        shared_task,
    })
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, key, source })
}

fn gateway(config: &Config, engine: Arc<Engine>, releases: &Arc<Releases>) -> Gateway {
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
        answers: Answers::new(config.limits.idempotency.0),
        granted_headers: config.plugins.response_headers.clone().into(),
        explain: config.http.explain.clone(),
    }
}

impl Running {
    /// Not ready any more → goes on accepting for `drain-delay` → finishes what is under way within `drain` → gone.
    pub async fn stop(self) {
        self.ready.store(false, Relaxed);
        tokio::time::sleep(self.drain_delay).await;
        self.watch_task.abort();
        self.admission_task.abort();
        self.shared_task.abort();
        // A receiver that is gone has stopped already; a task that failed has nothing left to finish.
        let _ = self.stop_http.send(true);
        let _ = self.http_task.await;
        let _ = self.stop_admin.send(true);
        let _ = self.admin_task.await;
    }
}
