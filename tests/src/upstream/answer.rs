//! What may become of one call.

use crate::wait::until;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use prost::Message;
use std::{convert::Infallible, future::pending, time::Duration};
use tokio::sync::watch;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer, good or bad.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A reply message.
    Message(Bytes),
    /// A reply message, packed in a coding that gRPC names so.
    Packed(&'static str, Bytes),
    /// A gRPC status that is not OK.
    Failure { code: u32, message: String },
    /// Never: not even headers.
    Stall,
    /// Headers, and then nothing.
    StallAfterHeaders,
    /// A reply message, and no status after it.
    NoTrailers(Bytes),
    /// HTTP that is no gRPC, as proxies answer it.
    Http { status: u16, body: &'static str },
    /// A stream of messages that does not end.
    Feed(Feed),
    /// The answer, once the gate is open.
    Held(Gate, Box<Answer>),
    /// The answer, after a while.
    Slow(Duration, Box<Answer>),
}

/// Holds answers back until it is opened. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// Shut.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Until an answer is held here.
    pub async fn reached(&self) {
        until("an answer at the gate", async || (self.0.receiver_count() > 0).then_some(())).await;
    }

    async fn passed(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// The messages of a stream: the last one at once, and each that comes after it. Clones are the same feed.
#[derive(Debug, Clone)]
pub struct Feed(watch::Sender<Bytes>);

impl Feed {
    pub fn new(first: Bytes) -> Self {
        Self(watch::Sender::new(first))
    }

    pub fn send(&self, message: Bytes) {
        self.0.send_replace(message);
    }

    /// Streams that are open.
    pub fn readers(&self) -> usize {
        self.0.receiver_count()
    }

    fn frames(&self) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + use<> {
        let mut receiver = self.0.subscribe();
        receiver.mark_changed();
        stream::unfold((self.clone(), receiver), async |(feed, mut receiver)| {
            receiver.changed().await.ok()?;
            let frame = Frame::data(framed(0, &receiver.borrow_and_update()));
            Some((Ok(frame), (feed, receiver)))
        })
    }
}

impl Answer {
    pub fn message(message: &impl Message) -> Self {
        Self::Message(message.encode_to_vec().into())
    }

    pub fn fails(code: u32, message: &str) -> Self {
        Self::Failure { code, message: message.to_owned() }
    }

    #[must_use]
    pub fn held(self, gate: &Gate) -> Self {
        Self::Held(gate.clone(), Box::new(self))
    }

    #[must_use]
    pub fn slow(self, delay: Duration) -> Self {
        Self::Slow(delay, Box::new(self))
    }

    /// `guard` is dropped when the answer has been given, or when nobody wants it any more.
    pub(super) async fn give<G: Send + 'static>(mut self, guard: G) -> Response<Body> {
        loop {
            self = match self {
                Self::Held(gate, then) => {
                    gate.passed().await;
                    *then
                }
                Self::Slow(delay, then) => {
                    tokio::time::sleep(delay).await;
                    *then
                }
                other => break other.write(guard).await,
            }
        }
    }

    async fn write<G: Send + 'static>(self, guard: G) -> Response<Body> {
        match self {
            Self::Message(message) => {
                grpc(vec![Frame::data(framed(0, &message)), Frame::trailers(status(0, ""))], guard)
            }
            Self::Packed(coding, message) => {
                let mut response = grpc(vec![Frame::data(framed(1, &message)), Frame::trailers(status(0, ""))], guard);
                response.headers_mut().insert("grpc-encoding", HeaderValue::from_static(coding));
                response
            }
            Self::NoTrailers(message) => grpc(vec![Frame::data(framed(0, &message))], guard),
            Self::Failure { code, message } => {
                let mut response = grpc(Vec::new(), guard);
                response.headers_mut().extend(status(code, &message));
                response
            }
            Self::StallAfterHeaders => {
                let never = stream::pending::<Result<Frame<Bytes>, Infallible>>();
                respond("application/grpc", 200, never, guard)
            }
            Self::Http { status, body } => {
                let frames = stream::iter([Ok(Frame::data(Bytes::from_static(body.as_bytes())))]);
                respond("text/html", status, frames, guard)
            }
            Self::Feed(feed) => respond("application/grpc", 200, feed.frames(), guard),
            Self::Stall | Self::Held(..) | Self::Slow(..) => pending().await,
        }
    }
}

fn grpc<G: Send + 'static>(frames: Vec<Frame<Bytes>>, guard: G) -> Response<Body> {
    respond("application/grpc", 200, stream::iter(frames.into_iter().map(Ok)), guard)
}

fn respond<G: Send + 'static>(
    kind: &'static str,
    status: u16,
    frames: impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
    guard: G,
) -> Response<Body> {
    // The guard lives as long as the body.
    let frames = frames.map(move |frame| {
        let _alive = &guard;
        frame
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    response
}

/// The message in its gRPC frame: whether it is packed, and its length.
fn framed(packed: u8, message: &Bytes) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(packed);
    frame.put_u32(message.len().try_into().unwrap());
    frame.put_slice(message);
    frame.freeze()
}

fn status(code: u32, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from(code));
    if !message.is_empty() {
        headers.insert("grpc-message", HeaderValue::try_from(message.replace(' ', "%20")).unwrap());
    }
    headers
}
