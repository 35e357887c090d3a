//! Requests over HTTP, one at a time.

use crate::layout::Layout;
use anyhow::Context;
use std::{fs, net::SocketAddr, time::Duration};
use ureq::{
    Agent,
    http::{HeaderMap, Request},
};

/// How long an answer may take. The host's own limits are far below.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, read as a whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status as a text for people: `404 Not Found`.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The header's value, if there is one and it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Asks, away from the threads that wait for processes and signals.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&'static str, String)],
    body: Option<&'static str>,
) -> anyhow::Result<Answer> {
    let url = format!("http://{}{path}", reachable(address));
    let mut request = Request::builder().method(method).uri(&url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(body.unwrap_or_default().as_bytes()).with_context(|| format!("{url} can't be asked"))?;
    let answer = tokio::task::spawn_blocking(move || send(request)).await?;
    answer.with_context(|| format!("no answer from {url}"))
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    ask(address, "GET", path, &[], None).await
}

/// As [`get`], of a host's admin side and with its token.
pub(crate) async fn get_admin(layout: &Layout, address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let token = fs::read_to_string(layout.admin_token()?)?;
    ask(address, "GET", path, &[("authorization", format!("Bearer {token}"))], None).await
}

fn send(request: Request<&'static [u8]>) -> anyhow::Result<Answer> {
    send_by(&agent(), request)
}

/// Keeps its connections. Neither a proxy from the environment nor redirects: what is asked is what answers.
pub(crate) fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).proxy(None).max_redirects(0);
    config.timeout_global(Some(PATIENCE)).build().into()
}

/// On a thread that may wait.
pub(crate) fn send_by(agent: &Agent, request: Request<&[u8]>) -> anyhow::Result<Answer> {
    let mut response = agent.run(request)?;
    let body = response.body_mut().read_to_vec()?;
    let (parts, _) = response.into_parts();
    Ok(Answer { status: parts.status.as_u16(), line: parts.status.to_string(), headers: parts.headers, body })
}

/// Who listens everywhere is asked on loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())),
        address => address,
    }
}
