//! What stands between a command and the host that records: an HTTP proxy for `http://`, as `http_proxy` names one to curl and others.
//! Whichever host the command asks, it is answered by the one here.

use crate::net::HttpClient;
use anyhow::{Context, anyhow, bail};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Bytes of a request's head, of its body, and of an answer.
const MOST_HEAD: usize = 64 << 10;
const MOST_BODY: usize = 16 << 20;
const MOST_ANSWER: usize = 64 << 20;
/// A command that is silent for so long has gone away.
const SILENT: Duration = Duration::from_secs(30);
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
pub(super) async fn serve(listener: TcpListener, host: SocketAddr, told: mpsc::Sender<Exchange>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        match exchange(&mut stream, host).await {
            Ok((exchange, answer)) => {
                // Before the command has its answer, and may end. Who no longer listens has heard enough.
                let _ = told.send(exchange).await;
                // A command that has gone away is recorded all the same.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
            Err(error) => {
                let text = format!("weft record: {error:#}\n");
                let head =
                    format!("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
                // There may be nobody left to tell.
                let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
            }
        }
    }
}

async fn exchange(stream: &mut TcpStream, host: SocketAddr) -> anyhow::Result<(Exchange, Vec<u8>)> {
    let (head, mut body) = tokio::time::timeout(SILENT, head(stream)).await??;
    let (method, uri, headers) = parsed(&head)?;
    if method == Method::CONNECT {
        bail!("an https:// URL can't be recorded: ask for http://");
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        bail!("a body without a length can't be recorded");
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    if length > MOST_BODY {
        bail!("a body of {length} bytes is larger than is recorded");
    }
    if headers.get(header::EXPECT).is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while body.len() < length {
        let mut more = vec![0; (length - body.len()).min(64 << 10)];
        let read = tokio::time::timeout(SILENT, stream.read(&mut more)).await??;
        if read == 0 {
            bail!("the body ended too soon");
        }
        body.extend_from_slice(more.get(..read).unwrap_or_default());
    }
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

/// The head, and what came of the body with it.
async fn head(stream: &mut TcpStream) -> anyhow::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            return Ok((String::from_utf8(read).context("the request's head is no text")?, body));
        }
        let mut more = [0; 4096];
        let count = stream.read(&mut more).await?;
        if count == 0 || read.len() > MOST_HEAD {
            bail!("no request came");
        }
        read.extend_from_slice(more.get(..count).unwrap_or_default());
    }
}

fn parsed(head: &str) -> anyhow::Result<(Method, Uri, HeaderMap)> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(uri)) = (first.next(), first.next()) else { bail!("this is no HTTP/1.1") };
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| anyhow!("`{line}` is no header"))?;
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value.trim())?);
    }
    Ok((method.parse()?, uri.parse()?, headers))
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
