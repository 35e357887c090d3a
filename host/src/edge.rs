//! The open side of the host: connections in, requests to the gateway, answers out.
//!
//! The accept loop is our own: the usual one waits for ever for a client that sends nothing, and can hang at shutdown.
//! hyper and axum are named here and in `admin` only.

mod accept;
mod answer;
mod body;
mod pulse;
mod request;
mod stream;
mod watchdog;

pub use crate::config::http::Config;
pub use accept::{Bounds, Door, Inner, serve};

use crate::{
    gateway::{self, Gateway, Trail},
    model::{Blame, Fault},
    net::Peers,
    telemetry::{Gauge, LogCaller, Metrics},
};
use answer::Over;
use arc_swap::ArcSwap;
use axum::body::Body;
use futures_util::FutureExt;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
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
    metrics: Metrics,
    /// How the access log names callers.
    names: LogCaller,
}

/// The part that a reload replaces. A request keeps the one that it began with.
#[derive(Debug)]
struct Inside {
    gateway: Arc<Gateway>,
    max_body: usize,
    peers: Peers,
}

impl Inside {
    fn new(gateway: Arc<Gateway>, config: &Config) -> Self {
        Self { gateway, max_body: config.max_body.as_usize(), peers: config.peers.clone() }
    }
}

impl Edge {
    pub fn new(gateway: Arc<Gateway>, config: &Config, names: LogCaller, metrics: &Metrics) -> Arc<Self> {
        let inside = ArcSwap::from_pointee(Inside::new(gateway, config));
        Arc::new(Self { inside, metrics: metrics.clone(), names })
    }

    /// From here on requests go this way.
    pub fn replace(&self, gateway: Arc<Gateway>, config: &Config) {
        self.inside.store(Arc::new(Inside::new(gateway, config)));
    }
}

/// The public side as a service: every path leads to the gateway, which knows the endpoints.
pub fn public(edge: Arc<Edge>, config: &Config) -> impl Inner + use<> {
    let answer = service_fn(move |request| {
        let edge = edge.clone();
        // On the heap: a connection that rests does not hold the room for a request.
        Box::pin(async move { Ok::<_, Infallible>(entry(&edge, request).await) })
    });
    let packed = compression(config.compress).layer(answer);
    packed.map_response(|response| weakened(response).map(Body::new))
}

/// Text of some size is packed for clients that ask for it; images and archives are as small as they get.
fn compression(is_on: bool) -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(
        SizeAbove::new(WORTH_PACKING)
            .and(NotForContentType::IMAGES)
            .and(NotForContentType::const_new("application/zip"))
            .and(move |_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| is_on),
    )
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
    let (head, request) = request::take_in(request, inside.max_body, &inside.peers);
    let mut trail = Trail::default();
    let handled = async {
        let request = request?;
        inside.gateway.handle(request, &mut trail).await
    };
    // A panic is a bug of the host; it costs this request only, and the caller still gets an answer.
    let result = AssertUnwindSafe(handled).catch_unwind().await.unwrap_or_else(|_| {
        let text = "the host failed while it handled this request";
        Err(Fault::new(Blame::Host, StatusCode::INTERNAL_SERVER_ERROR, "host", text).because("a panic"))
    });
    let (result, ended) = gateway::explained(result, &trail);
    let (response, fault) = answer::give_out(&head, result, &trail, since.elapsed());
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
