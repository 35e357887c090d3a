//! Outbound HTTP.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use std::{path::Path, time::Duration};

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
    authorities: Vec<reqwest::Certificate>,
    identity: Option<reqwest::Identity>,
}

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
        let authorities = reqwest::Certificate::from_pem_bundle(&read(self.ca)?)
            .map_err(|error| format!("{}: {error}", self.ca.display()))?;
        let identity = |(certificate, key): (&Path, &Path)| {
            let pem = [read(certificate)?, read(key)?].concat();
            reqwest::Identity::from_pem(&pem).map_err(|error| format!("{}: {error}", certificate.display()))
        };
        Ok(Trust { authorities, identity: self.identity.map(identity).transpose()? })
    }
}

impl HttpClient {
    /// Fails where PEM files can't be read or don't fit.
    pub fn new(connect_timeout: Duration, tls: Option<Tls<'_>>) -> Result<Self, String> {
        Self::trusting(connect_timeout, tls.map(Tls::read).transpose()?.as_ref())
    }

    /// For a peer that is spoken to without TLS: it needs no roots of the system, which are not in every image.
    pub fn plain(connect_timeout: Duration) -> Result<Self, String> {
        Self::trusting(connect_timeout, Some(&Trust { authorities: Vec::new(), identity: None }))
    }

    /// By what was read from PEM files before.
    pub fn trusting(connect_timeout: Duration, trust: Option<&Trust>) -> Result<Self, String> {
        Self::build(Self::builder(connect_timeout, trust))
    }

    /// As [`HttpClient::trusting`], over nothing but HTTP/2, also where the URL says `http`: as gRPC is spoken.
    pub fn over_http2(connect_timeout: Duration, trust: Option<&Trust>) -> Result<Self, String> {
        Self::build(Self::builder(connect_timeout, trust).http2_prior_knowledge())
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
            builder = builder.tls_certs_only(authorities.clone());
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
        let mut response = request.send().await.map_err(explain)?;
        let mut read = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if read.len() + chunk.len() > max {
                return Err(HttpError::TooLarge(max));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(Response { status: response.status(), headers: response.headers().clone(), body: read.freeze() })
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
