//! How agents of Consul are spoken to: by HTTP, with a token where they want one.

use super::{
    registry::{self, said},
    tls::TlsFiles,
};
use crate::{
    net::{HttpClient, HttpError, Response},
    settings::{Secret, Table},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;

/// How long an agent may take to answer at once, or to be connected to.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Of what is answered to a change.
const LARGEST: usize = 64 << 10;

/// How older agents say, with status 500, that they know no such check or service.
const UNKNOWN: [&str; 3] = ["does not have associated TTL", "Unknown check", "Unknown service"];

/// Where agents are, and who asks.
#[derive(Debug, Clone)]
pub struct Access {
    /// `http://127.0.0.1:8500/`.
    pub agents: Vec<String>,
    pub token: Option<Secret>,
    pub tls: Option<TlsFiles>,
}

impl Access {
    /// `token` and `tls` of a table.
    pub(super) fn read(table: &Table<'_>) -> Self {
        let token = table.optional::<Secret>("token").map(|token| table.at_hand("token", token));
        Self { agents: Vec::new(), token, tls: registry::tls(table, true) }
    }

    /// The token, too, is read for each client, so that new ones count without a restart.
    pub fn client(&self) -> Result<ConsulClient, String> {
        let client = registry::client(PATIENCE, self.tls.as_ref())?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let unfit = |_| "the token has characters that no header can have".to_owned();
            let mut value = HeaderValue::try_from(token.read()?).map_err(unfit)?;
            value.set_sensitive(true);
            headers.insert("x-consul-token", value);
        }
        Ok(ConsulClient { client, headers })
    }
}

/// Asks agents.
#[derive(Debug)]
pub struct ConsulClient {
    client: HttpClient,
    headers: HeaderMap,
}

impl ConsulClient {
    pub(super) async fn send(
        &self,
        method: Method,
        url: String,
        body: Option<Bytes>,
        largest: usize,
    ) -> Result<Response, HttpError> {
        self.client.send(method, url, self.headers.clone(), body, largest).await
    }

    /// Changes what the agent keeps under this id. `false`: it does not know it.
    pub async fn put(&self, agent: &str, path: &str, id: &str, body: Option<Bytes>) -> Result<bool, String> {
        let url = format!("{agent}{path}{}", encoded(id));
        let asked = tokio::time::timeout(PATIENCE, self.send(Method::PUT, url, body, LARGEST)).await;
        let response = asked.map_err(|_| format!("no answer within {PATIENCE:?}"))?;
        let response = response.map_err(|error| error.to_string())?;
        match response.status.as_u16() {
            200 => Ok(true),
            404 => Ok(false),
            _ => {
                let text = said(&response.body);
                if UNKNOWN.iter().any(|words| text.contains(words)) {
                    return Ok(false);
                }
                Err(format!("answered {}: {text}", response.status))
            }
        }
    }
}

/// As a part of a path, or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
