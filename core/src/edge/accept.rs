//! The accept loop: bounded in connections, in silence, and in the time it takes to stop.

use super::{
    activity::Activity,
    bounds::Bounds,
    closing::{MOMENT, begin_no_more},
    config::{CONNECTION_WINDOW, STREAM_WINDOW},
    executor::{Streams, end_of_stream},
    held::Holding,
    stream::{Arriving, Paced, Tracked},
    watchdog::{Place, Watchdog},
};
use crate::{
    net::{Incoming, Peers, ServerTls, read_proxy_header},
    telemetry::Metrics,
};
use axum::body::Body;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
};
use tower::Service;

/// The other end of a request's connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Who connected; behind a balancer that says so by the PROXY protocol, who connected to that one.
    pub(super) address: SocketAddr,
    /// Whether it showed a certificate that this host trusts.
    pub(super) certified: bool,
    /// The connection's number.
    pub(super) connection: u64,
    /// Ends the request, and as little else as may be.
    pub(super) end: Arc<Notify>,
}

/// How far the host has come with its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes nobody in yet.
    Waiting,
    Serving,
    /// Balancers are to notice: all are served as before, and answers of HTTP/1 tell their clients to connect anew, to another host.
    Leaving,
    /// No more connections, and those that are there end.
    Stopping,
}

/// Where connections come in, and how.
#[derive(Debug)]
pub struct Door {
    pub listener: TcpListener,
    /// Others have the socket too: who waits there when this host stops is accepted by the next.
    pub is_shared: bool,
    pub tls: Option<Arc<ServerTls>>,
    /// Networks whose connections begin with a PROXY header, if `proxy_protocol`; and that are not counted by address.
    pub peers: Peers,
    pub proxy_protocol: bool,
    /// Connections of this process with itself. They are nobody's: without TLS, without a PROXY header, and from no address.
    pub own: Option<mpsc::Receiver<TcpStream>>,
}

/// What every connection of one door shares.
struct House<S> {
    server: Builder<Streams>,
    service: S,
    bounds: Bounds,
    dog: Arc<Watchdog>,
    tls: Option<Arc<ServerTls>>,
    peers: Peers,
    proxy_protocol: bool,
}

/// What a door leads to.
pub trait Inner:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}
impl<S> Inner for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves `service` at `door` until it is to stop. Then: no more connections but those that wait to be accepted already; those that are
/// there are told to end (by GOAWAY at once, by `connection: close` with their next answer) and finish what is under way, within
/// `bounds.drain`.
pub async fn serve(
    door: Door,
    service: impl Inner,
    bounds: Bounds,
    metrics: Metrics,
    mut phase: watch::Receiver<Phase>,
) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let Door { listener, is_shared, tls, peers, proxy_protocol, mut own } = door;
    let dog = Watchdog::new(bounds, metrics);
    let house = Arc::new(House { server: server(bounds), service, bounds, dog, tls, peers, proxy_protocol });
    let mut connections = JoinSet::new();
    let watching = house.clone();
    let guard = tokio::spawn(async move { watching.dog.watch().await });
    let look_after = |connections: &mut JoinSet<()>, (stream, peer, slot), phase| {
        let house = house.clone();
        connections.spawn(async move {
            house.connection(stream, peer, phase).await;
            drop::<OwnedSemaphorePermit>(slot);
        });
    };
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            own = accept_own(&mut own, &slots) => own,
            () = stopped(&mut phase) => break,
        };
        let Some(accepted) = accepted else { continue };
        look_after(&mut connections, accepted, phase.clone());
    }
    if !is_shared {
        begin_no_more(&listener);
        tokio::time::sleep(MOMENT).await;
        for accepted in accept_waiting(listener, &slots) {
            look_after(&mut connections, accepted, phase.clone());
        }
    }
    let finished = tokio::time::timeout(bounds.drain, async { while connections.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "connections were still open at the end of `drain` and are cut"
        );
    }
    guard.abort();
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// Connections that were made already when the host stopped to listen: their clients may have sent something.
fn accept_waiting(listener: TcpListener, slots: &Arc<Semaphore>) -> Vec<Accepted> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accept = || {
        let slot = slots.clone().try_acquire_owned().ok()?;
        // It does not block: there is one, or there is none.
        let (stream, peer) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        let stream = TcpStream::from_std(stream).ok()?;
        let _ = stream.set_nodelay(true);
        Some((stream, peer, slot))
    };
    std::iter::from_fn(accept).collect()
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are written whole; waiting to fill packets would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, slot))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of file descriptors, mostly: trying again at once would spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// From no address, which nobody else can have.
async fn accept_own(own: &mut Option<mpsc::Receiver<TcpStream>>, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let stream = match own {
        Some(own) => own.recv().await,
        None => None,
    };
    // Nobody is there any more who could send one.
    let Some(stream) = stream else { return pending().await };
    let port = stream.peer_addr().map_or(0, |peer| peer.port());
    let slot = slots.clone().try_acquire_owned().ok()?;
    Some((stream, SocketAddr::from(([0, 0, 0, 0], port)), slot))
}

fn server(bounds: Bounds) -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    // No timeout for headers here: it would also end connections that rest between two requests. The watchdog tells these apart.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(bounds.max_headers)
        .max_buf_size(bounds.max_header_bytes.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .max_header_list_size(u32::try_from(bounds.max_header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(64 << 10)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

impl<S: Inner> House<S> {
    async fn connection(&self, stream: TcpStream, peer: SocketAddr, mut phase: watch::Receiver<Phase>) {
        // A client that has just connected has perhaps sent its request, and gets its answer.
        let silent_at_the_end = async {
            stopped(&mut phase).await;
            tokio::time::sleep(self.bounds.last).await;
        };
        // Telling the versions of HTTP apart waits for the first bytes without a bound of its own.
        let opened = tokio::select! {
            opened = tokio::time::timeout(self.bounds.first_bytes, self.open(stream, peer)) => opened,
            () = silent_at_the_end => return,
        };
        match opened {
            Ok(Some((stream, peer, place))) => self.converse(stream, peer, &place, phase).await,
            Ok(None) => {}
            Err(_) => self.dog.count("silent"),
        }
    }

    /// Who is there, and are they let in. Ends when the first byte of HTTP is there to be read.
    async fn open(&self, mut stream: TcpStream, connected: SocketAddr) -> Option<(Incoming, Peer, Place)> {
        let is_own = connected.ip().is_unspecified();
        let is_listed = self.peers.contains(connected.ip());
        let address = if is_listed && self.proxy_protocol {
            match read_proxy_header(&mut stream).await {
                Ok(behind) => behind.unwrap_or(connected),
                Err(error) => {
                    self.dog.count("proxy-header");
                    tracing::warn!(peer = %connected, "a listed peer's connection is refused: {error}");
                    return None;
                }
            }
        } else {
            connected
        };
        let place = self.dog.enter((!self.peers.contains(address.ip())).then(|| address.ip()))?;
        let stream = match self.tls.as_ref().filter(|_| !is_own) {
            None => {
                // Being told that it is readable would not do: that may be said too early.
                stream.peek(&mut [0]).await.ok().filter(|count| *count > 0)?;
                Incoming::Plain(stream)
            }
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => stream,
                Err(error) => {
                    self.dog.count("handshake");
                    tracing::debug!(peer = %address, "a TLS handshake failed: {error}");
                    return None;
                }
            },
        };
        let certified = stream.is_certified();
        let (connection, end) = (place.id, place.activity.cut.clone());
        Some((stream, Peer { address, certified, connection, end }, place))
    }

    async fn converse(&self, stream: Incoming, peer: Peer, place: &Place, phase: watch::Receiver<Phase>) {
        let activity = &place.activity;
        let service = service_fn(|request: Request<hyper::body::Incoming>| {
            let request = request.map(|body| Body::new(Arriving::new(body, activity.clone())));
            answer(self.service.clone(), request, peer.clone(), activity, phase.clone())
        });
        let connection = self.server.serve_connection(TokioIo::new(Tracked::new(stream, activity.clone())), service);
        tokio::pin!(connection);
        let mut phase = phase.clone();
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = activity.cut.notified() => return,
            () = leaving(activity, &mut phase, self.bounds.last) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! { result = connection => result, () = activity.cut.notified() => return }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

/// One request of a connection.
fn answer<S: Inner>(
    mut service: S,
    mut request: Request<Body>,
    mut peer: Peer,
    activity: &Arc<Activity>,
    phase: watch::Receiver<Phase>,
) -> impl Future<Output = Result<Response<Paced>, Infallible>> + use<S> {
    let (mut under_way, version) = (activity.begin(), request.version());
    async move {
        if let Some(end) = end_of_stream() {
            under_way.ended_by(end.clone());
            peer.end = end;
        }
        request.extensions_mut().insert(peer);
        poll_fn(|cx| service.poll_ready(cx)).await?;
        let mut response = service.call(request).await?;
        if version <= Version::HTTP_11 && *phase.borrow() > Phase::Serving {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let holding = response.extensions_mut().remove::<Arc<Holding>>();
        Ok(response.map(|body| Paced::new(body, version, under_way, holding)))
    }
}

/// Until the client is to be told that the connection ends: it has rested for too long, or the host stops and nothing more is awaited.
async fn leaving(activity: &Activity, phase: &mut watch::Receiver<Phase>, last: Duration) {
    let at_the_end = async {
        stopped(phase).await;
        while let Some(wait) = activity.awaited(last) {
            tokio::time::sleep(wait).await;
        }
        activity.told();
    };
    tokio::select! {
        () = activity.close.notified() => {}
        () = at_the_end => {}
    }
}

/// Also where nobody is left who could say stop.
async fn stopped(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Stopping).await;
}
