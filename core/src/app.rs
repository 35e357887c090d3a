//! The composition root: from configuration to a running host, and its end.

mod operators;
mod reload;
mod setup;

pub use reload::ReloadError;

use operators::{Operators, Seen};
use reload::Reloader;
use setup::Setup;

use crate::{
    admin::{Readiness, Shown, Stage},
    config::Config,
    edge::{self, Bounds, Door, Edge, Phase},
    observe::Followed,
    plugin::{Runtime, Sandbox},
    register::Registration,
    release::{Report, history::History},
    settings::Change,
    telemetry::Metrics,
    traces::{self, Exporter},
};
use arc_swap::ArcSwap;
use std::{
    io,
    net::{SocketAddr, TcpListener as Passed},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

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
    #[error("[telemetry.trace]: {0}")]
    Traces(String),
}

/// A host that serves.
#[derive(Debug)]
pub struct Running {
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub metrics: Metrics,
    readiness: Arc<Readiness>,
    drain_delay: Duration,
    http_phase: watch::Sender<Phase>,
    admin_phase: watch::Sender<Phase>,
    http_task: JoinHandle<()>,
    admin_task: JoinHandle<()>,
    tls_tasks: Vec<JoinHandle<()>>,
    reloader: Arc<Reloader>,
    exporter: Option<Exporter>,
    orderly: Orderly,
    registration: Option<Registration>,
    shown: Arc<Shown>,
}

/// A host that goes away with this is ended by somebody, not by what it loads.
#[derive(Debug)]
struct Orderly(Runtime);

impl Drop for Orderly {
    fn drop(&mut self) {
        self.0.forget_loads();
    }
}

/// Sockets that listen already, by whoever started this process: those who connect meanwhile wait there.
#[derive(Debug, Default)]
pub struct Listening {
    pub http: Option<Passed>,
    pub admin: Option<Passed>,
    /// Nobody is taken in before [`Running::accept`]: somebody else serves there, and may go on.
    pub is_taken: bool,
}

/// Starts everything: listeners first, so that a taken port is found at once; then plugins, which run in this sandbox; then it is ready.
pub async fn start(config: Config, sandbox: Arc<dyn Sandbox>, passed: Listening) -> Result<Running, StartError> {
    let [http_passed, admin_passed] = [passed.http.is_some(), passed.admin.is_some()];
    let http = listen(passed.http, config.http.listen, "http.listen").await?;
    let admin = listen(passed.admin, config.admin.listen, "admin.listen").await?;
    let addresses @ [public, _] = [(&http, config.http.listen), (&admin, config.admin.listen)]
        .map(|(listener, asked)| listener.local_addr().unwrap_or(asked));
    let metrics = Metrics::new(config.telemetry.exemplars);
    metrics.connections_limit.set(i64::try_from(config.http.connections).unwrap_or(i64::MAX));
    let runtime = Runtime::new(sandbox, config.limits.clone(), config.plugins.compiling.clone());
    let runtime = runtime.map_err(StartError::Runtime)?;
    // Also where the start itself is given up.
    let orderly = Orderly(runtime.clone());
    let readiness = Arc::<Readiness>::default();
    let (http_phase, mut of_http) = watch::channel(if passed.is_taken { Phase::Waiting } else { Phase::Serving });
    let (admin_phase, of_admin) = watch::channel(Phase::Serving);

    let (tracer, exporter) = traces::start(&config.traces, &metrics).map_err(StartError::Traces)?;
    let setup = Setup::prepare(&config, &runtime, (&metrics, &tracer), history(&config).await?, None)?;
    let edge = Edge::new(setup.gateway.clone(), &config.http, config.telemetry.names, &metrics);
    let setup = Arc::new(ArcSwap::from_pointee(setup));
    let reloader = Arc::new(Reloader::new(&config, runtime, metrics.clone(), edge.clone(), setup.clone()));

    // Health is answered while the plugins are loaded.
    let shown = Arc::<Shown>::default();
    let seen =
        Seen { readiness: &readiness, metrics: &metrics, reloader: &reloader, edge: &edge, shown: &shown, public };
    let Operators { task: admin_task, tls_task: admin_tls_task, own } =
        Operators::listen(&config, (admin, admin_passed), seen, of_admin);
    let first = setup.load_full();
    first.load().await?;
    first.enter_service(None).await;
    readiness.reach(Stage::Keys);
    first.settle_keys().await;
    reloader.spawn_tasks(&config);

    let (tls, tls_task) = operators::tls(config.http.tls.clone()).unzip();
    let bounds = Bounds::from(&config.http);
    let (peers, proxy_protocol) = (config.http.peers.clone(), config.http.proxy_protocol);
    let door = Door { listener: http, is_shared: http_passed, tls, peers, proxy_protocol, own: Some(own) };
    let public = edge::public(edge, &config.http);
    let of_edge = metrics.clone();
    let http_task = tokio::spawn(async move {
        let begun = of_http.wait_for(|phase| *phase > Phase::Waiting).await.map(|phase| *phase);
        if begun.is_ok_and(|phase| phase == Phase::Serving) {
            edge::serve(door, public, bounds, of_edge, of_http).await;
        }
    });
    readiness.reach(Stage::Serving);
    let [http, admin] = addresses;
    tracing::info!(%http, %admin, releases = setup.load().releases.current().releases().len(), "ready");
    let registration = config.register.as_ref().map(|register| {
        let (readiness, reloader) = (readiness.clone(), reloader.clone());
        let is_ready = move || readiness.stage() == Stage::Serving && reloader.can_serve();
        Registration::begin(register, http.port(), config.http.tls.is_some(), &metrics, is_ready)
    });
    let drain_delay = config.http.drain_delay;
    Ok(Running {
        http,
        admin,
        metrics,
        readiness,
        drain_delay,
        http_phase,
        admin_phase,
        http_task,
        admin_task,
        tls_tasks: tls_task.into_iter().chain(admin_tls_task).collect(),
        reloader,
        exporter,
        orderly,
        registration,
        shown,
    })
}

async fn history(config: &Config) -> Result<Arc<History>, StartError> {
    let folder = config.plugins.history.clone();
    let opened = tokio::task::spawn_blocking(move || History::open(folder.as_deref())).await;
    opened.map(Arc::new).map_err(|error| StartError::Load(error.to_string()))
}

async fn listen(passed: Option<Passed>, address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    let listener = match passed {
        Some(listener) => listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)),
        None => TcpListener::bind(address).await,
    };
    listener.map_err(|source| StartError::Listen { address, key, source })
}

impl Running {
    /// Reads the configuration's file again and puts it in force, whole or not at all; with what has changed.
    pub async fn reload(&self) -> Result<Vec<Change>, ReloadError> {
        self.reloader.reload().await
    }

    /// Looks into the plugin folder now; what became of its files, once all that is new there serves or is refused.
    pub async fn load(&self) -> Result<Vec<Report>, StartError> {
        self.reloader.load().await
    }

    /// Takes in who connects, where that was left to somebody else so far.
    pub fn accept(&self) {
        self.http_phase
            .send_if_modified(|phase| std::mem::replace(phase, Phase::Serving.max(*phase)) == Phase::Waiting);
    }

    /// Requests as they end, from now on. One listens at a time.
    pub fn follow(&self) -> mpsc::Receiver<Followed> {
        self.reloader.follow()
    }

    /// Shows a page of this program to whoever knows its address: the URL that is returned.
    pub fn show(&self, page: String) -> String {
        format!("http://{}{}", self.admin, self.shown.put(page))
    }

    /// No longer registered → not ready any more → goes on accepting for `drain-delay`, each answer of HTTP/1 the last of its connection →
    /// finishes what is under way within `drain` → gone.
    pub async fn stop(self) {
        // First of all nobody finds it any more.
        if let Some(registration) = self.registration {
            registration.leave().await;
        }
        drop(self.orderly);
        self.readiness.reach(Stage::Leaving);
        // A receiver that is gone has stopped already; a task that failed has nothing left to finish.
        let _ = self.http_phase.send(Phase::Leaving);
        tokio::time::sleep(self.drain_delay).await;
        self.reloader.stop_watching();
        self.tls_tasks.iter().for_each(JoinHandle::abort);
        let _ = self.http_phase.send(Phase::Stopping);
        self.reloader.end_streams();
        let _ = self.http_task.await;
        // Requests may invalidate to their end, so who tells others of it goes after them.
        self.reloader.finish_tasks().await;
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
        self.readiness.reach(Stage::Gone);
        let _ = self.admin_phase.send(Phase::Stopping);
        let _ = self.admin_task.await;
    }
}
