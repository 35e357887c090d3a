//! One connection.

use super::Ask;
use crate::tokens::Signer;
use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response, header, response::Parts};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// Whoever waits longer than this for an answer gets none. Longer than any endpoint takes, whatever happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is opened when it is needed, and again after a failure.
pub(super) struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, sender: None }
    }

    pub(super) async fn connect(&mut self) -> Result<(), String> {
        if self.sender.as_ref().is_some_and(|sender| !sender.is_closed()) {
            return Ok(());
        }
        let socket = TcpStream::connect(self.address).await.map_err(|error| format!("connect: {}", error.kind()))?;
        socket.set_nodelay(true).map_err(|error| format!("connect: {error}"))?;
        let shaken = http1::handshake(TokioIo::new(socket)).await;
        let (sender, connection) = shaken.map_err(|error| format!("connect: {error}"))?;
        // How it ends is seen by the request that was under way.
        tokio::spawn(async { drop(connection.await) });
        self.sender = Some(sender);
        Ok(())
    }

    /// Sends the request and compares its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
        subject: &str,
        ask: &Ask,
    ) -> Result<(), String> {
        self.connect().await?;
        let Some(sender) = &mut self.sender else { return Err("no connection".to_owned()) };
        let answered = async {
            sender.ready().await?;
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((head, body.collect().await?.to_bytes()))
        };
        let reason = match timeout(PATIENCE, answered).await {
            Ok(Ok((head, body))) if head.status.is_success() => {
                let is_right = ask.body.is(subject, &body);
                return if is_right { Ok(()) } else { Err("another body than expected".to_owned()) };
            }
            Ok(Ok((head, body))) => return Err(refusal(&head, &body)),
            Ok(Err(_)) => "the connection broke".to_owned(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        self.sender = None;
        Err(reason)
    }
}

/// An answer that is not a good one: its status, the last word of its problem's type, and whether it says when to come again.
fn refusal(head: &Parts, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        r#type: String,
    }
    let is_problem = head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    let problem: Option<Problem> = serde_json::from_slice(body).ok().filter(|_| is_problem);
    let kind = problem
        .map_or_else(String::new, |problem| format!(" {}", problem.r#type.rsplit(':').next().unwrap_or_default()));
    let again = if head.headers.contains_key(header::RETRY_AFTER) { ", retry-after" } else { "" };
    format!("status {}{kind}{again}", head.status.as_u16())
}

/// One request over a connection of its own.
pub(crate) async fn exchange(address: SocketAddr, request: Request<Empty<Bytes>>) -> anyhow::Result<Response<Bytes>> {
    let asked = async {
        let socket = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        // How it ends is seen by the request.
        let connection = tokio::spawn(async { drop(connection.await) });
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        anyhow::Ok(Response::from_parts(head, body))
    };
    timeout(PATIENCE, asked).await.with_context(|| format!("{address} doesn't answer"))?
}

/// A request as a gateway sends it on.
pub(super) fn request(ask: &Ask, subject: &str, signer: &Signer) -> Result<Request<Empty<Bytes>>, String> {
    let mut request =
        Request::get(&*ask.path).header(header::HOST, "localhost").header(header::ACCEPT, "application/json");
    if ask.signed {
        request = request.header(header::AUTHORIZATION, signer.bearer(subject).map_err(|error| error.to_string())?);
    }
    request.body(Empty::new()).map_err(|error| error.to_string())
}
