//! Fetching a JWKS document over HTTP.

use super::remote::{FETCH, Fetch, Fetched};
use crate::net::{HttpClient, Tls};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{path::Path, time::Duration};

/// Largest document that is read.
const LARGEST: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct HttpFetch {
    client: HttpClient,
    url: String,
}

impl HttpFetch {
    /// Trusts the system's certificates, or those of a PEM file.
    pub(super) fn new(url: String, ca: Option<&Path>) -> Result<Self, String> {
        let client = HttpClient::new(FETCH, ca.map(|ca| Tls { ca, identity: None }))?;
        Ok(Self { client, url })
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, String>> {
        async move {
            let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept)]);
            let sent = self.client.send(Method::GET, self.url.clone(), headers, None, LARGEST).await;
            let response = sent.map_err(|error| error.to_string())?;
            if response.status != StatusCode::OK {
                return Err(format!("answered HTTP {}", response.status.as_u16()));
            }
            Ok(Fetched { max_age: max_age(&response.headers), body: response.body })
        }
        .boxed()
    }
}

/// What `cache-control` says (RFC 9111, section 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    let mut found = None;
    for directive in directives {
        match directive.split_once('=') {
            None if directive == "no-store" || directive == "no-cache" => return Some(Duration::ZERO),
            Some(("max-age", seconds)) => found = seconds.trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_taken_from_cache_control() {
        for (text, seconds) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age=\"60\", must-revalidate", Some(60)),
            ("max-age=600, no-store", Some(0)),
            ("max-age=-1", None),
            ("max-age=soon", None),
            ("s-maxage=5", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(text))]);
            assert_eq!(max_age(&headers), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
