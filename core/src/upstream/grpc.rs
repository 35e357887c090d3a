//! One channel to one endpoint, and truthful status codes.
//!
//! tonic reads the body of any HTTP answer as gRPC frames, reports its own timeouts as CANCELLED and leaves the choice of endpoint
//! to a balancer that doesn't know the dead from the living. So each endpoint has a channel of its own behind a thin service,
//! [`answer`], that hands tonic nothing but sound gRPC.

use super::{
    Outgoing,
    answer::{Progress, Sound},
    codec::RawCodec,
    dial::{BoxError, Dialer},
    failed::{Failed, Pushback},
    method::StreamBounds,
    status::{NoConnection, failure_of},
};
use crate::{
    model::{Code, Failure},
    sync::lock,
};
use arc_swap::ArcSwap;
use bytes::{BufMut, Bytes, BytesMut};
use http::{Response, Uri, uri::PathAndQuery};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tonic::{
    Status,
    client::{Grpc, GrpcService},
    codec::CompressionEncoding,
    metadata::{MetadataMap, MetadataValue},
    transport::Channel,
};

/// What tonic's client runs on.
pub(super) trait Answers:
    GrpcService<tonic::body::Body, ResponseBody: http_body::Body<Error: Into<BoxError>> + Send + 'static, Error = BoxError>
{
}

impl<S, B> Answers for S
where
    S: GrpcService<tonic::body::Body, ResponseBody = B, Error = BoxError>,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
{
}

/// A client for calls of the host's own.
pub(super) type SoundClient = Grpc<Sound<Channel>>;

/// The channel to one instance.
#[derive(Debug)]
pub(super) struct GrpcConnection {
    uri: Uri,
    dialer: Arc<Dialer>,
    channel: ArcSwap<Channel>,
    /// Between two pings; longer where the backend takes them for too many.
    keep_alive: Mutex<Duration>,
}

/// Pings are never rarer than this, however often a backend complains: it has other reasons then.
const RAREST_PING: Duration = Duration::from_hours(2);

impl GrpcConnection {
    /// Connects when the first call comes, and again whenever the connection is lost.
    pub(super) fn new(uri: &Uri, dialer: &Arc<Dialer>) -> Result<Self, BoxError> {
        let channel = ArcSwap::from_pointee(dialer.dial(uri, dialer.keep_alive())?);
        Ok(Self { uri: uri.clone(), dialer: dialer.clone(), channel, keep_alive: Mutex::new(dialer.keep_alive()) })
    }

    pub(super) fn channel(&self) -> Channel {
        Channel::clone(&self.channel.load())
    }

    /// For messages of at most `max` bytes.
    pub(super) fn client(&self, max: usize) -> SoundClient {
        let sound = Sound { inner: self.channel(), codings: None, progress: Arc::default() };
        Grpc::new(sound).max_decoding_message_size(max)
    }

    /// What went wrong, with what follows for the connection.
    pub(super) fn heed(&self, status: &Status) -> Failure {
        let failed = failed(status, &Progress::default());
        if failed.too_many_pings {
            self.ping_less();
        }
        failed.failure
    }

    /// Half as many pings from now on, as gRPC's clients do
    /// (<https://github.com/grpc/proposal/blob/master/A8-client-side-keepalive.md>).
    fn ping_less(&self) {
        let mut keep_alive = lock(&self.keep_alive);
        let doubled = keep_alive.saturating_mul(2).min(RAREST_PING);
        if doubled <= *keep_alive {
            return;
        }
        let uri = &self.uri;
        match self.dialer.dial(uri, doubled) {
            Ok(channel) => {
                tracing::warn!(
                    endpoint = %uri,
                    "{uri} closes connections that are pinged each {keep_alive:?}; from now on it is {doubled:?}: raise `keep-alive` of this backend"
                );
                *keep_alive = doubled;
                self.channel.store(Arc::new(channel));
            }
            // It could be made before. What there is goes on.
            Err(error) => tracing::warn!(endpoint = %uri, "the connection to {uri} can't be made anew: {error}"),
        }
    }

    /// One unary call. Ends when the trailers are in.
    pub(super) async fn unary(&self, outgoing: Outgoing, max_reply: usize) -> Result<Bytes, Failed> {
        let progress = Arc::<Progress>::default();
        // The backend may use any coding that is understood, without having been offered it.
        let codings = self.dialer.codings();
        let sound = Sound { inner: self.channel(), codings, progress: progress.clone() };
        let answer = call(sound, outgoing, max_reply, &progress).await;
        if matches!(&answer, Err(failed) if failed.too_many_pings) {
            self.ping_less();
        }
        answer
    }
}

/// What a call makes of an HTTP answer that is there already.
pub async fn read_grpc<B>(answer: Response<B>, outgoing: Outgoing, max_reply: usize) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let mut answer = Some(answer);
    let inner = tower::service_fn(move |_| std::future::ready(answer.take().ok_or("there is one answer only")));
    let progress = Arc::<Progress>::default();
    let sound = Sound { inner, codings: None, progress: progress.clone() };
    call(sound, outgoing, max_reply, &progress).await.map_err(|failed| failed.failure)
}

async fn call<S>(
    service: Sound<S>,
    outgoing: Outgoing,
    max_reply: usize,
    progress: &Arc<Progress>,
) -> Result<Bytes, Failed>
where
    Sound<S>: Answers,
{
    let mut client = Grpc::new(service)
        .max_decoding_message_size(max_reply)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    if let Err(error) = client.ready().await {
        return Err(failed(&Status::from_error(error), progress));
    }
    let mut request = tonic::Request::new(outgoing.message);
    *request.metadata_mut() = MetadataMap::from_headers(outgoing.metadata);
    let timeout = grpc_timeout(outgoing.deadline.remaining());
    if let Ok(timeout) = MetadataValue::try_from(timeout) {
        request.metadata_mut().insert("grpc-timeout", timeout);
    }
    let path = outgoing.method.path.clone();
    let answer = match outgoing.method.stream {
        Some(bounds) => {
            let time = Time::of(bounds, outgoing.deadline.remaining(), outgoing.cut);
            stream(client, request, path, (bounds, time), progress).await
        }
        None => one(client, request, path).await,
    };
    answer.map_err(|status| failed(&status, progress))
}

/// The one message of a unary answer. tonic itself would take the first of several.
async fn one<S: Answers>(
    mut client: Grpc<S>,
    request: tonic::Request<Bytes>,
    path: PathAndQuery,
) -> Result<Bytes, Status> {
    let mut messages = client.server_streaming(request, path, RawCodec).await?.into_inner();
    let message = messages.message().await?;
    let message = message.ok_or_else(|| Status::internal("the backend answered a unary call without a message"))?;
    // Waits for the status, which alone says that the message is the whole answer.
    match messages.message().await? {
        None => Ok(message),
        Some(_) => Err(Status::internal("the backend answered a unary call with more than one message")),
    }
}

/// How long a stream is taken.
struct Time {
    most: Duration,
    /// Where nobody has said how long: to be set when it is cut for that.
    cut: Option<Arc<AtomicBool>>,
    /// Where it has to be whole: to be set when it is cut for whatever bound.
    bound: Option<Arc<AtomicBool>>,
}

impl Time {
    fn of(bounds: StreamBounds, remaining: Duration, cut: Arc<AtomicBool>) -> Self {
        let bound = bounds.whole.then(|| cut.clone());
        match bounds.time {
            Some(most) => Self { most, cut: None, bound },
            None => Self { most: remaining.mul_f64(0.9), cut: Some(cut), bound },
        }
    }

    fn at_a_bound(&self) {
        if let Some(cut) = &self.bound {
            cut.store(true, Relaxed);
        }
    }

    /// Fails where the call's time is nearly over and nothing has come: that is no empty list.
    fn is_over(&self, list: &[u8]) -> Result<(), Status> {
        self.at_a_bound();
        match &self.cut {
            Some(_) if list.is_empty() => Err(Status::deadline_exceeded("no answer in time")),
            Some(cut) => {
                cut.store(true, Relaxed);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// The messages of a stream up to its bounds, as `repeated` field 1 of one message.
async fn stream<S: Answers>(
    mut client: Grpc<S>,
    request: tonic::Request<Bytes>,
    path: PathAndQuery,
    (bounds, time): (StreamBounds, Time),
    progress: &Arc<Progress>,
) -> Result<Bytes, Status> {
    let progress = progress.clone();
    let request = request.map(|message| {
        let progress = progress.clone();
        // Taken once there is a connection for it.
        futures_util::stream::once(async move {
            progress.sent.store(true, Relaxed);
            message
        })
    });
    let mut cut = std::pin::pin!(tokio::time::sleep(time.most));
    let mut list = BytesMut::new();
    let opened = tokio::select! {
        opened = client.streaming(request, path, RawCodec) => opened?,
        // Many servers send no headers before there is a message.
        () = &mut cut => {
            let was_sent = progress.sent.load(Relaxed);
            time.is_over(&list)?;
            return if was_sent { Ok(Bytes::new()) } else { Err(Status::from_error(Box::new(NoConnection))) };
        }
    };
    let mut messages = opened.into_inner();
    let mut items = 0;
    loop {
        if items == bounds.items {
            time.at_a_bound();
            break;
        }
        items += 1;
        let next = tokio::select! {
            next = messages.message() => next?,
            () = &mut cut => {
                time.is_over(&list)?;
                break;
            }
        };
        let Some(message) = next else { break };
        if list.len() + message.len() > bounds.bytes {
            time.at_a_bound();
            break;
        }
        list.put_u8(0x0a);
        prost::encoding::encode_varint(message.len() as u64, &mut list);
        list.extend_from_slice(&message);
    }
    Ok(list.freeze())
}

fn failed(status: &Status, progress: &Progress) -> Failed {
    let failure = failure_of(status);
    let too_many_pings = failure.is_some_and(|failure| failure.too_many_pings);
    let (code, unsent) = match (failure, status.code()) {
        (Some(failure), _) => (failure.code, failure.unsent),
        // A status of OK without a message is no answer.
        (None, tonic::Code::Ok) => (Code::Internal, false),
        // tonic has no other way to say so, and the caller's arguments are not at fault.
        (None, tonic::Code::OutOfRange) if status.message().starts_with(TOO_LARGE) => (Code::ResourceExhausted, false),
        (None, code) => (Code::from_number(code as u32), false),
    };
    let mut message = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let text = error.to_string();
        if !message.contains(&text) {
            message = if message.is_empty() { text } else { format!("{message}: {text}") };
        }
        source = error.source();
    }
    let pushback =
        match status.metadata().get("grpc-retry-pushback-ms").map(|value| value.to_str().ok()?.parse::<u64>().ok()) {
            None => Pushback::None,
            Some(None) => Pushback::Stop,
            Some(Some(millis)) => Pushback::After(Duration::from_millis(millis)),
        };
    let failure = Failure { code, message, details: Bytes::copy_from_slice(status.details()) };
    Failed { failure, unsent, answered: progress.answered.load(Relaxed), pushback, too_many_pings }
}

/// How tonic's message begins about a reply that is larger than it may be, of which it has no type.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// What is left, less a margin for the way back, in the form of the gRPC specification: at most eight digits and a unit.
fn grpc_timeout(remaining: Duration) -> String {
    let margin = (remaining / 20).min(Duration::from_millis(10));
    let micros = u64::try_from((remaining - margin).as_micros()).unwrap_or(u64::MAX).max(1);
    if micros < 100_000_000 { format!("{micros}u") } else { format!("{}m", (micros / 1000).min(99_999_999)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::kit::outgoing;
    use http_body_util::Full;

    #[tokio::test]
    async fn a_reply_that_is_larger_than_it_may_be_is_too_much_and_no_mistake_of_the_caller() {
        let body = [&[0, 0, 0, 0, 11], &b"hello world"[..]].concat();
        let answer = Response::builder().header("content-type", "application/grpc").body(Full::from(body)).unwrap();
        let failure = read_grpc(answer, outgoing(true, Duration::from_secs(1)), 10).await.unwrap_err();
        assert_eq!(failure.code, Code::ResourceExhausted, "does tonic say it in other words? {failure}");
    }

    #[test]
    fn the_timeout_header_has_at_most_eight_digits_and_leaves_a_margin() {
        assert_eq!(grpc_timeout(Duration::from_millis(100)), "95000u");
        assert_eq!(grpc_timeout(Duration::from_secs(10)), "9990000u");
        assert_eq!(grpc_timeout(Duration::from_secs(1000)), "999990m");
        assert_eq!(grpc_timeout(Duration::from_nanos(1)), "1u");
        assert_eq!(grpc_timeout(Duration::from_hours(1_000_000)), "99999999m");
    }
}
