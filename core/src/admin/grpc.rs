//! gRPC's health protocol, version 1, on the admin listener, which speaks HTTP/2 as well
//! (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).
//!
//! The empty service is the host; each client is a service by its name. Few and small messages: a gRPC library would have more to say
//! about its server than this has lines. `Watch` of a service that is not known stays open and says so, as gRPC A17 wants.

use super::readiness::Stage;
use crate::{
    model::{ServingStatus, health_list, read_health_question},
    net::framed,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    response::IntoResponse,
    routing::post,
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

/// Streams that are watched at the same time.
const WATCHES: usize = 100;
/// Bytes of a question, and how long it may take to come.
const LARGEST: usize = 4 << 10;
const LONGEST: Duration = Duration::from_secs(5);
/// How often a stream looks for what nobody tells it: plugins that come and go.
const LOOK: Duration = Duration::from_secs(1);

const NOT_FOUND: u8 = 5;
const INVALID_ARGUMENT: u8 = 3;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;

/// Who knows how it stands with services.
pub(super) trait Statuses: Send + Sync + 'static {
    /// `None`: there is no such service.
    fn status_of(&self, service: &str) -> Option<ServingStatus>;
    fn all(&self) -> Vec<(String, ServingStatus)>;
    fn stages(&self) -> watch::Receiver<Stage>;
}

struct Service<S> {
    statuses: Arc<S>,
    watches: Arc<Semaphore>,
}

/// The methods of the protocol.
pub(super) fn routes<S: Statuses>(statuses: Arc<S>) -> Router {
    Router::new()
        .route("/grpc.health.v1.Health/Check", post(check::<S>))
        .route("/grpc.health.v1.Health/List", post(list::<S>))
        .route("/grpc.health.v1.Health/Watch", post(watch::<S>))
        .with_state(Arc::new(Service { statuses, watches: Arc::new(Semaphore::new(WATCHES)) }))
}

async fn check<S: Statuses>(State(service): State<Arc<Service<S>>>, request: Request<Body>) -> Response<Body> {
    match question(request).await {
        Ok(name) => match service.statuses.status_of(&name) {
            Some(status) => one(&status.encode()),
            None => failed(NOT_FOUND, "there is no such service; a client is one by its name"),
        },
        Err(refused) => *refused,
    }
}

async fn list<S: Statuses>(State(service): State<Arc<Service<S>>>, request: Request<Body>) -> Response<Body> {
    match question(request).await {
        Ok(_) => one(&health_list(service.statuses.all())),
        Err(refused) => *refused,
    }
}

async fn watch<S: Statuses>(State(service): State<Arc<Service<S>>>, request: Request<Body>) -> Response<Body> {
    let name = match question(request).await {
        Ok(name) => name,
        Err(refused) => return *refused,
    };
    let Ok(permit) = service.watches.clone().try_acquire_owned() else {
        return failed(RESOURCE_EXHAUSTED, "as many streams are watched as may be");
    };
    let (statuses, stages) = (service.statuses.clone(), service.statuses.stages());
    let watched = Watched { statuses, name, stages, said: None, is_over: false, _permit: permit };
    answered(StreamBody::new(stream::unfold(watched, Watched::next)))
}

/// A stream under way.
struct Watched<S> {
    statuses: Arc<S>,
    name: String,
    stages: watch::Receiver<Stage>,
    said: Option<ServingStatus>,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

impl<S: Statuses> Watched<S> {
    /// How it stands at once, then whenever that has changed; ended when the host is.
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        while !self.is_over {
            let status = self.statuses.status_of(&self.name).unwrap_or(ServingStatus::ServiceUnknown);
            if self.said != Some(status) {
                self.said = Some(status);
                return Some((Ok(Frame::data(framed(&status.encode()))), self));
            }
            if *self.stages.borrow_and_update() == Stage::Gone {
                self.is_over = true;
                return Some((Ok(Frame::trailers(status_lines(UNAVAILABLE, "the host ends"))), self));
            }
            tokio::select! {
                // Its sender lives as long as what knows the statuses.
                _ = self.stages.changed() => {}
                () = sleep(LOOK) => {}
            }
        }
        None
    }
}

/// The service that is asked for.
async fn question(request: Request<Body>) -> Result<String, Box<Response<Body>>> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc || request.version() != Version::HTTP_2 {
        let text = "this is gRPC, over HTTP/2; for a look there is GET /readyz\n";
        return Err(Box::new((StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response()));
    }
    let refused = |code, text| Err(Box::new(failed(code, text)));
    let Ok(Ok(body)) = timeout(LONGEST, to_bytes(request.into_body(), LARGEST)).await else {
        return refused(RESOURCE_EXHAUSTED, "the question is too long, or too slow");
    };
    let name = match body.split_first_chunk::<5>() {
        Some(([0, length @ ..], message)) if u32::from_be_bytes(*length) as usize == message.len() => {
            read_health_question(message)
        }
        Some(([1, ..], _)) => return refused(UNIMPLEMENTED, "messages are not to be compressed"),
        _ => None,
    };
    name.map_or_else(|| refused(INVALID_ARGUMENT, "the message is no HealthCheckRequest"), Ok)
}

fn status_lines(code: u8, message: &'static str) -> HeaderMap {
    let mut lines = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(u16::from(code)))]);
    if !message.is_empty() {
        lines.insert("grpc-message", HeaderValue::from_static(message));
    }
    lines
}

const GRPC_STATUS: http::HeaderName = http::HeaderName::from_static("grpc-status");

fn one(message: &[u8]) -> Response<Body> {
    let trailers = status_lines(0, "");
    answered(Full::new(framed(message)).with_trailers(async { Some(Ok(trailers)) }))
}

fn answered(body: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Response<Body> {
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
}

/// A failure has no message, and its status stands in the head.
fn failed(code: u8, message: &'static str) -> Response<Body> {
    (status_lines(code, message), [(header::CONTENT_TYPE, "application/grpc")]).into_response()
}

#[cfg(test)]
mod tests;
