//! One connection.

use super::Ask;
use crate::tokens::Signer;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

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
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        };
        match answered.await {
            Ok((status, body)) if status.is_success() => {
                if ask.body.is(subject, &body) {
                    Ok(())
                } else {
                    Err("another body than expected".to_owned())
                }
            }
            Ok((status, _)) => Err(format!("status {}", status.as_u16())),
            Err(_) => {
                self.sender = None;
                Err("the connection broke".to_owned())
            }
        }
    }
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
