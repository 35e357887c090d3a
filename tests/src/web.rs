//! Requests over HTTP, and answers.

use bytes::Bytes;
use reqwest::{Certificate, Method};
use serde_json::Value;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// A client of one listener.
#[derive(Debug, Clone)]
pub struct Web {
    client: reqwest::Client,
    base: String,
}

/// A request in the making.
#[must_use = "a request does nothing until `send`"]
#[derive(Debug)]
pub struct Request(pub(crate) reqwest::RequestBuilder);

/// A whole answer.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    /// Of HTTP.
    pub version: http::Version,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Web {
    /// Over HTTP/1.1.
    pub fn new(address: SocketAddr) -> Self {
        Self::with(address, reqwest::Client::builder())
    }

    /// Of the admin interface of a host that the testkit has set up, with the testkit's token.
    pub fn admin(address: SocketAddr) -> Self {
        let bearer = format!("Bearer {}", crate::setup::ADMIN_TOKEN).try_into().unwrap();
        let headers = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer)]);
        Self::with(address, reqwest::Client::builder().default_headers(headers))
    }

    /// Over HTTP/2 without TLS.
    pub fn h2c(address: SocketAddr) -> Self {
        Self::with(address, reqwest::Client::builder().http2_prior_knowledge())
    }

    /// Over TLS, to the host `localhost`, whose certificate `ca` vouches for; `own`: the certificate to show, and its key.
    pub fn tls(address: SocketAddr, ca: &Path, own: Option<&[PathBuf; 2]>) -> Self {
        let read = |path: &Path| std::fs::read(path).unwrap();
        let mut builder = reqwest::Client::builder().tls_certs_only([Certificate::from_pem(&read(ca)).unwrap()]);
        if let Some([certificate, key]) = own {
            let pem = [read(certificate), read(key)].concat();
            builder = builder.identity(reqwest::Identity::from_pem(&pem).unwrap());
        }
        Self {
            base: format!("https://localhost:{}", address.port()),
            ..Self::with(address, builder.resolve("localhost", address))
        }
    }

    /// As [`Web::tls`] without a certificate to show, from this address of this machine.
    pub fn tls_from(ip: [u8; 4], address: SocketAddr, ca: &Path) -> Self {
        let ca = Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([ca]).local_address(IpAddr::from(ip));
        Self {
            base: format!("https://localhost:{}", address.port()),
            ..Self::with(address, builder.resolve("localhost", address))
        }
    }

    fn with(address: SocketAddr, builder: reqwest::ClientBuilder) -> Self {
        let builder = builder.no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { client: builder.build().unwrap(), base: format!("http://{address}") }
    }

    /// Of the same listener, without a connection that is there already; without TLS and headers of its own.
    pub fn anew(&self) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, base: self.base.clone() }
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Request(self.client.request(method, format!("{}{path}", self.base)))
    }

    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }
}

impl Request {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self(self.0.body(body.into()))
    }

    /// # Panics
    /// If there is no whole answer.
    pub async fn send(self) -> Reply {
        self.try_send().await.unwrap()
    }

    pub async fn try_send(self) -> Result<Reply, reqwest::Error> {
        let response = self.0.send().await?;
        let (status, version, headers) = (response.status().as_u16(), response.version(), response.headers().clone());
        Ok(Reply { status, version, headers, body: response.bytes().await? })
    }
}

impl Reply {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// # Panics
    /// If the body is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// Itself, if it is a 200.
    ///
    /// # Panics
    /// If it is anything else.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// The problem document, after looking at what each has to have.
    ///
    /// # Panics
    /// If it is none, or not with this status.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        for member in ["type", "title", "detail", "instance", "request_id", "trace_id"] {
            assert!(problem[member].is_string(), "no `{member}`: {problem}");
        }
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        let trace = self.header("traceparent").and_then(|trace| trace.split('-').nth(1));
        assert_eq!(problem["trace_id"].as_str(), trace);
        problem
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}\n{}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}
