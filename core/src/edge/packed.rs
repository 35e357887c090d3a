//! Answers are packed for clients that ask for it: which, how, and that a HEAD is told what its GET would be.

use super::{held::Holding, packing::Packs};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use std::{convert::Infallible, fmt::Display, future::ready, io, sync::Arc};
use tokio::sync::Semaphore;
use tower::{Layer, Service, service_fn};
use tower_http::{CompressionLevel, compression::CompressionLayer};

/// Smaller bodies gain less than packing costs.
const WORTH_PACKING: usize = 1 << 10;

/// This answer is packed for clients that take it so.
#[derive(Debug, Clone, Copy)]
struct Packable;

/// Of this answer only the head is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadOnly;

/// Whether the answer is to be packed. Caches are told so whatever this client takes, and also where it has the answer already.
pub(super) fn mark(response: &mut Response<Bytes>, packs: Packs) {
    let (length, headers) = (response.body().len(), response.headers());
    let is_packed = headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::CONTENT_RANGE);
    let packs = match packs {
        Packs::Nothing => false,
        Packs::WhatIsWorthIt => length >= WORTH_PACKING && is_worth(headers),
        Packs::All => length > 0,
    };
    if packs && !is_packed {
        let named = |value: &HeaderValue| {
            value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("accept-encoding"))
        };
        if !response.headers().get_all(header::VARY).iter().any(named) {
            response.headers_mut().append(header::VARY, header::ACCEPT_ENCODING.into());
        }
        response.extensions_mut().insert(Packable);
    }
}

/// Text; images and archives are as small as they get.
fn is_worth(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_image = kind.starts_with("image/") && !kind.starts_with("image/svg+xml");
    !is_image && !kind.starts_with("application/zip")
}

/// The answer as it leaves: packed, where it is to be and the client takes it so (`takes`: its `accept-encoding`, made plain), and
/// without its body for a HEAD. `packers`: so many at the same time, because what packs takes up to a megabyte.
pub(super) async fn leaving(response: Response<Body>, takes: Vec<HeaderValue>, packers: &Semaphore) -> Response<Body> {
    let is_new = response.status() != StatusCode::NOT_MODIFIED;
    if !is_new || takes.is_empty() || response.extensions().get::<Packable>().is_none() {
        return bare(response);
    }
    bare(packed(response, takes, packers).await)
}

async fn packed(response: Response<Body>, takes: Vec<HeaderValue>, packers: &Semaphore) -> Response<Body> {
    let mut request = Request::new(());
    for takes in takes {
        request.headers_mut().append(header::ACCEPT_ENCODING, takes);
    }
    let mut response = Some(response);
    let made = service_fn(move |_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let always = |_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| true;
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(always);
    // On the heap: answers that are not packed do not have the room for what packs.
    let Ok(response) = Box::pin(compression.layer(made).call(request)).await;
    Box::pin(settled(weakened(response), packers)).await
}

async fn settled<B>(response: Response<B>, packers: &Semaphore) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Display> + Send + 'static,
{
    if !response.headers().contains_key(header::CONTENT_ENCODING) || response.body().is_end_stream() {
        return response.map(|body| Body::new(body.map_err(|error| io::Error::other(error.to_string()))));
    }
    // Nobody closes it.
    let _permit = packers.acquire().await;
    whole(response).await
}

/// A packed answer is packed at once: what packs it is not kept for clients who don't read.
async fn whole<B>(response: Response<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Display> + Send + 'static,
{
    let (parts, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    let mut packed = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            // Cut off, so that nobody takes the half for the whole.
            Err(error) => {
                let failed = Err::<Bytes, _>(io::Error::other(error.to_string()));
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
        holding.becomes(packed.len());
        packed = holding.count(packed);
    }
    Response::from_parts(parts, Body::from(packed))
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

/// A HEAD is answered as its GET is, to the last header; only then its body goes. So it tells what a GET would, by whatever that was made.
fn bare(mut response: Response<Body>) -> Response<Body> {
    if response.extensions_mut().remove::<HeadOnly>().is_none() {
        return response;
    }
    response.extensions_mut().remove::<Arc<Holding>>();
    let length = response.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}
