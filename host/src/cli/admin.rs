//! Questions to the admin interface of a running host.

use crate::{
    net::{HttpClient, Response, Tls},
    settings::Secret,
};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{path::PathBuf, time::Duration};

/// Bytes of an answer that are read: a thousand plugins fit.
const LARGEST: usize = 64 << 20;

/// How long a change may take until it is written.
const LONGEST: Duration = Duration::from_mins(3);

/// Where a token is, if no option says so.
pub(super) const TOKEN: &str = "WEFT_ADMIN_TOKEN";

/// How the host is asked, and as whom.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// The admin interface of the host
    #[arg(long, default_value = "127.0.0.1:9090")]
    admin: String,
    /// A file with a token of its [admin]; without it the environment's WEFT_ADMIN_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of the authority that has signed its certificate, where it is none of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A host by its address or its URL.
#[derive(Debug)]
pub(super) struct AdminClient {
    client: HttpClient,
    base: String,
    headers: HeaderMap,
}

impl AdminClient {
    pub(super) fn new(access: &Access) -> anyhow::Result<Self> {
        let admin = &access.admin;
        let base = if admin.contains("://") { admin.clone() } else { format!("http://{admin}") };
        let time = Duration::from_secs(2);
        let tls = access.ca.as_deref().map(|ca| Tls { ca, identity: None });
        let client = if base.starts_with("https:") { HttpClient::new(time, tls) } else { HttpClient::plain(time) };
        let client = client.map_err(|error| anyhow!(error))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), headers: access.headers()? })
    }

    /// Whatever it answers within `time`.
    pub(super) async fn get(&self, path: &str, time: Duration) -> anyhow::Result<Response> {
        let url = format!("{}{path}", self.base);
        let answer = self.client.send(Method::GET, url.clone(), self.headers.clone(), None, LARGEST);
        let answer = tokio::time::timeout(time, answer).await;
        let answer = answer.with_context(|| format!("{url} gave no answer within {time:?}"))?;
        answer.with_context(|| format!("{url}: is a host running, and is --admin its admin address?"))
    }

    /// A change: what it answers with a status of success, or what it says against it.
    pub(super) async fn post(&self, path: &str, revision: Option<u64>, body: Bytes) -> anyhow::Result<Vec<u8>> {
        let (url, mut headers) = (format!("{}{path}", self.base), self.headers.clone());
        if let Some(revision) = revision {
            headers.insert(header::IF_MATCH, HeaderValue::from_str(&format!("\"{revision}\""))?);
        }
        let answer = self.client.send(Method::POST, url.clone(), headers, Some(body), LARGEST);
        let answer = tokio::time::timeout(LONGEST, answer).await;
        let answer = answer.with_context(|| format!("{url} gave no answer within {LONGEST:?}"))?;
        let answer = answer.with_context(|| format!("{url}: is a host running, and is --admin its admin address?"))?;
        if answer.status.is_success() { Ok(answer.body.to_vec()) } else { Err(self.refusal(path, &answer)) }
    }

    /// What it answers with a status of success.
    pub(super) async fn ask(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.ask_for(path, Duration::from_secs(5)).await
    }

    /// The same, for an answer that may take a while.
    pub(super) async fn ask_for(&self, path: &str, time: Duration) -> anyhow::Result<Vec<u8>> {
        let answer = self.get(path, time).await?;
        if answer.status.is_success() { Ok(answer.body.to_vec()) } else { Err(self.refusal(path, &answer)) }
    }

    /// Why it was not answered as was hoped, with what to do.
    fn refusal(&self, path: &str, answer: &Response) -> anyhow::Error {
        let (base, status) = (&self.base, answer.status);
        let path = path.split('?').next().unwrap_or_default();
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let detail = problem.get("detail").and_then(serde_json::Value::as_str);
        if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::MISDIRECTED_REQUEST].contains(&status) {
            let detail = detail.unwrap_or_default();
            return anyhow!(
                "{base}{path} answered {status}: {detail}; tokens are given by --token-file, or by {TOKEN} in the environment"
            );
        }
        match detail {
            Some(detail) => anyhow!("{detail}"),
            None => anyhow!("{base}{path} answered {status}: is --admin the admin address, and not the public one?"),
        }
    }
}

impl Access {
    /// For commands that ask a host only if they are told to.
    pub(super) fn of(admin: &str, token_file: Option<PathBuf>, ca: Option<PathBuf>) -> Self {
        Self { admin: admin.to_owned(), token_file, ca }
    }

    /// Those of every request.
    fn headers(&self) -> anyhow::Result<HeaderMap> {
        let secret = match &self.token_file {
            Some(file) => Some(Secret::File(file.clone())),
            None => std::env::var_os(TOKEN).map(|_| Secret::Env(TOKEN.to_owned())),
        };
        let Some(token) = secret.map(|secret| secret.read()).transpose().map_err(|error| anyhow!(error))? else {
            return Ok(HeaderMap::new());
        };
        let mut line =
            HeaderValue::from_str(&format!("Bearer {token}")).context("the token has what no header may have")?;
        line.set_sensitive(true);
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, line)]))
    }
}
