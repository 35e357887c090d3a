//! Outbound HTTP.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use std::{path::Path, time::Duration};

/// A peer that sends nothing for so long is pinged, and is gone after so long without an answer.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(15);

/// A client for one peer: no redirects, no proxy, nothing of the environment.
#[derive(Debug, Clone)]
pub struct HttpClient(reqwest::Client);

/// TLS of one peer, by PEM files.
#[derive(Debug, Clone, Copy)]
pub struct Tls<'a> {
    pub ca: &'a Path,
    /// Our own certificate and key.
    pub identity: Option<(&'a Path, &'a Path)>,
}

/// What such files hold.
#[derive(Debug, Clone)]
pub struct Trust {
    /// None: those of the system.
    authorities: Option<Vec<reqwest::Certificate>>,
    identity: Option<reqwest::Identity>,
}

/// A response whose body comes bit by bit.
#[derive(Debug)]
pub struct Streamed(reqwest::Response);

/// A whole response.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("no connection: {0}")]
    Connect(String),
    #[error("the response is larger than the {0} bytes that are read")]
    TooLarge(usize),
    #[error("{0}")]
    Other(String),
}

impl Tls<'_> {
    /// Fails where the files can't be read or don't fit.
    pub fn read(self) -> Result<Trust, String> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let authorities =
            authorities(&read(self.ca)?).map(Some).map_err(|error| format!("{}: {error}", self.ca.display()))?;
        let identity = |(certificate, key): (&Path, &Path)| {
            let pem = [read(certificate)?, read(key)?].concat();
            reqwest::Identity::from_pem(&pem).map_err(|error| format!("{}: {error}", certificate.display()))
        };
        Ok(Trust { authorities, identity: self.identity.map(identity).transpose()? })
    }
}

impl Trust {
    /// Of PEM: certificates to trust, where not those of the system, and our own certificate with its key.
    pub fn of_pem(ca: Option<&[u8]>, identity: Option<&[u8]>) -> Result<Self, String> {
        let authorities = ca.map(authorities).transpose()?;
        let identity = identity.map(reqwest::Identity::from_pem).transpose().map_err(|error| error.to_string())?;
        Ok(Self { authorities, identity })
    }
}

fn authorities(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, String> {
    let list = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
    if list.is_empty() { Err("no certificate in it (PEM)".to_owned()) } else { Ok(list) }
}

impl HttpClient {
    /// Fails where PEM files can't be read or don't fit.
    pub fn new(connect_timeout: Duration, tls: Option<Tls<'_>>) -> Result<Self, String> {
        Self::trusting(connect_timeout, tls.map(Tls::read).transpose()?.as_ref())
    }

    /// For a peer that is spoken to without TLS: it needs no roots of the system, which are not in every image.
    pub fn plain(connect_timeout: Duration) -> Result<Self, String> {
        Self::trusting(connect_timeout, Some(&Trust { authorities: Some(Vec::new()), identity: None }))
    }

    /// By what was read from PEM files before.
    pub fn trusting(connect_timeout: Duration, trust: Option<&Trust>) -> Result<Self, String> {
        Self::build(Self::builder(connect_timeout, trust))
    }

    /// As [`HttpClient::trusting`], over nothing but HTTP/2, also where the URL says `http`: as gRPC is spoken.
    pub fn over_http2(connect_timeout: Duration, trust: Option<&Trust>) -> Result<Self, String> {
        Self::build(Self::builder(connect_timeout, trust).http2_prior_knowledge())
    }

    /// As [`HttpClient::trusting`], for responses that go on for minutes: over HTTP/2 a peer that has vanished meanwhile, or hangs, is
    /// noticed by pings.
    pub fn watching(connect_timeout: Duration, trust: Option<&Trust>) -> Result<Self, String> {
        let builder = Self::builder(connect_timeout, trust);
        Self::build(builder.http2_keep_alive_interval(PING).http2_keep_alive_timeout(PONG))
    }

    /// One GET, answered by the head of a response.
    pub async fn open(&self, url: &str, headers: HeaderMap) -> Result<Streamed, HttpError> {
        self.0.get(url).headers(headers).send().await.map(Streamed).map_err(explain)
    }

    fn build(builder: reqwest::ClientBuilder) -> Result<Self, String> {
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    fn builder(connect_timeout: Duration, trust: Option<&Trust>) -> reqwest::ClientBuilder {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")));
        if let Some(Trust { authorities, identity }) = trust {
            if let Some(authorities) = authorities {
                builder = builder.tls_certs_only(authorities.clone());
            }
            if let Some(identity) = identity {
                builder = builder.identity(identity.clone());
            }
        }
        builder
    }

    /// One POST, with what comes after the response's body. Reads no more than `max` bytes of it.
    pub async fn post_for_trailers(
        &self,
        url: String,
        headers: HeaderMap,
        body: Bytes,
        max: usize,
    ) -> Result<(Response, HeaderMap), HttpError> {
        let response = self.0.post(url).headers(headers).body(body).send().await.map_err(explain)?;
        let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let (mut read, mut trailers) = (BytesMut::new(), HeaderMap::new());
        let mut body = std::pin::pin!(body);
        while let Some(frame) = body.frame().await {
            match frame.map_err(explain)?.into_data() {
                Ok(data) if read.len() + data.len() > max => return Err(HttpError::TooLarge(max)),
                Ok(data) => read.extend_from_slice(&data),
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        Ok((Response { status: head.status, headers: head.headers, body: read.freeze() }, trailers))
    }

    /// One request. Reads no more than `max` bytes of the response.
    pub async fn send(
        &self,
        method: Method,
        url: String,
        headers: HeaderMap,
        body: Option<Bytes>,
        max: usize,
    ) -> Result<Response, HttpError> {
        let mut request = self.0.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        Streamed(request.send().await.map_err(explain)?).whole(max).await
    }
}

impl Streamed {
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// What comes next of the body; `None` is its end. Nothing is lost where this is dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.0.chunk().await.map_err(explain)
    }

    /// All that is still to come, up to `max` bytes.
    pub async fn whole(mut self, max: usize) -> Result<Response, HttpError> {
        let mut read = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            if read.len() + chunk.len() > max {
                return Err(HttpError::TooLarge(max));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(Response { status: self.0.status(), headers: self.0.headers().clone(), body: read.freeze() })
    }
}

fn explain(error: reqwest::Error) -> HttpError {
    let is_connect = error.is_connect();
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    if is_connect { HttpError::Connect(text) } else { HttpError::Other(text) }
}
