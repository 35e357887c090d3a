//! What a backend answers by HTTP, made sound before tonic reads it.
//!
//! tonic takes its words for granted: it panics at details that are no base64, forgets the code where the message is no UTF-8, and
//! reads any HTTP answer as frames. So heads and trailers pass [`mend`] first, and an answer that is not gRPC becomes the status
//! that the gRPC specification names for it. Whatever a backend sends, a call ends with one code.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, combinators::MapFrame};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tonic::Status;
use tower::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What gRPC percent-encodes in a message
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses>).
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// How far a call has come, for what may be done after a failure.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// There was a connection to send it on. Kept for streams only.
    pub(super) sent: AtomicBool,
    /// The backend has begun to answer.
    pub(super) answered: AtomicBool,
}

/// Makes answers sound.
#[derive(Debug, Clone)]
pub(super) struct Sound<S> {
    pub(super) inner: S,
    /// `grpc-accept-encoding`; none is sent without it.
    pub(super) codings: Option<HeaderValue>,
    pub(super) progress: Arc<Progress>,
}

/// A body whose trailers are mended.
type Mended<B> = MapFrame<B, fn(Frame<Bytes>) -> Frame<Bytes>>;

impl<S, B> Service<Request<tonic::body::Body>> for Sound<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Mended<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        // tonic offers all that it was told to understand.
        match &self.codings {
            Some(codings) => drop(request.headers_mut().insert(ACCEPT_ENCODING, codings.clone())),
            None => drop(request.headers_mut().remove(ACCEPT_ENCODING)),
        }
        let answer = self.inner.call(request);
        let progress = self.progress.clone();
        Box::pin(async move {
            let mut response = answer.await.map_err(Into::into)?;
            mend(response.headers_mut());
            // An answer that consists of trailers only has not begun.
            let is_over = response.headers().contains_key(STATUS);
            progress.answered.store(!is_over, Relaxed);
            let kind = response.headers().get(CONTENT_TYPE);
            let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
            // A gRPC status counts, whatever HTTP says; so may one that comes behind messages.
            if is_over || is_grpc {
                return Ok(response.map(|body| body.map_frame(mended as fn(_) -> _)));
            }
            let text = format!("the backend answered HTTP {} without a gRPC status", response.status().as_u16());
            Err(Status::new(code_of_http(response.status()), text).into())
        })
    }
}

fn mended(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            mend(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Makes what tonic reads of heads and trailers readable: details in any form of base64 stay, others go; a message that is no UTF-8
/// keeps what can be read of it.
fn mend(headers: &mut HeaderMap) {
    if let Some(value) = headers.get(&DETAILS) {
        let decoded = details(value.as_bytes()).map(|bytes| HeaderValue::try_from(BASE64.encode(bytes)));
        match decoded {
            Some(Ok(value)) => drop(headers.insert(DETAILS, value)),
            _ => drop(headers.remove(DETAILS)),
        }
    }
    if let Some(value) = headers.get(&MESSAGE) {
        let bytes: Vec<u8> = percent_decode(value.as_bytes()).collect();
        if let Err(error) = String::from_utf8(bytes) {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let encoded = utf8_percent_encode(&text, ENCODED).to_string();
            match HeaderValue::try_from(encoded) {
                Ok(value) => drop(headers.insert(MESSAGE, value)),
                Err(_) => drop(headers.remove(MESSAGE)),
            }
        }
    }
}

/// Binary metadata: base64 with or without padding, of either alphabet; of several values, joined by commas, the first.
fn details(value: &[u8]) -> Option<Vec<u8>> {
    let first = value.split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
    BASE64.decode(first).or_else(|_| BASE64_URL.decode(first)).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(name: HeaderName, value: &[u8]) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), HeaderValue::from_bytes(value).unwrap());
        mend(&mut headers);
        headers.get(name).map(|value| value.as_bytes().to_vec())
    }

    #[test]
    fn details_in_any_form_of_base64_are_read_and_others_dropped() {
        for form in [&b"+/8="[..], b"+/8", b"-_8=", b"-_8", b"+/8=,AAAA", b" +/8= , x"] {
            assert_eq!(after(DETAILS, form).as_deref(), Some(&b"+/8"[..]), "{form:?}");
        }
        for form in [&b"%%%"[..], b"a", b",+/8=", b"+/ 8"] {
            let left = after(DETAILS, form);
            assert!(left.is_none() || left.as_deref() == Some(b""), "{form:?}: {left:?}");
        }
    }

    #[test]
    fn a_message_that_is_no_utf8_keeps_what_can_be_read_of_it() {
        assert_eq!(after(MESSAGE, b"gone %E2%82%AC").unwrap(), b"gone %E2%82%AC");
        assert_eq!(after(MESSAGE, b"caf\xe9 100%").unwrap(), "caf%EF%BF%BD 100%25".as_bytes());
        assert_eq!(after(MESSAGE, b"caf%E9").unwrap(), "caf%EF%BF%BD".as_bytes());
    }

    proptest! {
        /// tonic panics at heads that it can't read.
        #[test]
        fn whatever_stands_in_a_head_tonic_can_read_it(
            details in prop::collection::vec(prop_oneof![32_u8..127, 128_u8..=255], 0..40),
            message in prop::collection::vec(prop_oneof![32_u8..127, 128_u8..=255], 0..40),
            code in 0_u8..20,
        ) {
            let mut headers = HeaderMap::new();
            headers.insert(STATUS, HeaderValue::from(u16::from(code)));
            headers.insert(DETAILS, HeaderValue::from_bytes(&details).unwrap());
            headers.insert(MESSAGE, HeaderValue::from_bytes(&message).unwrap());
            mend(&mut headers);
            let status = Status::from_header_map(&headers).unwrap();
            prop_assert_eq!(status.code(), tonic::Code::from(i32::from(code)));
        }
    }
}
