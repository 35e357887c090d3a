//! Questions to the admin interface of a running host.

use crate::net::{HttpClient, Response};
use anyhow::{Context, anyhow};
use http::{HeaderMap, Method};
use std::time::Duration;

/// Bytes of an answer that are read: a thousand plugins fit.
const LARGEST: usize = 64 << 20;

/// A host by its address or its URL.
#[derive(Debug)]
pub(super) struct AdminClient {
    client: HttpClient,
    base: String,
}

impl AdminClient {
    pub(super) fn new(admin: &str) -> anyhow::Result<Self> {
        let base = if admin.contains("://") { admin.to_owned() } else { format!("http://{admin}") };
        let time = Duration::from_secs(2);
        let client = if base.starts_with("https:") { HttpClient::new(time, None) } else { HttpClient::plain(time) };
        let client = client.map_err(|error| anyhow!(error))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned() })
    }

    /// Whatever it answers within `time`.
    pub(super) async fn get(&self, path: &str, time: Duration) -> anyhow::Result<Response> {
        let url = format!("{}{path}", self.base);
        let answer = self.client.send(Method::GET, url.clone(), HeaderMap::new(), None, LARGEST);
        let answer = tokio::time::timeout(time, answer).await;
        let answer = answer.with_context(|| format!("{url} gave no answer within {time:?}"))?;
        answer.with_context(|| format!("{url}: is a host running, and is --admin its admin address?"))
    }

    /// What it answers with a status of success.
    pub(super) async fn ask(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let answer = self.get(path, Duration::from_secs(5)).await?;
        if answer.status.is_success() {
            return Ok(answer.body.to_vec());
        }
        let (base, status) = (&self.base, answer.status);
        Err(anyhow!("{base}{path} answered {status}: is --admin the admin address, and not the public one?"))
    }
}
