//! Where the API server is, and what it is shown.

use crate::net::{HttpClient, Trust};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// All that is read for one session, so that what has changed meanwhile counts for the next.
#[derive(Debug)]
pub(super) struct Access {
    /// `https://10.0.0.1:443`.
    pub(super) server: String,
    /// `None`: it is asked without TLS.
    pub(super) trust: Option<Trust>,
    pub(super) token: Option<Token>,
}

#[derive(Clone)]
pub(super) enum Token {
    Fixed(String),
    /// Read for each request: it is made anew before it expires.
    File(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("Fixed"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl Access {
    /// Of a pod: the server by its environment, and what is mounted into it at `folder`.
    pub(super) fn of_pod(folder: &Path) -> Result<Self, String> {
        let variable = |name: &str| {
            let text = std::env::var(name).unwrap_or_default();
            if text.is_empty() { Err(format!("the environment has no {name}: this is no pod")) } else { Ok(text) }
        };
        let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let authority = format!("{host}:{port}");
        if authority.parse::<http::uri::Authority>().is_err() {
            return Err(format!("KUBERNETES_SERVICE_HOST and _PORT are no address: {authority:?}"));
        }
        let ca = folder.join("ca.crt");
        let hint = "mount the token of a service account there (automountServiceAccountToken: true)";
        let pem = std::fs::read(&ca).map_err(|error| format!("{}: {error}: {hint}", ca.display()))?;
        let trust = Trust::of_pem(Some(&pem), None).map_err(|error| format!("{}: {error}", ca.display()))?;
        let token = Token::File(folder.join("token"));
        Ok(Self { server: format!("https://{authority}"), trust: Some(trust), token: Some(token) })
    }

    pub(super) fn client(&self, connect_timeout: Duration) -> Result<HttpClient, String> {
        match &self.trust {
            Some(trust) => HttpClient::watching(connect_timeout, Some(trust)),
            None => HttpClient::plain(connect_timeout),
        }
    }

    /// What is sent with a request, as it is now.
    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            let unfit = |_| "the token has characters that no header can have".to_owned();
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.read()?)).map_err(unfit)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

impl Token {
    fn read(&self) -> Result<String, String> {
        let path = match self {
            Self::Fixed(token) => return Ok(token.clone()),
            Self::File(path) => path,
        };
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        match text.trim() {
            "" => Err(format!("{} is empty: expected a token", path.display())),
            token => Ok(token.to_owned()),
        }
    }
}
