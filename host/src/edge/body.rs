//! Request bodies: collected, unpacked, and bounded before and after.

use crate::model::Fault;
use async_compression::{
    tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{TryStreamExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::io;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

/// zstd lets the sender choose how much memory the receiver sets aside: 2 to the power of this, 8 MiB (RFC 8878, section 3.1.1.1.2,
/// recommends that much at least; the library would take 128 MiB).
const ZSTD_WINDOW: u32 = 23;
/// What this host unpacks.
const CODINGS: HeaderValue = HeaderValue::from_static("gzip, br, zstd, deflate");

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Brotli,
    Zstd,
    Deflate,
}

impl Coding {
    /// One coding at most: several around one another are an amplifier and nothing else.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let value = values.next().map_or(Ok("identity"), HeaderValue::to_str);
        let coding = match (value.unwrap_or("?").trim().to_ascii_lowercase().as_str(), values.next()) {
            ("identity" | "", None) => Self::Identity,
            ("gzip" | "x-gzip", None) => Self::Gzip,
            ("br", None) => Self::Brotli,
            ("zstd", None) => Self::Zstd,
            ("deflate", None) => Self::Deflate,
            (other, _) => {
                let text = format!(
                    "a body with content-encoding `{other}` is not understood; expected one of gzip, br, zstd, deflate"
                );
                let fault = Fault::client(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown-encoding", text);
                return Err(fault.with("field", "header.content-encoding").header(header::ACCEPT_ENCODING, CODINGS));
            }
        };
        Ok(coding)
    }
}

pub(super) fn too_large(max_body: usize) -> Fault {
    let text = format!("the body is larger than the {max_body} bytes that this host takes");
    Fault::client(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", text).with("field", "body")
}

fn broken(cause: &dyn std::fmt::Display, text: &'static str) -> Fault {
    Fault::client(StatusCode::BAD_REQUEST, "bad-body", text).with("field", "body").because(cause)
}

/// The whole body, unpacked: neither what arrives nor what it unpacks to is larger than `max_body`.
pub(super) fn collect(body: Body, coding: Coding, max_body: usize) -> BoxFuture<'static, Result<Bytes, Fault>> {
    let body = Limited::new(body, max_body);
    if coding == Coding::Identity {
        return Box::pin(async move {
            match body.collect().await {
                Ok(collected) => Ok(collected.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(too_large(max_body)),
                Err(error) => Err(broken(&error, "the body did not arrive whole")),
            }
        });
    }
    let packed = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    Box::pin(async move { unpack(packed, coding, max_body).await })
}

async fn unpack(
    packed: impl AsyncBufRead + Send + Unpin + 'static,
    coding: Coding,
    max_body: usize,
) -> Result<Bytes, Fault> {
    let reader: Box<dyn AsyncRead + Send + Unpin> = match coding {
        Coding::Gzip => Box::new(GzipDecoder::new(packed)),
        Coding::Brotli => Box::new(BrotliDecoder::new(packed)),
        Coding::Zstd => Box::new(ZstdDecoder::with_params(packed, &[DParameter::window_log_max(ZSTD_WINDOW)])),
        Coding::Deflate => Box::new(ZlibDecoder::new(packed)),
        Coding::Identity => Box::new(packed),
    };
    let mut whole = Vec::new();
    match reader.take(max_body as u64 + 1).read_to_end(&mut whole).await {
        Ok(_) if whole.len() > max_body => Err(too_large(max_body)),
        Ok(_) => Ok(whole.into()),
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<LengthLimitError>()) => Err(too_large(max_body)),
        Err(error) => {
            Err(broken(&error, "the body did not arrive whole, or is not packed as its content-encoding says"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use async_compression::zstd::CParameter;
    use tokio::io::{AsyncWrite, AsyncWriteExt};

    async fn packed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer: Box<dyn AsyncWrite + Unpin + '_> = match coding {
            Coding::Gzip => Box::new(GzipEncoder::new(&mut out)),
            Coding::Brotli => Box::new(BrotliEncoder::new(&mut out)),
            Coding::Zstd => Box::new(ZstdEncoder::new(&mut out)),
            Coding::Deflate => Box::new(ZlibEncoder::new(&mut out)),
            Coding::Identity => Box::new(&mut out),
        };
        writer.write_all(bytes).await.unwrap();
        writer.shutdown().await.unwrap();
        drop(writer);
        out
    }

    #[tokio::test]
    async fn bodies_are_unpacked_up_to_the_bound() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd, Coding::Deflate] {
            let text = vec![b'a'; 1_000_000];
            let small = packed(coding, &text).await;
            let whole = collect(small.clone().into(), coding, text.len()).await.unwrap();
            assert!(whole == text, "{coding:?}");
            let bomb = collect(small.clone().into(), coding, text.len() - 1).await.unwrap_err();
            assert_eq!(bomb.status, StatusCode::PAYLOAD_TOO_LARGE, "{coding:?}");
            let half = small.get(..small.len() / 2).unwrap().to_vec();
            assert_eq!(collect(half.into(), coding, text.len()).await.unwrap_err().status, StatusCode::BAD_REQUEST);
            let bound = collect(small.into(), coding, 10).await.unwrap_err();
            assert_eq!(bound.status, StatusCode::PAYLOAD_TOO_LARGE, "what arrives is bounded too: {coding:?}");
        }
    }

    #[tokio::test]
    async fn a_zstd_frame_that_asks_for_much_memory_is_refused() {
        let mut out = Vec::new();
        let mut writer = ZstdEncoder::with_quality_and_params(
            &mut out,
            async_compression::Level::Fastest,
            &[CParameter::window_log(27)],
        );
        writer.write_all(&vec![b'a'; 1 << 20]).await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(collect(out.into(), Coding::Zstd, 2 << 20).await.unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn one_known_coding_at_most() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            values.iter().for_each(|value| {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            });
            Coding::of(&headers).map_err(|fault| fault.status.as_u16())
        };
        assert_eq!(of(&[]), Ok(Coding::Identity));
        assert_eq!(of(&["GZIP"]), Ok(Coding::Gzip));
        assert_eq!(of(&["gzip, gzip"]), Err(415));
        assert_eq!(of(&["gzip", "gzip"]), Err(415));
        assert_eq!(of(&["lzma"]), Err(415));
    }
}
