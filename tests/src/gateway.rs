//! A gateway in front of a host: a crowd of callers on two HTTP/2 connections, each under its own address, one of them perhaps hostile.

use crate::{wait::soon, web::Reply};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, header::HeaderName};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, net::SocketAddr};
use tokio::{net::TcpStream, sync::mpsc};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The gateway; its own address has to be in the host's `trusted-peers`.
#[derive(Debug, Clone)]
pub struct Gateway {
    connections: [SendRequest<Body>; 2],
}

/// A request through it, in the making.
#[must_use = "a request does nothing until it is sent"]
#[derive(Debug)]
pub struct Through {
    connection: SendRequest<Body>,
    request: http::request::Builder,
}

/// A body that comes in pieces; it ends when this is dropped.
#[derive(Debug)]
pub struct Upload(mpsc::UnboundedSender<Bytes>);

impl Gateway {
    pub async fn open(address: SocketAddr) -> Self {
        Self::with_window(address, 64 << 10).await
    }

    /// Of an answer that is not read, so many bytes come.
    pub async fn with_window(address: SocketAddr, window: u32) -> Self {
        Self { connections: [connect(address, window).await, connect(address, window).await] }
    }

    /// As the caller of this number, each at an address of its own.
    pub fn caller(&self, number: u16, method: &str, path: &str) -> Through {
        let [high, low] = number.to_be_bytes();
        self.at(&format!("198.51.{high}.{low}"), usize::from(number), method, path)
    }

    /// As a caller at this address, on one of the connections.
    pub fn at(&self, address: &str, connection: usize, method: &str, path: &str) -> Through {
        self.unnamed(connection, method, path).header("x-forwarded-for", address)
    }

    /// Without a word of who it is for.
    pub fn unnamed(&self, connection: usize, method: &str, path: &str) -> Through {
        let request = Request::builder().method(method).uri(format!("http://test{path}"));
        Through { connection: self.connections[connection % 2].clone(), request }
    }
}

async fn connect(address: SocketAddr, window: u32) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).initial_connection_window_size(16 << 20);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

impl Through {
    pub fn header(self, name: &str, value: &str) -> Self {
        let (name, value) = (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        Self { request: self.request.header(name, value), ..self }
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The whole answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn send(self) -> Reply {
        let response = self.answer(whole(Bytes::new())).await.unwrap();
        let (head, body) = response.into_parts();
        let body = soon("the answer's body", body.collect()).await.unwrap().to_bytes();
        Reply { status: head.status.as_u16(), version: head.version, headers: head.headers, body }
    }

    /// The answer's head, and a body that nobody reads until somebody does.
    pub async fn unread(self) -> Result<Response<Incoming>, hyper::Error> {
        self.answer(whole(Bytes::new())).await
    }

    /// A request whose body goes on until the upload is dropped; its answer is the future's.
    pub fn begin(self) -> (Upload, impl Future<Output = Result<Response<Incoming>, hyper::Error>> + Send) {
        let (sender, pieces) = mpsc::unbounded_channel();
        let frames = stream::unfold(pieces, |mut pieces: mpsc::UnboundedReceiver<Bytes>| async {
            let piece = pieces.recv().await?;
            Some((Ok(Frame::data(piece)), pieces))
        });
        (Upload(sender), self.answer(StreamBody::new(frames).boxed_unsync()))
    }

    async fn answer(mut self, body: Body) -> Result<Response<Incoming>, hyper::Error> {
        soon("the connection to take a request", self.connection.ready()).await?;
        soon("an answer", self.connection.send_request(self.request.body(body).unwrap())).await
    }
}

impl Upload {
    pub fn send(&self, piece: impl Into<Bytes>) {
        // An upload that the host has ended is one that needs no more.
        let _ = self.0.send(piece.into());
    }
}

fn whole(bytes: Bytes) -> Body {
    http_body_util::Full::new(bytes).boxed_unsync()
}
