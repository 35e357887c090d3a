//! Bytes as they are, for requests that no HTTP library would send.

use crate::wait::soon;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
};

/// An HTTP/1.1 answer, taken apart as little as possible.
#[derive(Debug)]
pub struct RawReply {
    pub status: u16,
    /// Everything, as it came.
    pub text: String,
}

impl RawReply {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        pairs.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What stands behind the head.
    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
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

/// A connection from an address of this machine.
pub async fn connect_from(from: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(address).await.unwrap()
}

/// A connection of a client that has hardly any room for answers, and reads none by itself.
pub async fn narrow(address: SocketAddr) -> TcpStream {
    narrow_from([127, 0, 0, 1], address).await
}

/// As [`narrow`], from an address of this machine.
pub async fn narrow_from(from: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(address).await.unwrap()
}

/// Writes `start`, and then `more` again and again, byte by byte with a pause behind each, until the host closes the connection; with
/// all that it said.
pub async fn trickle(address: SocketAddr, start: &str, more: &str, pause: Duration) -> String {
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let writing = async {
        let mut pieces = std::iter::once(start.as_bytes()).chain(more.as_bytes().chunks(1).cycle());
        while let Some(piece) = pieces.next()
            && write.write_all(piece).await.is_ok()
        {
            tokio::time::sleep(pause).await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    tokio::select! {
        // A reset after the answer is as good as an end.
        _ = soon("the host to close the connection", read.read_to_end(&mut said)) => {}
        () = writing => {}
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Sends a request and goes away without waiting for an answer, once `meanwhile` is done.
pub async fn abandon(address: SocketAddr, bytes: &[u8], meanwhile: impl Future<Output = ()>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    meanwhile.await;
}

/// A connection that stays, for requests one after the other or all at once.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next answer, with as much of a body as it says.
    ///
    /// # Panics
    /// If the connection ends before that.
    pub async fn next(&mut self) -> RawReply {
        let head = self.next_head().await;
        let mut body = vec![0; head.header("content-length").map_or(0, |length| length.parse().unwrap())];
        soon("the body", self.0.read_exact(&mut body)).await.unwrap();
        RawReply { text: head.text + &String::from_utf8_lossy(&body), ..head }
    }

    /// The next answer's head, where no body follows.
    ///
    /// # Panics
    /// If the connection ends before that.
    pub async fn next_head(&mut self) -> RawReply {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            assert_ne!(soon("an answer", self.0.read_line(&mut text)).await.unwrap(), 0, "it ended after {text:?}");
        }
        RawReply { status: text.split(' ').nth(1).unwrap().parse().unwrap(), text }
    }

    /// Until the host closes the connection; what came until then.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        soon("the host to close the connection", self.0.read_to_end(&mut rest)).await.unwrap();
        rest
    }
}
