//! Bytes as they are, for requests that no HTTP library would send.

use crate::wait::soon;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An HTTP/1.1 answer, taken apart as little as possible.
#[derive(Debug)]
pub struct RawReply {
    pub status: u16,
    /// Everything, as it came.
    pub text: String,
}

/// Sends `bytes` on a connection of its own and reads until the host closes it. Requests have to say `connection: close`, unless
/// the host closes anyway.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> RawReply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut text = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = soon("the host to close the connection", stream.read_to_end(&mut text)).await;
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    RawReply { status, text }
}

/// Sends a request and goes away without waiting for an answer, once `meanwhile` is done.
pub async fn abandon(address: SocketAddr, bytes: &[u8], meanwhile: impl Future<Output = ()>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    meanwhile.await;
}
