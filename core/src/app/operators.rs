//! The admin listener: it answers from the first moment of a host's life to the last one.

use super::reload::Reloader;
use crate::{
    admin::{self, Access, Admin, Attempts, Readiness, Shown},
    config::Config,
    edge::{self, Bounds, Door, Edge, Phase},
    net::{Certificates, Peers, ServerTls, TlsFiles},
    telemetry::Metrics,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// The listener, as it serves.
#[derive(Debug)]
pub(super) struct Operators {
    pub(super) task: JoinHandle<()>,
    pub(super) tls_task: Option<JoinHandle<()>>,
    /// Connections that it opens to the public side.
    pub(super) own: mpsc::Receiver<TcpStream>,
}

/// What is seen of the host there.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) readiness: &'a Arc<Readiness>,
    pub(super) metrics: &'a Metrics,
    pub(super) reloader: &'a Arc<Reloader>,
    pub(super) edge: &'a Edge,
    pub(super) shown: &'a Arc<Shown>,
    /// Where clients ask.
    pub(super) public: SocketAddr,
}

impl Operators {
    pub(super) fn listen(
        config: &Config,
        (listener, is_shared): (TcpListener, bool),
        seen: Seen<'_>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let (own_door, own) = mpsc::channel(1);
        let Seen { readiness, metrics, reloader, edge, shown, public } = seen;
        let operator = Admin {
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            access: Arc::new(Access::new(&config.admin, metrics)),
            host: reloader.clone(),
            attempts: Arc::new(Attempts::new(own_door)),
            recent: edge.recent(),
            shown: shown.clone(),
            uploads: Arc::default(),
            public: public_url(public, config.http.tls.is_some()),
        };
        let (tls, tls_task) = tls(config.admin.tls.clone()).unzip();
        let door = Door { listener, is_shared, tls, peers: Peers::default(), proxy_protocol: false, own: None };
        let service = edge::telling(admin::router(operator));
        let bounds = admin_bounds(Bounds::from(&config.http));
        let task = tokio::spawn(edge::serve(door, service, bounds, metrics.clone(), phase));
        Self { task, tls_task, own }
    }
}

/// Few connections, which end at once; and streams of health, on which a second may pass between two words.
fn admin_bounds(bounds: Bounds) -> Bounds {
    let second = Duration::from_secs(1);
    Bounds { last: Duration::ZERO, drain: second, connections: 100, write: bounds.write.max(5 * second), ..bounds }
}

/// Where clients on this machine ask.
fn public_url(address: SocketAddr, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    if address.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}

/// A listener's TLS, and the task that keeps its certificates fresh.
pub(super) fn tls(given: Option<(TlsFiles, Certificates)>) -> Option<(Arc<ServerTls>, JoinHandle<()>)> {
    let (files, first) = given?;
    let tls = Arc::new(ServerTls::new(files, first));
    let watched = tls.clone();
    Some((tls, tokio::spawn(async move { watched.watch().await })))
}
