//! One channel to one endpoint, and truthful status codes.
//!
//! tonic reads the body of any HTTP answer as gRPC frames, reports its own timeouts as CANCELLED and leaves the choice of endpoint
//! to a balancer that doesn't know the dead from the living. So each endpoint has a channel of its own behind a thin service that
//! turns answers which are not gRPC into the status that the gRPC specification names for them.

use super::{
    Outgoing,
    codec::RawCodec,
    config::TlsFiles,
    endpoint::{Failed, Pushback},
    method::StreamBounds,
};
use crate::model::{Code, Failure};
use bytes::{BufMut, Bytes, BytesMut};
use http::{Request, Response, StatusCode, Uri, uri::PathAndQuery};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tonic::{
    ConnectError, Status, TimeoutExpired,
    body::Body,
    client::Grpc,
    metadata::{MetadataMap, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tower::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects when the first call comes, and again whenever the connection is lost.
pub(super) fn connect(uri: &Uri, connect_timeout: Duration, tls: Option<&TlsFiles>) -> Result<Channel, BoxError> {
    let mut endpoint = Endpoint::from(uri.clone())
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(5))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")))?;
    if let Some(files) = tls {
        endpoint = endpoint.tls_config(tls_config(files)?)?;
    }
    Ok(endpoint.connect_lazy())
}

fn tls_config(files: &TlsFiles) -> Result<ClientTlsConfig, BoxError> {
    let read = |path: &std::path::Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&files.ca)?));
    if let Some(name) = &files.server_name {
        config = config.domain_name(name);
    }
    if let Some((certificate, key)) = &files.identity {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

/// One unary call on one endpoint. Ends when the trailers are in.
pub(super) async fn unary(channel: Channel, outgoing: Outgoing, max_reply: usize) -> Result<Bytes, Failed> {
    let progress = Arc::<Progress>::default();
    let mut client = Grpc::new(GrpcOnly(channel, progress.clone())).max_decoding_message_size(max_reply);
    if let Err(error) = client.ready().await {
        return Err(failed(&Status::from_error(error), &progress));
    }
    let mut request = tonic::Request::new(outgoing.message);
    *request.metadata_mut() = MetadataMap::from_headers(outgoing.metadata);
    let timeout = grpc_timeout(outgoing.deadline.remaining());
    if let Ok(timeout) = MetadataValue::try_from(timeout) {
        request.metadata_mut().insert("grpc-timeout", timeout);
    }
    if let Some(bounds) = outgoing.method.stream {
        return stream(client, request, outgoing.method.path.clone(), bounds)
            .await
            .map_err(|status| failed(&status, &progress));
    }
    match client.unary(request, outgoing.method.path.clone(), RawCodec).await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(failed(&status, &progress)),
    }
}

/// The messages of a stream up to its bounds, as `repeated` field 1 of one message.
async fn stream(
    mut client: Grpc<GrpcOnly>,
    request: tonic::Request<Bytes>,
    path: PathAndQuery,
    bounds: StreamBounds,
) -> Result<Bytes, Status> {
    let until = tokio::time::Instant::now() + bounds.time;
    let mut list = BytesMut::new();
    let open = client.server_streaming(request, path, RawCodec);
    let Ok(opened) = tokio::time::timeout_at(until, open).await else { return Ok(Bytes::new()) };
    let mut messages = opened?.into_inner();
    for _ in 0..bounds.items {
        let Ok(next) = tokio::time::timeout_at(until, messages.message()).await else { break };
        let Some(message) = next? else { break };
        if list.len() + message.len() > bounds.bytes {
            break;
        }
        list.put_u8(0x0a);
        prost::encoding::encode_varint(message.len() as u64, &mut list);
        list.extend_from_slice(&message);
    }
    Ok(list.freeze())
}

/// How far a call has come, for what may be done after a failure.
#[derive(Debug, Default)]
struct Progress {
    unsent: AtomicBool,
    answered: AtomicBool,
}

fn failed(status: &Status, progress: &Progress) -> Failed {
    let code = match status.code() as u32 {
        // A status of OK without a message is no answer.
        0 => Code::Internal,
        number => Code::from_number(number),
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
    Failed { failure, unsent: progress.unsent.load(Relaxed), answered: progress.answered.load(Relaxed), pushback }
}

/// What is left, less a margin for the way back, in the form of the gRPC specification: at most eight digits and a unit.
fn grpc_timeout(remaining: Duration) -> String {
    let margin = (remaining / 20).min(Duration::from_millis(10));
    let micros = (remaining - margin).as_micros().max(1);
    if micros < 100_000_000 { format!("{micros}u") } else { format!("{}m", (micros / 1000).min(99_999_999)) }
}

/// The status for an HTTP answer without a gRPC status
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
fn code_of_http(status: StatusCode) -> tonic::Code {
    match status.as_u16() {
        400 => tonic::Code::Internal,
        401 => tonic::Code::Unauthenticated,
        403 => tonic::Code::PermissionDenied,
        404 => tonic::Code::Unimplemented,
        429 | 502 | 503 | 504 => tonic::Code::Unavailable,
        _ => tonic::Code::Unknown,
    }
}

#[derive(Debug, Clone)]
struct GrpcOnly(Channel, Arc<Progress>);

impl Service<Request<Body>> for GrpcOnly {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = futures_util::future::BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        let progress = self.1.clone();
        Box::pin(async move {
            let response = answer.await.map_err(|error| explain(error, &progress))?;
            // An answer that consists of trailers only has not begun.
            let is_over = response.headers().contains_key("grpc-status");
            progress.answered.store(!is_over, Relaxed);
            let is_grpc = is_over
                || response
                    .headers()
                    .get(http::header::CONTENT_TYPE)
                    .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
            if response.status() == StatusCode::OK && is_grpc {
                return Ok(response);
            }
            let text = format!("the backend answered HTTP {} without a gRPC status", response.status().as_u16());
            let code = if response.status() == StatusCode::OK {
                tonic::Code::Unknown
            } else {
                code_of_http(response.status())
            };
            Err(Status::new(code, text).into())
        })
    }
}

/// The channel's own timer, set by `grpc-timeout`, may end a call just before ours does; and a connection that was not there has
/// carried nothing.
fn explain(error: tonic::transport::Error, progress: &Progress) -> BoxError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = source {
        if inner.is::<TimeoutExpired>() {
            return Status::deadline_exceeded("no answer in time").into();
        }
        if inner.is::<ConnectError>() {
            progress.unsent.store(true, Relaxed);
        }
        source = inner.source();
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_header_has_at_most_eight_digits_and_leaves_a_margin() {
        assert_eq!(grpc_timeout(Duration::from_millis(100)), "95000u");
        assert_eq!(grpc_timeout(Duration::from_secs(10)), "9990000u");
        assert_eq!(grpc_timeout(Duration::from_secs(1000)), "999990m");
        assert_eq!(grpc_timeout(Duration::from_nanos(1)), "1u");
        assert_eq!(grpc_timeout(Duration::from_hours(1_000_000)), "99999999m");
    }
}
