//! Request bodies: collected, unpacked, and bounded before and after; and while they arrive, in what they take and in how slow they are.

use super::{held::Holding, room};
use crate::model::{Fault, ProblemType};
use async_compression::{
    tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{TryStreamExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

/// zstd lets the sender choose how much memory the receiver sets aside: 2 to the power of this, 8 MiB (RFC 8878, section 3.1.1.1.2,
/// recommends that much at least; the library would take 128 MiB).
const ZSTD_WINDOW: u32 = 23;
/// What unpacking takes beside a window, of which no more is used than what it has made.
const DECODER: usize = 64 << 10;
/// How often it is looked at how much of a body has arrived.
const WINDOW: Duration = Duration::from_secs(5);
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
                let fault = Fault::new(ProblemType::UnknownEncoding, text);
                return Err(fault.with("field", "header.content-encoding").header(header::ACCEPT_ENCODING, CODINGS));
            }
        };
        Ok(coding)
    }
}

pub(super) fn too_large(max_body: usize) -> Fault {
    let text = format!("the body is larger than the {max_body} bytes that this host takes");
    Fault::new(ProblemType::BodyTooLarge, text).with("field", "body")
}

fn broken(cause: &dyn std::fmt::Display, text: &'static str) -> Fault {
    Fault::new(ProblemType::BadBody, text).with("field", "body").because(cause)
}

/// What bodies have to keep to.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    pub(super) max_body: usize,
    /// The least that has to arrive in a second.
    pub(super) rate: usize,
}

/// A request as it counts until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) holding: Arc<Holding>,
    /// Bytes of its head.
    pub(super) head: usize,
}

impl Place {
    /// There are so many bytes of its body, or for its sake, by now.
    fn has(&self, bytes: usize) -> Result<(), Fault> {
        self.holding.is(self.head + bytes).map_err(room::of_requests)
    }
}

/// The whole body, unpacked: neither what arrives nor what it unpacks to is larger than `max_body`. Nothing is read before the future
/// is polled.
pub(super) fn collect(
    body: Body,
    coding: Coding,
    intake: Intake,
    place: Place,
) -> BoxFuture<'static, Result<Bytes, Fault>> {
    Box::pin(async move {
        if coding == Coding::Identity && body.is_end_stream() {
            return Ok(Bytes::new());
        }
        place.holding.awaits();
        let came = AtomicU64::new(0);
        let body = body.map_frame(|frame| {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            came.fetch_add(bytes as u64, Relaxed);
            if bytes > 0 {
                place.holding.moved();
            }
            frame
        });
        let body = Limited::new(body, intake.max_body);
        let whole = async {
            match coding {
                Coding::Identity => gather(body, intake.max_body, &place).await,
                _ => {
                    let packed = StreamReader::new(Box::pin(body.into_data_stream()).map_err(io::Error::other));
                    unpack(packed, coding, intake.max_body, &place).await
                }
            }
        };
        tokio::select! {
            biased;
            whole = whole => {
                let whole = whole?;
                place.has(whole.len())?;
                place.holding.works();
                Ok(whole)
            }
            () = too_slow(&came, intake.rate) => {
                let text = format!("the body arrives more slowly than the {} bytes a second that it has to", intake.rate);
                Err(Fault::new(ProblemType::BodyTooSlow, text).with("field", "body"))
            }
        }
    })
}

/// Ends once the body has arrived too slowly for a while.
async fn too_slow(came: &AtomicU64, rate: usize) {
    let least = (rate as u64).saturating_mul(WINDOW.as_secs());
    loop {
        tokio::time::sleep(WINDOW).await;
        if came.swap(0, Relaxed) < least {
            return;
        }
    }
}

/// In one piece. What comes in a single frame is not copied; of many small ones each would keep what it was read into.
async fn gather<B>(body: Limited<B>, max_body: usize, place: &Place) -> Result<Bytes, Fault>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let mut body = std::pin::pin!(body);
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large(max_body)
            } else {
                broken(&error, "the body did not arrive whole")
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        place.has(first.len() + more.len() + data.len())?;
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&std::mem::take(&mut first));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

async fn unpack(
    packed: impl AsyncBufRead + Send + Unpin,
    coding: Coding,
    max_body: usize,
    place: &Place,
) -> Result<Bytes, Fault> {
    let reader: Box<dyn AsyncRead + Send + Unpin + '_> = match coding {
        Coding::Gzip => Box::new(GzipDecoder::new(packed)),
        Coding::Brotli => Box::new(BrotliDecoder::new(packed)),
        Coding::Zstd => Box::new(ZstdDecoder::with_params(packed, &[DParameter::window_log_max(ZSTD_WINDOW)])),
        Coding::Deflate => Box::new(ZlibDecoder::new(packed)),
        Coding::Identity => Box::new(packed),
    };
    let mut whole = Vec::new();
    let mut reader = reader.take(max_body as u64 + 1);
    loop {
        match reader.read_buf(&mut whole).await {
            Ok(0) if whole.len() > max_body => return Err(too_large(max_body)),
            Ok(0) => return Ok(whole.into()),
            Ok(_) => place.has(DECODER + 2 * whole.len())?,
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<LengthLimitError>()) => {
                return Err(too_large(max_body));
            }
            Err(error) => {
                let text = "the body did not arrive whole, or is not packed as its content-encoding says";
                return Err(broken(&error, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edge::{
            config::Shares,
            held::{Held, Owner},
        },
        telemetry::Metrics,
    };
    use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use async_compression::zstd::CParameter;
    use futures_util::{FutureExt, StreamExt};
    use tokio::io::{AsyncWrite, AsyncWriteExt};

    fn held(per_connection: usize) -> Arc<Held> {
        Held::new("bodies", Shares { all: 64 << 20, per_ip: 64 << 20, per_connection }, &Metrics::default())
    }

    fn place(held: &Arc<Held>, connection: u64) -> Place {
        let owner = Owner { caller: None, connection: Some(connection) };
        Place { holding: Arc::new(held.work(owner, 100, Arc::default()).unwrap()), head: 100 }
    }

    /// These pieces, and then nothing, and no end.
    fn unfinished(pieces: Vec<&'static str>) -> Body {
        let pieces = futures_util::stream::iter(pieces).map(|piece| Ok::<_, io::Error>(Bytes::from(piece)));
        Body::from_stream(pieces.chain(futures_util::stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_arrives_too_slowly_is_a_408() {
        let started = tokio::time::Instant::now();
        let slow = collected(unfinished(vec!["some"]), Coding::Identity, 1_000).await.unwrap_err();
        assert_eq!(slow.problem.kind, ProblemType::BodyTooSlow);
        assert_eq!(started.elapsed().as_secs(), 5);
        let packed = collected(unfinished(vec![""]), Coding::Gzip, 1_000).await.unwrap_err();
        assert_eq!(packed.problem.kind, ProblemType::BodyTooSlow);
        let drip = futures_util::stream::unfold(0, async |count| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (count < 20).then(|| (Ok::<_, io::Error>(Bytes::from(vec![b'x'; 1_100])), count + 1))
        });
        let steady = collected(Body::from_stream(Box::pin(drip)), Coding::Identity, 100_000).await.unwrap();
        assert_eq!(steady.len(), 22_000, "it takes its time, and is fast enough");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_counts_with_its_request_and_what_stands_still_is_the_clients_affair_alone() {
        let held = held(100_000);
        let intake = Intake { max_body: 1 << 20, rate: 0 };
        let open = |place: &Place| collect(unfinished(vec!["some"]), Coding::Identity, intake.clone(), place.clone());
        let (first, second) = (place(&held, 1), place(&held, 1));
        let (mut reads, never_polled) = (open(&first), open(&second));
        assert!(reads.as_mut().now_or_never().is_none());
        tokio::time::advance(Duration::from_secs(2)).await;
        // Of these two the first alone waits for its client, and gives way.
        let large = Body::from(vec![b'x'; 80_000]);
        let whole = collect(large, Coding::Identity, intake.clone(), place(&held, 1)).await.unwrap();
        assert_eq!(whole.len(), 80_000);
        let more = collect(Body::from(vec![b'x'; 90_000]), Coding::Identity, intake.clone(), place(&held, 1));
        let refused = more.await.unwrap_err();
        assert_eq!(refused.problem.kind, ProblemType::TooMuchUnderWay);
        let other = collect("whole".into(), Coding::Identity, intake.clone(), place(&held, 2));
        assert_eq!(other.await.unwrap(), "whole", "another connection has its own share");
        drop(never_polled);
    }

    async fn collected(body: Body, coding: Coding, max_body: usize) -> Result<Bytes, Fault> {
        let intake = Intake { max_body, rate: 1_000 };
        collect(body, coding, intake, place(&held(64 << 20), 1)).await
    }

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
            let whole = collected(small.clone().into(), coding, text.len()).await.unwrap();
            assert!(whole == text, "{coding:?}");
            let bomb = collected(small.clone().into(), coding, text.len() - 1).await.unwrap_err();
            assert_eq!(bomb.problem.kind, ProblemType::BodyTooLarge, "{coding:?}");
            let half = small.get(..small.len() / 2).unwrap().to_vec();
            assert_eq!(
                collected(half.into(), coding, text.len()).await.unwrap_err().problem.kind,
                ProblemType::BadBody
            );
            let bound = collected(small.into(), coding, 10).await.unwrap_err();
            assert_eq!(bound.problem.kind, ProblemType::BodyTooLarge, "what arrives is bounded too: {coding:?}");
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
        assert_eq!(collected(out.into(), Coding::Zstd, 2 << 20).await.unwrap_err().problem.kind, ProblemType::BadBody);
    }

    #[test]
    fn one_known_coding_at_most() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            values.iter().for_each(|value| {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            });
            Coding::of(&headers).map_err(|fault| fault.problem.status.as_u16())
        };
        assert_eq!(of(&[]), Ok(Coding::Identity));
        assert_eq!(of(&["GZIP"]), Ok(Coding::Gzip));
        assert_eq!(of(&["gzip, gzip"]), Err(415));
        assert_eq!(of(&["gzip", "gzip"]), Err(415));
        assert_eq!(of(&["lzma"]), Err(415));
    }
}
