//! What stands between a command and the host that records: an HTTP proxy, as `http_proxy` and `https_proxy` name one to curl and others.
//! Whichever host the command asks, it is answered by the one here.

use super::{
    super::tell,
    authority::Authority,
    reading::{Reading, SILENT},
};
use crate::net::HttpClient;
use anyhow::{Context, anyhow, bail};
use http::{HeaderMap, HeaderName, Method, Uri, header};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// Bytes of an answer.
const MOST_ANSWER: usize = 64 << 20;
/// Headers that are between two neighbours only.
const HOPS: [HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::UPGRADE, header::PROXY_AUTHORIZATION];

/// A request, and what it was answered.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) status: u16,
    pub(super) answer_headers: HeaderMap,
    pub(super) answer: Vec<u8>,
}

/// Serves one connection after the other, and tells of each exchange. Never ends.
pub(super) async fn serve(
    listener: TcpListener,
    host: SocketAddr,
    authority: Arc<Authority>,
    told: mpsc::Sender<Exchange>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        if let Err(error) = connection(stream, host, &authority, &told).await {
            tell(&format!("weft record: {error:#}"));
        }
    }
}

/// One request, inside of a tunnel where the command asks for one.
async fn connection(
    stream: TcpStream,
    host: SocketAddr,
    authority: &Authority,
    told: &mpsc::Sender<Exchange>,
) -> anyhow::Result<()> {
    let mut reading = Reading::new(stream);
    let (method, uri, headers) = reading.head().await?;
    if method != Method::CONNECT {
        return answer(reading, (method, uri, headers), host, told).await;
    }
    let mut stream = reading.stream;
    let asked = uri.host().ok_or_else(|| anyhow!("`{uri}` is no host"))?;
    let asked = asked.trim_matches(['[', ']']);
    let tls = authority.answer_as(asked)?;
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    let shaken = timeout(SILENT, tls.accept(stream)).await?;
    let stream = shaken.with_context(|| {
        format!(
            "the command does not take {asked} for what it is told to be; curl, Node and Python take it where nothing like --cacert is said; \
             others can ask for http://"
        )
    })?;
    let mut reading = Reading::new(stream);
    let head = reading.head().await?;
    answer(reading, head, host, told).await
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut reading: Reading<S>,
    head: (Method, Uri, HeaderMap),
    host: SocketAddr,
    told: &mpsc::Sender<Exchange>,
) -> anyhow::Result<()> {
    let answered = exchange(&mut reading, head, host).await;
    let mut stream = reading.stream;
    match answered {
        Ok((exchange, answer)) => {
            // Before the command has its answer, and may end. Who no longer listens has heard enough.
            let _ = told.send(exchange).await;
            // A command that has gone away is recorded all the same.
            let _ = stream.write_all(&answer).await;
        }
        Err(error) => {
            let text = format!("weft record: {error:#}\n");
            let head =
                format!("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
            // There may be nobody left to tell.
            let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
        }
    }
    let _ = stream.shutdown().await;
    Ok(())
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    reading: &mut Reading<S>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    host: SocketAddr,
) -> anyhow::Result<(Exchange, Vec<u8>)> {
    if method == Method::CONNECT {
        bail!("a tunnel inside of a tunnel can't be recorded");
    }
    let body = reading.body(&headers).await?;
    let mut sent = headers.clone();
    for name in HOPS.iter().chain([&header::CONTENT_LENGTH, &header::EXPECT, &header::ACCEPT_ENCODING]) {
        sent.remove(name);
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let client = HttpClient::plain(SILENT).map_err(anyhow::Error::msg)?;
    let payload = (!body.is_empty()).then(|| body.clone().into());
    let answer = client.send(method.clone(), format!("http://{host}{target}"), sent, payload, MOST_ANSWER).await?;
    let written = written(answer.status.as_u16(), &answer.headers, &answer.body);
    let (status, answer_headers, answer) = (answer.status.as_u16(), answer.headers, answer.body.into());
    Ok((Exchange { method, uri, headers, body, status, answer_headers, answer }, written))
}

fn written(status: u16, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} \r\nconnection: close\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers.iter().filter(|(name, _)| !HOPS.contains(name) && *name != header::CONTENT_LENGTH) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}
