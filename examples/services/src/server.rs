//! One service on one listener, with health, reflection and the control service beside it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::catalog::Catalog;
use crate::control::Control;
use crate::data::Data;
use crate::people::People;
use crate::proto;
use crate::proto::catalog::v1::films_server::FilmsServer;
use crate::proto::demo::v1::control_server::{self, ControlServer};
use crate::proto::people::v1::people_server::PeopleServer;
use crate::proto::recommend::v1::recommend_server::RecommendServer;
use crate::proto::reviews::v1::reviews_server::ReviewsServer;
use crate::recommend::Recommend;
use crate::reviews::Reviews;
use crate::service::Service;
use crate::spans::{Recorded, Spans};

/// Calls under way get so long when the service is told to stop.
const GRACE: Duration = Duration::from_secs(5);

const MIB: u32 = 1024 * 1024;

/// Why a service stopped that was not told to, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("reflection cannot be served: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("the task of the server ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Serves `control`'s service until `shutdown` is done. Then health says NOT_SERVING, nothing new is accepted, stalled calls
/// are let go, and what is under way gets five seconds. With `spans`, recorded traces get a span for each call.
pub async fn serve(
    control: Control,
    listener: TcpListener,
    data: Arc<Data>,
    spans: Option<Spans>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (health, health_server) = health_reporter();
    report(&health, &control, ServingStatus::Serving).await;
    let router = server()
        .add_service(health_server)
        .add_service(reflection(control.service())?.build_v1()?)
        .add_service(reflection(control.service())?.build_v1alpha()?)
        .add_service(ControlServer::new(control.clone()));
    let router = add_business(router, &control, data, spans);

    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stop = async {
        shutdown.await;
        report(&health, &control, ServingStatus::NotServing).await;
        control.close();
    };
    let too_long = async {
        control.closed().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = router.serve_with_incoming_shutdown(incoming, stop) => Ok(done?),
        () = too_long => Ok(()),
    }
}

/// Limits far above what a test or a bench asks, so that they measure Weft and not this server. A client that cancels many
/// calls (hedging does) is not taken for an attack.
fn server() -> Server {
    Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(10_000)
        .initial_stream_window_size(4 * MIB)
        .initial_connection_window_size(64 * MIB)
        .max_frame_size(MIB)
        .http2_max_header_list_size(MIB)
        .http2_max_pending_accept_reset_streams(Some(10_000))
        .http2_max_local_error_reset_streams(Some(100_000))
}

fn add_business(router: Router, control: &Control, data: Arc<Data>, spans: Option<Spans>) -> Router {
    match control.service() {
        Service::Catalog => {
            router.add_service(Recorded::new(control.watch(FilmsServer::new(Catalog::new(data))), spans))
        }
        Service::People => {
            router.add_service(Recorded::new(control.watch(PeopleServer::new(People::new(data))), spans))
        }
        Service::Reviews => {
            router.add_service(Recorded::new(control.watch(ReviewsServer::new(Reviews::new(data))), spans))
        }
        Service::Recommend => {
            router.add_service(Recorded::new(control.watch(RecommendServer::new(Recommend::new(data))), spans))
        }
    }
}

/// Lists what is served here, not all that the descriptors hold.
fn reflection(service: Service) -> Result<tonic_reflection::server::Builder<'static>, tonic_reflection::server::Error> {
    Ok(tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(service.full_name())
        .with_service_name(control_server::SERVICE_NAME)
        .with_service_name(tonic_health::pb::health_server::SERVICE_NAME))
}

async fn report(health: &HealthReporter, control: &Control, status: ServingStatus) {
    for name in ["", control.service().full_name()] {
        health.set_service_status(name, status).await;
    }
}

/// A service that runs in a task of this process, for tests. Dropped, it stops in its own time.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    control: Control,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// On a free port of 127.0.0.1.
    pub async fn start(service: Service, data: Arc<Data>) -> std::io::Result<Self> {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await?, service, data)
    }

    pub fn start_on(listener: TcpListener, service: Service, data: Arc<Data>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let control = Control::new(service);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // An error says that the handle was dropped; that stops the service too.
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(control.clone(), listener, data, None, shutdown));
        Ok(Self { address, control, stop, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:…`, as clients want it.
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops and waits for calls under way, five seconds at most.
    pub async fn stop(self) -> Result<(), ServeError> {
        let _ = self.stop.send(());
        self.task.await?
    }
}
