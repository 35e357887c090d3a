//! The open side of the host: connections in, requests to the gateway, answers out.
//!
//! The accept loop is our own: the usual one waits for ever for a client that sends nothing, and can hang at shutdown.
//! hyper and axum are named here and in `admin` only.

mod accept;
mod activity;
mod answer;
mod body;
mod bounds;
mod closing;
mod config;
mod events;
mod executor;
mod followed;
mod framing;
mod held;
mod linger;
mod packed;
mod packing;
mod request;
mod room;
mod stream;
mod traced;
mod watchdog;

pub use accept::{Door, Inner, Phase, serve};
pub use bounds::Bounds;
pub use config::{CONNECTION_WINDOW, Config, PACKERS, Shares};

use body::Intake;
use events::Events;
use followed::Following;
use held::Held;
use packing::{Form, Packs};
use request::Head;

use crate::{
    gateway::{self, Gateway},
    model::{Fault, ProblemType},
    net::{Connected, Peers},
    observe::Recent,
    telemetry::{Gauge, LogNames, Metrics},
};
use answer::Over;
use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, header};
use std::{convert::Infallible, future::poll_fn, panic::AssertUnwindSafe, sync::Arc};
use tokio::{sync::Semaphore, time::Instant};
use tower::service_fn;
use traced::Open;

/// What the one handler needs.
#[derive(Debug)]
pub struct Edge {
    inside: ArcSwap<Inside>,
    /// Requests that are not answered, and answers that have not left.
    requests: Arc<Held>,
    unread: Arc<Held>,
    packers: Semaphore,
    metrics: Metrics,
    /// How the access log names callers and paths.
    names: LogNames,
    /// Requests that somebody may want to look at.
    recent: Arc<Recent>,
}

/// The part that a reload replaces. A request keeps the one that it began with.
#[derive(Debug)]
struct Inside {
    gateway: Arc<Gateway>,
    intake: Intake,
    peers: Peers,
}

impl Inside {
    fn new(gateway: Arc<Gateway>, config: &Config) -> Self {
        let intake = Intake { max_body: config.max_body.as_usize(), rate: config.body_rate.as_usize() };
        Self { gateway, intake, peers: config.peers.clone() }
    }
}

impl Edge {
    pub fn new(gateway: Arc<Gateway>, config: &Config, names: LogNames, metrics: &Metrics) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            inside: ArcSwap::from_pointee(Inside::new(gateway, config)),
            requests: Held::new("bodies", config.bodies, metrics),
            unread: Held::new("unread", config.unread, metrics),
            packers: Semaphore::new(PACKERS * cores),
            metrics: metrics.clone(),
            names,
            recent: Arc::default(),
        })
    }

    pub fn recent(&self) -> Arc<Recent> {
        self.recent.clone()
    }

    /// From here on requests go this way.
    pub fn replace(&self, gateway: Arc<Gateway>, config: &Config) {
        self.inside.store(Arc::new(Inside::new(gateway, config)));
    }

    /// The answer's bytes count for whom they are held, until the last of them has left.
    fn hold(&self, head: &Head, response: Response<Bytes>) -> Result<Response<Body>, Fault> {
        let Some(end) = head.end.clone().filter(|_| !response.body().is_empty()) else {
            return Ok(response.map(Body::from));
        };
        let holding = self.unread.hold_bytes(head.owner, response.body(), end);
        let holding = Arc::new(holding.map_err(|over| room::of_answer(over, &head.method))?);
        let mut response = response.map(|body| Body::from(holding.count(body)));
        response.extensions_mut().insert(holding);
        Ok(response)
    }
}

/// The public side as a service: every path leads to the gateway, which knows the endpoints.
pub fn public(edge: Arc<Edge>, config: &Config) -> impl Inner + use<> {
    let packs = config.compress;
    service_fn(move |request| {
        let edge = edge.clone();
        // On the heap: a connection that rests does not hold the room for a request.
        Box::pin(async move { Ok::<_, Infallible>(answered(&edge, request, packs).await) })
    })
}

/// As `service`, whose requests say who is [`Connected`].
pub fn telling(service: impl Inner) -> impl Inner {
    service_fn(move |mut request: Request<Body>| {
        let mut service = service.clone();
        if let Some(peer) = request.extensions().get::<accept::Peer>().map(|peer| Connected(peer.address)) {
            request.extensions_mut().insert(peer);
        }
        async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        }
    })
}

/// One request and its answer as it leaves.
async fn answered(edge: &Edge, mut request: Request<Body>, packs: bool) -> Response<Body> {
    let form = packing::negotiate(request.headers_mut(), packs);
    let takes = request.headers().get_all(header::ACCEPT_ENCODING).iter().cloned().collect();
    let response = entry(edge, request, form).await;
    packed::leaving(response, takes, &edge.packers).await
}

/// One request: in, through, out, and one line in the log.
async fn entry(edge: &Edge, request: Request<Body>, form: Form) -> Response<Body> {
    let since = Instant::now();
    let _active = Active::new(&edge.metrics.requests_active);
    let inside = edge.inside.load_full();
    let packs = form.as_ref().copied().unwrap_or(Packs::Nothing);
    let follow = &inside.gateway.follow;
    let mut following = Following::begin(follow, &request);
    let (head, request) =
        request::take_in(request, &inside.intake, &edge.requests, (&inside.peers, &inside.gateway.tracer, since));
    let mut open = Open::new(head);
    let Open { head, trail, .. } = &mut open;
    let handled = async {
        let request = request?;
        form?;
        // Nothing is done for an answer for which there will be no room.
        edge.unread.has_room(head.owner).map_err(room::of_answers)?;
        inside.gateway.handle(request, trail).await
    };
    // A panic is a bug of the host; it costs this request only, and the caller still gets an answer.
    let result = tokio::select! {
        biased;
        result = AssertUnwindSafe(handled).catch_unwind() => result.unwrap_or_else(|_| {
            let text = "the host failed while it handled this request";
            Err(Fault::new(ProblemType::Host, text).because("a panic"))
        }),
        () = head.gives_way.notified() => Err(room::given_up(&head.method)),
    };
    if let Some(recorder) = trail.observer.as_ref().and_then(|observer| observer.recorder()) {
        // It may be recorded only because its caller has asked for it.
        head.trace = recorder.context();
    }
    following.iter_mut().for_each(|following| following.hear(&result));
    let (result, ended) = gateway::explained(result, trail);
    let events = match &result {
        Ok(gateway::Reply { body: gateway::Body::Stream(stream), .. }) if head.method != Method::HEAD => stream.take(),
        _ => None,
    };
    let made = |result| {
        let (mut response, fault) = answer::give_out(head, result, trail, since.elapsed());
        packed::mark(&mut response, packs);
        (answer::if_new(head, response), fault)
    };
    let (response, fault) = made(result);
    let (mut response, fault, ended) = match edge.hold(head, response) {
        Ok(response) => (response, fault, ended),
        Err(refused) => {
            let (response, fault) = made(Err(refused));
            (response.map(Body::from), fault, None)
        }
    };
    if head.method == Method::HEAD {
        response.extensions_mut().insert(packed::HeadOnly);
    }
    if let Some(events) = events {
        *response.body_mut() = Body::new(Events(events));
    }
    // The log and the metrics tell of the request, not of the page that explains it.
    let (status, fault) = ended.unwrap_or((response.status(), fault));
    let (fault, cache) = (fault.as_ref(), response.headers().get("cache-status"));
    let over = Over { status, fault, took: since.elapsed(), cache };
    answer::record(head, trail, edge.names, &over);
    answer::note(&edge.recent, trail, edge.names, &over);
    if let Some(following) = following {
        following.tell(follow, trail, &over);
    }
    // Until here it counted as under way, and from here on its answer does.
    open.served(&over);
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
