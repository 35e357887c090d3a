//! Bodies, packed and unpacked by the codings of HTTP.

use async_compression::{
    Level,
    tokio::{
        bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder},
        write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder},
    },
    zstd::CParameter,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// As `content-encoding` names them.
pub const CODINGS: [&str; 4] = ["gzip", "br", "zstd", "deflate"];

/// # Panics
/// If the coding is none of [`CODINGS`].
pub async fn pack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let fast = Level::Fastest;
    let mut writer: Box<dyn AsyncWrite + Unpin + Send + '_> = match coding {
        "gzip" => Box::new(GzipEncoder::with_quality(&mut out, fast)),
        "br" => Box::new(BrotliEncoder::with_quality(&mut out, fast)),
        "zstd" => Box::new(ZstdEncoder::with_quality(&mut out, fast)),
        "deflate" => Box::new(ZlibEncoder::with_quality(&mut out, fast)),
        other => panic!("{other}"),
    };
    writer.write_all(bytes).await.unwrap();
    writer.shutdown().await.unwrap();
    drop(writer);
    out
}

/// Packed by zstd, in a frame that asks whoever unpacks it for a window of 2 to this power.
pub async fn pack_with_window(power: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ZstdEncoder::with_quality_and_params(&mut out, Level::Fastest, &[CParameter::window_log(power)]);
    writer.write_all(bytes).await.unwrap();
    writer.shutdown().await.unwrap();
    out
}

/// # Panics
/// If the bytes are not packed so.
pub async fn unpack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn AsyncRead + Unpin + Send + '_> = match coding {
        "gzip" => Box::new(GzipDecoder::new(bytes)),
        "br" => Box::new(BrotliDecoder::new(bytes)),
        "zstd" => Box::new(ZstdDecoder::new(bytes)),
        other => panic!("{other}"),
    };
    let mut out = Vec::new();
    reader.read_to_end(&mut out).await.unwrap();
    out
}
