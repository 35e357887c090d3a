//! One stream on its way: the guest runs, its events leave, and somebody or something ends it.

use super::{config::Config, ending::Ending, flow::Flow, over::over, places::Place};
use crate::{
    artifact::EndpointPolicy,
    gateway::{
        faults,
        output::{self, Body, Reply},
        sharing::Outcome,
        stream::Stream,
    },
    plugin::{Emitted, Response, StreamHead},
    release::{Endpoint, Releases},
};
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, header};
use std::{future::ready, pin::pin, sync::Arc, time::SystemTime};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::Instant,
};

/// What a stream is driven with.
pub(crate) struct Driven {
    pub(crate) config: Config,
    pub(crate) place: Place,
    pub(crate) endpoint: Arc<Endpoint>,
    /// The guest's run, to the answer that it would have been.
    pub(crate) run: BoxFuture<'static, Outcome>,
    pub(crate) emitted: Emitted,
    /// When the caller's token ends.
    pub(crate) until: Option<SystemTime>,
    pub(crate) releases: Arc<Releases>,
    pub(crate) endings: watch::Receiver<Option<Ending>>,
    pub(crate) granted: Arc<[HeaderName]>,
    pub(crate) request_id: String,
}

/// Ends a task, unless it is let go.
struct Guard(Option<AbortHandle>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// What the guest answers at once; or the head of its stream, which then goes on by itself. Dropped before that, the guest ends.
pub(crate) async fn begin(driven: Driven) -> Outcome {
    let (answer, answered) = oneshot::channel();
    let mut guard = Guard(Some(tokio::spawn(drive(driven, answer)).abort_handle()));
    let outcome = answered.await.unwrap_or_else(|error| Err(faults::host(&error)));
    guard.0 = None;
    outcome
}

async fn drive(mut driven: Driven, answer: oneshot::Sender<Outcome>) {
    let head = tokio::select! {
        biased;
        head = &mut driven.emitted.head => match head {
            Ok(head) => head,
            // The guest's end of it is gone, so the guest is as well.
            Err(_) => {
                let _ = answer.send(driven.run.await);
                return;
            }
        },
        outcome = &mut driven.run => match driven.emitted.head.try_recv() {
            // It has begun and ended at once.
            Ok(head) => {
                driven.run = Box::pin(ready(outcome));
                head
            }
            Err(_) => {
                let _ = answer.send(outcome);
                return;
            }
        },
    };
    let (out, events) = mpsc::channel(1);
    let reply = reply(head, &driven.endpoint.policy, &driven.granted, Stream::new(events));
    let is_stream = reply.is_ok();
    if answer.send(reply).is_err() || !is_stream {
        return;
    }
    let (since, place) = (Instant::now(), driven.place);
    let mut flow = Flow::new(driven.config, driven.emitted.events, out);
    let over = pin!(over(&driven.config, driven.until, (&driven.releases, &driven.endpoint), driven.endings));
    let ending = flow.until(driven.run, over, &driven.request_id).await;
    place.ended(ending, flow.events);
    let release = &driven.endpoint.release;
    tracing::info!(target: "access", stream = ending.as_str(), events = flow.events, bytes = flow.bytes,
        took_ms = since.elapsed().as_secs_f64() * 1e3, plugin = %release.name, version = %release.version,
        endpoint = %driven.endpoint.name, request_id = driven.request_id, "a stream has ended");
}

/// The answer that a stream begins with. No cache may keep it, and no gateway may hold it back.
fn reply(head: StreamHead, policy: &EndpointPolicy, granted: &[HeaderName], stream: Stream) -> Outcome {
    let StreamHead { status, headers } = head;
    let response = Response { status, headers, body: Vec::new(), extensions: Vec::new() };
    let Reply { status, mut headers, .. } = output::reply(response, policy, granted)?;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would wait for a buffer to be full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.remove(header::ETAG);
    Ok(Reply { status, headers, body: Body::Stream(stream) })
}
