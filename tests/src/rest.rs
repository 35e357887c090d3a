//! A REST server that answers as it is told, and keeps what it was asked.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /v1/films/1?full=true`.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// # Panics
    /// If the body is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Told {
    Json(Value),
    /// A 200 that need not be JSON.
    Text(String),
    /// A status and a body.
    Status(u16, &'static str),
    /// A status, and after how many seconds to come again.
    RetryAfter(u16, &'static str),
    Never,
}

type Script = Arc<dyn Fn(&Asked) -> Told + Send + Sync>;

/// The server. Dropped, it is gone.
pub struct RestUpstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl fmt::Debug for RestUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestUpstream").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for RestUpstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl RestUpstream {
    /// On a free port.
    pub async fn start(script: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (script, kept): (Script, _) = (Arc::new(script), asked.clone());
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, kept) = (script.clone(), kept.clone());
                let service = service_fn(move |request| answer(request, script.clone(), kept.clone()));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, asked, serving }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Their targets.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Script,
    kept: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = format!("{} {}", head.method, head.uri);
    let asked = Asked { target, headers: head.headers, body };
    kept.lock().unwrap().push(asked.clone());
    let response = Response::builder();
    let response = match script(&asked) {
        Told::Json(value) => response.header("content-type", "application/json").body(Full::from(value.to_string())),
        Told::Status(status, text) => response.status(status).body(Full::from(text)),
        Told::RetryAfter(status, seconds) => {
            response.status(status).header("retry-after", seconds).body(Full::default())
        }
        Told::Text(text) => response.body(Full::from(text)),
        Told::Never => std::future::pending().await,
    };
    Ok(response.unwrap())
}
