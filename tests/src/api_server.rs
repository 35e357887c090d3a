//! An API server of Kubernetes as far as EndpointSlices need one: HTTPS, tokens, lists at one revision and in pages, watches with bookmarks,
//! and a history that can be forgotten. What it says goes by the documented protocol
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/>); it is none.

mod store;

use crate::{tls::Authority, wait::until};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    convert::Infallible,
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};
use store::{Feed, Store};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

pub use store::End;

const PATH: &str = "/apis/discovery.k8s.io/v1/namespaces/";

/// The server. Dropped, it is gone, connections and all.
pub struct ApiServer {
    address: SocketAddr,
    tls: Arc<ServerConfig>,
    authority: Authority,
    inner: Arc<Inner>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Inner {
    store: Mutex<Store>,
    asked: Mutex<Vec<String>>,
    /// The only token that counts.
    token: Mutex<String>,
    /// Answered to everything, instead.
    instead: Mutex<Option<(u16, String)>>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

impl ApiServer {
    /// By HTTP/2, as a real one speaks with everybody who can.
    pub async fn start(token: &str) -> Self {
        Self::speaking("h2", token).await
    }

    /// By `h2` or `http/1.1` alone.
    pub async fn speaking(protocol: &str, token: &str) -> Self {
        let authority = Authority::new("kubernetes");
        let mut tls = authority.server("127.0.0.1", None);
        tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let inner = Arc::<Inner>::default();
        *inner.token.lock().unwrap() = token.to_owned();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { address: nowhere, tls: Arc::new(tls), authority, inner, serving: None };
        server.resume().await;
        server
    }

    /// At the same address, with all that it knew.
    pub async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        self.serving = Some(tokio::spawn(serve(listener, self.tls.clone(), self.inner.clone())));
    }

    /// Gone when this returns: the listener, and every connection.
    pub async fn stop(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        // It was aborted, so it says so.
        let _ = serving.await;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is mounted into a pod: its token, and whom to trust.
    pub fn account(&self, folder: &Path, token: &str) {
        std::fs::write(folder.join("token"), format!("{token}\n")).unwrap();
        std::fs::write(folder.join("namespace"), "weft").unwrap();
        self.authority.write(folder, "ca.crt");
    }

    /// A kubeconfig whose current context uses the account in this folder.
    pub fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let file = folder.join("kube.yaml");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\npreferences: {{}}\n\
             clusters:\n- name: c\n  cluster:\n    server: https://{}\n    certificate-authority: ca.crt\n\
             contexts:\n- name: here\n  context:\n    cluster: c\n    user: weft\n    namespace: other\n\
             users:\n- name: weft\n  user:\n    tokenFile: token\n",
            self.address
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.inner.store.lock().unwrap()
    }

    /// From now on only this token counts.
    pub fn accepts(&self, token: &str) {
        *self.inner.token.lock().unwrap() = token.to_owned();
    }

    /// Everything is answered so, until it is told otherwise.
    pub fn answers(&self, instead: Option<(u16, &str)>) {
        *self.inner.instead.lock().unwrap() = instead.map(|(status, text)| (status, text.to_owned()));
    }

    /// There is such a slice now, by its name. Who watches is told.
    pub fn put(&self, slice: Value) {
        self.store().put(slice);
    }

    pub fn delete(&self, name: &str) {
        self.store().delete(name);
    }

    /// Tells those who watch how far it has come.
    pub fn bookmark(&self) {
        self.store().bookmark();
    }

    /// All watches end, this slice is gone, and of what was before now nothing is known: watches from there, and lists under way, are
    /// 410 Gone.
    pub fn forgets(&self, name: &str) {
        let mut store = self.store();
        store.ends(End::Well);
        store.delete(name);
        store.compact();
    }

    /// Sends these bytes to all who watch.
    pub fn says(&self, bytes: &str) {
        self.store().says(bytes);
    }

    /// Ends all watches.
    pub fn ends(&self, how: End) {
        self.store().ends(how);
    }

    /// So many objects in a page at most, whatever is asked for.
    pub fn pages_of(&self, limit: usize) {
        self.store().limit = limit;
    }

    /// All that was asked for, in the order of its arrival.
    pub fn asked(&self) -> Vec<String> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Of these, how many have this in them.
    pub fn count(&self, text: &str) -> usize {
        self.asked().iter().filter(|target| target.contains(text)).count()
    }

    /// Until so many watches have been asked for.
    pub async fn watched(&self, count: usize) {
        let what = format!("{count} watches");
        until(&what, async || (self.count("watch=1") >= count).then_some(())).await;
    }
}

async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, inner: Arc<Inner>) {
    let (tls, mut connections) = (TlsAcceptor::from(tls), JoinSet::new());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, inner) = (tls.clone(), inner.clone());
        connections.spawn(async move {
            // A client that does not like the certificate goes away.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, inner.clone()));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

async fn answer(request: Request<Incoming>, inner: Arc<Inner>) -> Result<Response<Body>, Infallible> {
    let target = request.uri().path_and_query().unwrap().to_string();
    inner.asked.lock().unwrap().push(target.clone());
    if let Some((status, text)) = inner.instead.lock().unwrap().clone() {
        return Ok(whole(status, text));
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {}", inner.token.lock().unwrap())) {
        return Ok(failure(401, "Unauthorized"));
    }
    let options: HashMap<String, String> =
        form(target.split_once('?').map_or("", |(_, query)| query)).into_iter().collect();
    let resource = request.uri().path().strip_prefix(PATH).and_then(|rest| rest.split_once('/'));
    let Some((namespace, "endpointslices")) = resource else {
        return Ok(failure(404, "the server could not find the requested resource"));
    };
    let option = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
    let selector = option("labelSelector").strip_prefix("kubernetes.io/service-name=").unwrap_or_default();
    let mut store = inner.store.lock().unwrap();
    if option("watch") == "1" {
        let revision = option("resourceVersion").parse().unwrap_or_default();
        return Ok(streamed(store.watch(namespace, selector, revision)));
    }
    let limit = option("limit").parse().unwrap_or(usize::MAX);
    Ok(match store.list(namespace, selector, limit, option("continue")) {
        Some(list) => whole(200, list.to_string()),
        None => failure(410, "The provided continue parameter is too old"),
    })
}

/// The pairs of a query, without their escapes.
fn form(query: &str) -> Vec<(String, String)> {
    let plain = |text: &str| {
        let mut parts = text.split('%');
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).unwrap()
    };
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (plain(key), plain(value))).collect()
}

fn failure(status: u16, message: &str) -> Response<Body> {
    let text = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status });
    whole(status, text.to_string())
}

fn whole(status: u16, text: String) -> Response<Body> {
    let frames = stream::iter([Ok(Frame::data(Bytes::from(text)))]);
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

fn streamed(feed: Feed) -> Response<Body> {
    let frames = stream::unfold(feed, |mut feed| async move {
        let next = feed.recv().await?;
        Some((next.map(Frame::data), feed))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    response
}
