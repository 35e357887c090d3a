//! The composition root: from configuration to a running host, and its end.

mod reload;
mod setup;

pub use reload::ReloadError;

use reload::Reloader;
use setup::Setup;

use crate::{
    admin::{self, Admin},
    config::Config,
    edge::{self, Bounds, Door, Edge, Phase},
    net::{Peers, ServerTls},
    plugin::{Runtime, Sandbox},
    register::Registration,
    settings::Change,
    telemetry::Metrics,
};
use arc_swap::ArcSwap;
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
    #[error("[identity]: {0}")]
    Identity(String),
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
    ready: Arc<AtomicBool>,
    drain_delay: Duration,
    http_phase: watch::Sender<Phase>,
    admin_phase: watch::Sender<Phase>,
    http_task: JoinHandle<()>,
    admin_task: JoinHandle<()>,
    tls_task: Option<JoinHandle<()>>,
    reloader: Arc<Reloader>,
    orderly: Orderly,
    registration: Option<Registration>,
}

/// A host that goes away with this is ended by somebody, not by what it loads.
#[derive(Debug)]
struct Orderly(Runtime);

impl Drop for Orderly {
    fn drop(&mut self) {
        self.0.forget_loads();
    }
}

/// Starts everything: listeners first, so that a taken port is found at once; then plugins, which run in this sandbox; then it is ready.
pub async fn start(config: Config, sandbox: Arc<dyn Sandbox>) -> Result<Running, StartError> {
    let http = listen(config.http.listen, "http.listen").await?;
    let admin = listen(config.admin.listen, "admin.listen").await?;
    let addresses = [(&http, config.http.listen), (&admin, config.admin.listen)]
        .map(|(listener, asked)| listener.local_addr().unwrap_or(asked));
    let metrics = Metrics::new(config.telemetry.exemplars);
    let runtime = Runtime::new(sandbox, config.limits.clone(), config.plugins.compiling.clone());
    let runtime = runtime.map_err(StartError::Runtime)?;
    // Also where the start itself is given up.
    let orderly = Orderly(runtime.clone());
    let ready = Arc::new(AtomicBool::new(false));
    let (http_phase, of_http) = watch::channel(Phase::Serving);
    let (admin_phase, of_admin) = watch::channel(Phase::Serving);

    let setup = Setup::prepare(&config, &runtime, &metrics, None)?;
    let edge = Edge::new(setup.gateway.clone(), &config.http, config.telemetry.names, &metrics);
    let setup = Arc::new(ArcSwap::from_pointee(setup));
    let reloader = Arc::new(Reloader::new(&config, runtime, metrics.clone(), edge.clone(), setup.clone()));

    // Health is answered while the plugins are loaded.
    let token = config.admin.token.as_ref().and_then(|token| token.read().ok());
    let operator = Admin { ready: ready.clone(), metrics: metrics.clone(), token, host: reloader.clone() };
    let bounds = Bounds::from(&config.http);
    let admin_bounds = Bounds { last: Duration::ZERO, drain: Duration::from_secs(1), connections: 100, ..bounds };
    let admin_door = Door { listener: admin, tls: None, peers: Peers::default(), proxy_protocol: false };
    let admin_task =
        tokio::spawn(edge::serve(admin_door, admin::router(operator), admin_bounds, metrics.clone(), of_admin));
    setup.load().load().await?;
    reloader.spawn_tasks(&config);

    let tls = config.http.tls.clone().map(|(files, first)| Arc::new(ServerTls::new(files, first)));
    let tls_task = tls.clone().map(|tls| tokio::spawn(async move { tls.watch().await }));
    let (peers, proxy_protocol) = (config.http.peers.clone(), config.http.proxy_protocol);
    let door = Door { listener: http, tls, peers, proxy_protocol };
    let public = edge::public(edge, &config.http);
    let http_task = tokio::spawn(edge::serve(door, public, bounds, metrics.clone(), of_http));
    ready.store(true, Relaxed);
    let [http, admin] = addresses;
    tracing::info!(%http, %admin, releases = setup.load().releases.current().releases().len(), "ready");
    let registration = config.register.as_ref().map(|register| {
        let (ready, reloader) = (ready.clone(), reloader.clone());
        let is_ready = move || ready.load(Relaxed) && reloader.can_serve();
        Registration::begin(register, http.port(), config.http.tls.is_some(), &metrics, is_ready)
    });
    let drain_delay = config.http.drain_delay;
    Ok(Running {
        http,
        admin,
        metrics,
        ready,
        drain_delay,
        http_phase,
        admin_phase,
        http_task,
        admin_task,
        tls_task,
        reloader,
        orderly,
        registration,
    })
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, key, source })
}

impl Running {
    /// Reads the configuration's file again and puts it in force, whole or not at all; with what has changed.
    pub async fn reload(&self) -> Result<Vec<Change>, ReloadError> {
        self.reloader.reload().await
    }

    /// No longer registered → not ready any more → goes on accepting for `drain-delay`, each answer of HTTP/1 the last of its connection → finishes what is
    /// under way within `drain` → gone.
    pub async fn stop(self) {
        // First of all nobody finds it any more.
        if let Some(registration) = self.registration {
            registration.leave().await;
        }
        self.ready.store(false, Relaxed);
        drop(self.orderly);
        // A receiver that is gone has stopped already; a task that failed has nothing left to finish.
        let _ = self.http_phase.send(Phase::Leaving);
        tokio::time::sleep(self.drain_delay).await;
        self.reloader.stop_watching();
        if let Some(task) = &self.tls_task {
            task.abort();
        }
        let _ = self.http_phase.send(Phase::Stopping);
        let _ = self.http_task.await;
        // Requests may invalidate to their end, so who tells others of it goes after them.
        self.reloader.finish_tasks().await;
        let _ = self.admin_phase.send(Phase::Stopping);
        let _ = self.admin_task.await;
    }
}
