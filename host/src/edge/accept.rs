//! The accept loop: bounded in connections, in silence, and in the time it takes to stop.

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tower::ServiceExt;

/// The other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub connections: usize,
    pub streams: u32,
    pub max_headers: usize,
    pub max_header_bytes: usize,
    pub first_bytes: Duration,
    pub header: Duration,
    /// How long connections may take to end after the stop.
    pub drain: Duration,
}

impl From<&super::Config> for Bounds {
    fn from(config: &super::Config) -> Self {
        Self {
            connections: config.connections,
            streams: config.streams,
            max_headers: config.max_headers,
            max_header_bytes: config.max_header_bytes.as_usize(),
            first_bytes: config.first_bytes,
            header: config.header,
            drain: config.drain,
        }
    }
}

/// Serves `router` on `listener` until `stop` turns true. Then: no more connections; those that are there are told to end (GOAWAY,
/// `connection: close`) and finish what is under way, within `bounds.drain`.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let server = Arc::new(server(bounds));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = tokio::select! {
            stream = accept(&listener, &slots) => stream,
            () = stopped(&mut stop) => break,
        };
        let Some((stream, peer, slot)) = stream else { continue };
        let (server, router, stop) = (server.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            connection(&server, stream, peer, router, bounds.first_bytes, stop).await;
            drop(slot);
        });
    }
    drop(listener);
    let finished = tokio::time::timeout(bounds.drain, async { while connections.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "connections were still open at the end of `drain` and are cut"
        );
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
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

fn server(bounds: Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_headers(bounds.max_headers)
        .max_buf_size(bounds.max_header_bytes.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .max_header_list_size(u32::try_from(bounds.max_header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

async fn connection(
    server: &Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    first_bytes: Duration,
    mut stop: watch::Receiver<bool>,
) {
    // Telling the versions of HTTP apart waits for the first bytes without a bound of its own.
    let speaks = tokio::select! {
        readable = tokio::time::timeout(first_bytes, stream.readable()) => matches!(readable, Ok(Ok(()))),
        () = stopped(&mut stop) => false,
    };
    if !speaks {
        return;
    }
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request
    });
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// Also where nobody is left who could say stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
