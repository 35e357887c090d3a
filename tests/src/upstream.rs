//! A gRPC server that answers, stalls and fails as it is told, over real sockets and in raw bytes. It counts calls and keeps what
//! came with them.

mod answer;

pub use answer::{Answer, Feed, Gate};

use crate::wait::soon;
use answer::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// One call as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// `catalog.v1.Films/GetFilm`.
    pub method: String,
    pub metadata: HeaderMap,
    /// The request message, without its gRPC frame.
    pub message: Bytes,
}

type Script = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

/// The server. Dropped, it is gone, connections and all.
pub struct FakeUpstream {
    address: SocketAddr,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    calls: Vec<Call>,
    under_way: usize,
}

impl fmt::Debug for FakeUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeUpstream").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Call {
    /// # Panics
    /// If the message is no `M`.
    pub fn decoded<M: Message + Default>(&self) -> M {
        M::decode(self.message.clone()).unwrap()
    }

    /// A value of the metadata.
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.metadata.get(name)?.to_str().ok()
    }
}

impl FakeUpstream {
    /// On a free port. Methods without a script are UNIMPLEMENTED.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        Self::serve(address, None).await
    }

    /// On a free port, and only for clients that speak TLS with it.
    pub async fn start_tls(tls: ServerConfig) -> Self {
        Self::serve(SocketAddr::from(([127, 0, 0, 1], 0)), Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn serve(address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::<Inner>::default();
        let serving = tokio::spawn(serve(listener, tls, inner.clone()));
        Self { address, inner, serving }
    }

    /// An address where nobody listens, for as long as the process lives.
    pub async fn nowhere() -> SocketAddr {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        // Bound for ever, so that no one else gets it.
        std::mem::forget(socket);
        address
    }

    /// Gone when this returns: the listener, and every connection.
    pub async fn stop(mut self) {
        self.serving.abort();
        // It was aborted, so it says so.
        let _ = (&mut self.serving).await;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on calls of `method` are answered so.
    pub fn on(&self, method: &str, script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> &Self {
        self.inner.state().scripts.insert(method.to_owned(), Arc::new(script));
        self
    }

    /// The calls of `method` so far, in the order of their arrival.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        self.inner.state().calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    pub fn count(&self, method: &str) -> usize {
        self.calls(method).len()
    }

    /// Calls of all methods.
    pub fn total(&self) -> usize {
        self.inner.state().calls.len()
    }

    /// Until so many calls of `method` have arrived.
    pub async fn arrived(&self, method: &str, count: usize) {
        self.until(&format!("{count} calls of {method}"), || self.count(method) >= count).await;
    }

    /// Until no call is under way any more: answered, or cancelled by the host.
    pub async fn idle(&self) {
        self.until("all calls to end", || self.inner.state().under_way == 0).await;
    }

    async fn until(&self, what: &str, so: impl Fn() -> bool) {
        let mut changes = self.inner.changed.subscribe();
        let wait = async {
            while !so() {
                changes.changed().await.unwrap();
            }
        };
        soon(what, wait).await;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A call under way; it ends by an answer or by being dropped with its stream.
struct UnderWay(Arc<Inner>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.changed.send_replace(());
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, inner) = (tls.clone(), inner.clone());
        connections.spawn(async move {
            match tls {
                None => connection(stream, inner).await,
                // A client that can't agree with us sees it for itself.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, inner).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, inner: Arc<Inner>) {
    let service = service_fn(move |request| answer_one(request, inner.clone()));
    // A host that goes away in the middle is no failure of the test.
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer_one(request: Request<Incoming>, inner: Arc<Inner>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let message = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let method = head.uri.path().trim_start_matches('/').to_owned();
    let call = Call { method, metadata: head.headers, message: message.slice(5.min(message.len())..) };
    let script = {
        let mut state = inner.state();
        state.calls.push(call.clone());
        state.under_way += 1;
        state.scripts.get(&call.method).cloned()
    };
    let under_way = UnderWay(inner.clone());
    inner.changed.send_replace(());
    let answer = script.map_or_else(|| Answer::fails(12, "no script"), |script| script(&call));
    Ok(answer.give(under_way).await)
}
