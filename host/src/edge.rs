//! The open side of the host: connections in, requests to the gateway, answers out.
//!
//! The accept loop is our own: the usual one waits for ever for a client that sends nothing, and can hang at shutdown.
//! hyper and axum are named here and in `admin` only.

mod accept;
mod answer;
mod body;
mod executor;
mod framing;
mod held;
mod packing;
mod pulse;
mod request;
mod stream;
mod watchdog;

pub use crate::config::http::Config;
pub use accept::{Bounds, Door, Inner, Phase, serve};

use body::Intake;
use held::{Held, Holding};
use request::Head;

use crate::{
    gateway::{self, Gateway, Trail},
    model::{Blame, Fault},
    net::Peers,
    telemetry::{Gauge, LogCaller, Metrics},
};
use answer::Over;
use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
};

/// Smaller bodies gain less than packing costs.
const WORTH_PACKING: u16 = 1 << 10;

/// What the one handler needs.
#[derive(Debug)]
pub struct Edge {
    inside: ArcSwap<Inside>,
    /// Request bodies that have not arrived, and answers that have not left.
    bodies: Arc<Held>,
    unread: Arc<Held>,
    metrics: Metrics,
    /// How the access log names callers.
    names: LogCaller,
}

/// The part that a reload replaces. A request keeps the one that it began with.
#[derive(Debug)]
struct Inside {
    gateway: Arc<Gateway>,
    intake: Intake,
    peers: Peers,
}

impl Inside {
    fn new(gateway: Arc<Gateway>, config: &Config, bodies: Arc<Held>) -> Self {
        let (max_body, rate) = (config.max_body.as_usize(), config.body_rate.as_usize());
        Self { gateway, intake: Intake { max_body, rate, held: bodies }, peers: config.peers.clone() }
    }
}

impl Edge {
    pub fn new(gateway: Arc<Gateway>, config: &Config, names: LogCaller, metrics: &Metrics) -> Arc<Self> {
        let bodies = Held::new("bodies", config.bodies, metrics);
        let unread = Held::new("unread", config.unread, metrics);
        let inside = ArcSwap::from_pointee(Inside::new(gateway, config, bodies.clone()));
        Arc::new(Self { inside, bodies, unread, metrics: metrics.clone(), names })
    }

    /// From here on requests go this way.
    pub fn replace(&self, gateway: Arc<Gateway>, config: &Config) {
        self.inside.store(Arc::new(Inside::new(gateway, config, self.bodies.clone())));
    }

    /// The answer's bytes count for whom they are held, until the last of them has left.
    fn hold(&self, head: &Head, response: Response<Bytes>) -> Result<Response<Body>, Fault> {
        let Some(end) = head.end.clone().filter(|_| !response.body().is_empty()) else {
            return Ok(response.map(Body::from));
        };
        let holding = Arc::new(self.unread.hold(head.owner, response.body().len(), end).map_err(unread)?);
        let mut response = response.map(|body| Body::from(holding.count(body)));
        response.extensions_mut().insert(holding);
        Ok(response)
    }
}

fn unread(over: held::Over) -> Fault {
    let who = match over {
        held::Over::Caller => "this address",
        held::Over::Connection => "this connection",
    };
    let text = format!("{who} has not read as much of its answers as the host keeps for one; read them first");
    let fault = Fault::client(StatusCode::SERVICE_UNAVAILABLE, "too-much-unread", text);
    fault.header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// The public side as a service: every path leads to the gateway, which knows the endpoints.
pub fn public(edge: Arc<Edge>, config: &Config) -> impl Inner + use<> {
    let packs = config.compress;
    // Looked at before the layer that packs, which takes the request's word as it then is.
    let negotiated = move |mut request: Request<Body>| {
        let form = packing::negotiate(request.headers_mut(), packs);
        request.extensions_mut().insert(form);
        request
    };
    let answer = service_fn(move |request| {
        let edge = edge.clone();
        // On the heap: a connection that rests does not hold the room for a request.
        Box::pin(async move { Ok::<_, Infallible>(entry(&edge, request).await) })
    });
    let packed = compression(config.compress).layer(answer);
    packed.map_request(negotiated).and_then(|response| async move { Ok(settled(weakened(response)).await) })
}

async fn settled<B>(response: Response<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes, Error: std::fmt::Display> + Send + 'static,
{
    if !response.headers().contains_key(header::CONTENT_ENCODING) || response.body().is_end_stream() {
        return response.map(|body| Body::new(body.map_err(|error| std::io::Error::other(error.to_string()))));
    }
    // On the heap: answers that are not packed do not have the room for what packs.
    Box::pin(whole(response)).await
}

/// A packed answer is packed at once: what packs it takes up to a megabyte, and is not kept for clients who don't read.
async fn whole<B>(response: Response<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes, Error: std::fmt::Display> + Send + 'static,
{
    let (parts, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    let mut packed = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            // Cut off, so that nobody takes the half for the whole.
            Err(error) => {
                let failed = Err::<Bytes, _>(std::io::Error::other(error.to_string()));
                return Response::from_parts(parts, Body::from_stream(futures_util::stream::iter([failed])));
            }
        };
        if let Ok(data) = frame.into_data() {
            packed.extend_from_slice(&data);
        }
        // Nothing of this ever waits, and others have their turn meanwhile.
        tokio::task::yield_now().await;
    }
    let mut packed = packed.freeze();
    if let Some(holding) = parts.extensions.get::<Arc<Holding>>() {
        // It is less than before, mostly.
        let _ = holding.is(packed.len());
        packed = holding.count(packed);
    }
    Response::from_parts(parts, Body::from(packed))
}

/// Text of some size is packed for clients that ask for it; images and archives are as small as they get.
fn compression(is_on: bool) -> CompressionLayer<impl Predicate> {
    let worth = SizeAbove::new(WORTH_PACKING)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("application/zip"));
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Packed { is_on, worth })
}

/// Which answers are packed: those that are worth it, and all for a client that takes no other.
#[derive(Clone, Copy)]
struct Packed<P> {
    is_on: bool,
    worth: P,
}

impl<P: Predicate> Predicate for Packed<P> {
    fn should_compress<B: axum::body::HttpBody>(&self, response: &Response<B>) -> bool {
        let must = response.extensions().get::<packing::MustPack>().is_some();
        self.is_on && (must || self.worth.should_compress(response))
    }
}

/// A packed answer is not byte for byte what its plugin has given a strong tag (RFC 9110, section 8.8.1).
fn weakened<B>(mut response: Response<B>) -> Response<B> {
    if response.headers().contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = response.headers_mut().get_mut(header::ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        *tag = weak;
    }
    response
}

/// One request: in, through, out, and one line in the log.
async fn entry(edge: &Edge, request: Request<Body>) -> Response<Body> {
    let since = Instant::now();
    let _active = Active::new(&edge.metrics.requests_active);
    let inside = edge.inside.load_full();
    let form = request.extensions().get::<packing::Form>().cloned().unwrap_or(Ok(None));
    let (head, request) = request::take_in(request, &inside.intake, &inside.peers);
    let mut trail = Trail::default();
    let handled = async {
        let request = request?;
        form.clone()?;
        inside.gateway.handle(request, &mut trail).await
    };
    // A panic is a bug of the host; it costs this request only, and the caller still gets an answer.
    let result = AssertUnwindSafe(handled).catch_unwind().await.unwrap_or_else(|_| {
        let text = "the host failed while it handled this request";
        Err(Fault::new(Blame::Host, StatusCode::INTERNAL_SERVER_ERROR, "host", text).because("a panic"))
    });
    let (result, ended) = gateway::explained(result, &trail);
    let (response, fault) = answer::give_out(&head, result, &trail, since.elapsed());
    let (mut response, fault, ended) = match edge.hold(&head, response) {
        Ok(response) => (response, fault, ended),
        Err(refused) => {
            let (response, fault) = answer::give_out(&head, Err(refused), &trail, since.elapsed());
            (response.map(Body::from), fault, None)
        }
    };
    if let Ok(Some(must)) = form {
        response.extensions_mut().insert(must);
    }
    // The log and the metrics tell of the request, not of the page that explains it.
    let (status, fault) = ended.unwrap_or((response.status(), fault));
    let (fault, cache) = (fault.as_ref(), response.headers().get("cache-status"));
    answer::record(&head, &trail, edge.names, &Over { status, fault, took: since.elapsed(), cache });
    response
}

/// Counts a request for as long as it is under way.
struct Active<'a>(&'a Gauge);

impl<'a> Active<'a> {
    fn new(requests: &'a Gauge) -> Self {
        requests.inc();
        Self(requests)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
