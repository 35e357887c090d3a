//! An HTTP server that answers as it is told: an issuer with its keys, an endpoint for tokens, a REST backend. It keeps the requests.

use crate::wait::soon;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /v1/films/1?full=true`.
    pub target: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Page {
    Whole(u16, Vec<(&'static str, String)>, Bytes),
    /// Nothing, ever.
    Silence,
    /// A head, and a body that never ends and hardly moves.
    Drip,
    /// The page, once the watch says true.
    Held(watch::Receiver<bool>, Box<Page>),
}

type Script = Arc<dyn Fn(&Asked) -> Page + Send + Sync>;

/// The server. Dropped, it is gone, connections and all.
pub struct Site {
    address: SocketAddr,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    scripts: Mutex<HashMap<String, Script>>,
    otherwise: Mutex<Option<Script>>,
    asked: Mutex<Vec<Asked>>,
    changed: watch::Sender<()>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Page {
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::Whole(200, vec![("content-type", "application/json".to_owned())], text.into())
    }

    pub fn status(status: u16, text: impl Into<Bytes>) -> Self {
        Self::Whole(status, Vec::new(), text.into())
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Whole(_, headers, _) = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

impl Site {
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        Self::start_with(address, None).await
    }

    /// As [`Site::start`], over TLS.
    pub async fn start_tls(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_with(address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::<Inner>::default();
        let serving = tokio::spawn(serve(listener, tls, inner.clone()));
        Self { address, inner, serving }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gone when this returns.
    pub async fn stop(mut self) -> SocketAddr {
        self.serving.abort();
        // It was aborted, so it says so.
        let _ = (&mut self.serving).await;
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on this path is answered so.
    pub fn on(&self, path: &str, script: impl Fn(&Asked) -> Page + Send + Sync + 'static) -> &Self {
        self.inner.scripts.lock().unwrap().insert(path.to_owned(), Arc::new(script));
        self
    }

    /// From now on all other paths are answered so; without it they are 404.
    pub fn otherwise(&self, script: impl Fn(&Asked) -> Page + Send + Sync + 'static) -> &Self {
        *self.inner.otherwise.lock().unwrap() = Some(Arc::new(script));
        self
    }

    /// From now on this path has this page.
    pub fn has(&self, path: &str, page: Page) -> &Self {
        self.on(path, move |_| page.clone())
    }

    /// All requests so far, in the order of their arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Their targets.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }

    pub fn count(&self) -> usize {
        self.inner.asked.lock().unwrap().len()
    }

    /// Until so many requests have arrived.
    pub async fn arrived(&self, count: usize) {
        let mut changes = self.inner.changed.subscribe();
        let wait = async {
            while self.count() < count {
                changes.changed().await.unwrap();
            }
        };
        soon(&format!("{count} requests"), wait).await;
    }
}

impl Asked {
    /// A field of a form; empty where it is not there. Good for values without `%` in them.
    pub fn field(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// # Panics
    /// If the body is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, inner) = (tls.clone(), inner.clone());
        connections.spawn(async move {
            match tls {
                None if speaks_http2(&stream).await => {
                    let service = service_fn(move |request| answer(request, inner.clone()));
                    let builder = http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                }
                None => connection(stream, inner).await,
                // A client that does not like the certificate goes away.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, inner).await;
                    }
                }
            }
        });
    }
}

/// Without TLS, a client that knows it begins with HTTP/2's own preface.
async fn speaks_http2(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    matches!(stream.peek(&mut first).await, Ok(3)) && first == *b"PRI"
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, inner: Arc<Inner>) {
    let service = service_fn(move |request| answer(request, inner.clone()));
    // A client that goes away in the middle is no failure of the test.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, inner: Arc<Inner>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = format!("{} {}", head.method, head.uri);
    let asked = Asked { target, path: head.uri.path().to_owned(), headers: head.headers, body };
    inner.asked.lock().unwrap().push(asked.clone());
    inner.changed.send_replace(());
    let script = inner.scripts.lock().unwrap().get(&asked.path).cloned();
    let script = script.or_else(|| inner.otherwise.lock().unwrap().clone());
    let mut page = script.map_or_else(|| Page::status(404, "nothing here"), |script| script(&asked));
    loop {
        page = match page {
            Page::Held(mut gate, then) => {
                // A gate that nobody can open any more is open.
                let _ = gate.wait_for(|open| *open).await;
                *then
            }
            Page::Silence => pending().await,
            Page::Drip => break Ok(dripping()),
            Page::Whole(status, headers, body) => break Ok(whole(status, headers, body)),
        }
    }
}

fn whole(status: u16, headers: Vec<(&'static str, String)>, body: Bytes) -> Response<Body> {
    let frames = stream::iter([Ok(Frame::data(body))]);
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.try_into().unwrap());
    }
    response
}

fn dripping() -> Response<Body> {
    let drops = stream::unfold((), |()| async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
    });
    Response::new(StreamBody::new(drops).boxed_unsync())
}
