//! The layer around a gRPC service that lets [`Control`] see, and trouble, every call.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tower::Service;

use super::{Control, Trouble};

/// A gRPC service under control.
#[derive(Clone, Debug)]
pub struct Watched<S> {
    inner: S,
    control: Control,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, control: Control) -> Self {
        Self { inner, control }
    }
}

impl<S: NamedService> NamedService for Watched<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Watched<S>
where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        >,
    S: Clone + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    /// A call without trouble costs a lock and a copy of its headers, and no task or box of its own.
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let Some(trouble) = self.control.arrive(path, request.headers()) else {
            return self.inner.call(request);
        };
        let control = self.control.clone();
        let next = self.inner.clone();
        // The service that was polled ready makes the call; its clone takes its place.
        let mut ready = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match suffer(trouble, &control).await {
                Ok(()) => ready.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

async fn suffer(trouble: Trouble, control: &Control) -> Result<(), Status> {
    if trouble.stall {
        control.closed().await;
        return Err(Status::unavailable("stalled until the service stopped"));
    }
    if !trouble.delay.is_zero() {
        tokio::time::sleep(trouble.delay).await;
    }
    match trouble.fail {
        Some(code) => Err(Status::new(code, "failed because a test asked for it")),
        None => Ok(()),
    }
}
