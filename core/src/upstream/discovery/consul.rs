//! `consul://HOST:PORT/SERVICE?tag=&dc=`: the healthy instances of a service, by blocking queries
//! (<https://developer.hashicorp.com/consul/api-docs/features/blocking>).

mod entry;

use super::{Found, Provider, Reached, Sink, address};
use crate::{
    net::{HttpClient, Response, Tls},
    settings::{Secret, Table},
    upstream::tls::TlsFiles,
};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{fmt::Write, time::Duration};

/// How long an agent may take to answer at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is asked to wait for a change. It waits up to a sixteenth longer.
const WAIT: Duration = Duration::from_secs(55);
/// Between two questions, however fast a service flaps.
const PACE: Duration = Duration::from_millis(50);
/// The largest answer that is read: 10,000 instances of 1 KiB and more.
const LARGEST: usize = 16 << 20;

#[derive(Debug, Clone)]
pub(super) struct Config {
    agents: Vec<String>,
    service: String,
    tags: Vec<String>,
    datacenter: Option<String>,
    token: Option<Secret>,
    pub(super) tls: Option<TlsFiles>,
    reached: Reached,
}

impl Config {
    /// `None` only where a mistake is noted.
    pub(super) fn read(table: &Table<'_>, more: &Table<'_>, url: &str, reached: Reached) -> Option<Self> {
        let mistake = |text: String| table.mistake("endpoints", text);
        let rest = url.strip_prefix("consul://")?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, service) = place.split_once('/').unwrap_or((place, ""));
        let tls = TlsFiles::read(&more.table("tls"));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut agents = Vec::new();
        for host in hosts.split(',').map(str::trim) {
            match address::uri(scheme, host) {
                Ok(uri) => agents.push(uri.to_string()),
                Err(reason) => mistake(format!("expected consul://HOST:PORT/SERVICE, found {host:?}: {reason}")),
            }
        }
        if service.is_empty() || service.contains('/') {
            mistake(format!("expected the name of a service, as in consul://{hosts}/SERVICE, found {service:?}"));
        }
        let (mut tags, mut datacenter) = (Vec::new(), None);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("tag", tag)) if !tag.is_empty() => tags.push(tag.to_owned()),
                Some(("dc", name)) if !name.is_empty() => datacenter = Some(name.to_owned()),
                _ => mistake(format!("expected the options tag and dc, found {option:?}")),
            }
        }
        let token = more.optional::<Secret>("token").map(|token| more.at_hand("token", token));
        Some(Self { agents, service: service.to_owned(), tags, datacenter, token, tls, reached })
    }
}

#[derive(Debug)]
pub(super) struct Consul {
    config: Config,
}

/// An answer, and how far the agent had come with it.
struct Answer {
    index: u64,
    found: Found,
}

impl Consul {
    pub(super) fn new(config: Config) -> Self {
        Self { config }
    }

    /// PEM files and the token are read for each session, so that new ones count without a restart.
    fn client(&self) -> Result<(HttpClient, HeaderMap), String> {
        let files = self.config.tls.as_ref();
        let identity = |files: &TlsFiles| files.identity.clone();
        let pair = files.and_then(identity);
        let tls = files.map(|files| Tls {
            ca: &files.ca,
            identity: pair.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path())),
        });
        let client = match tls {
            Some(tls) => HttpClient::new(PATIENCE, Some(tls))?,
            None => HttpClient::plain(PATIENCE)?,
        };
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.config.token {
            let unfit = |_| "the token has characters that no header can have".to_owned();
            let mut value = HeaderValue::try_from(token.read()?).map_err(unfit)?;
            value.set_sensitive(true);
            headers.insert("x-consul-token", value);
        }
        Ok((client, headers))
    }

    /// What is asked for: what is there now, or, after `index`, what is there once it has changed.
    fn target(&self, agent: &str, index: u64) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut url = format!("{agent}v1/health/service/{}?passing=1", encoded(&self.config.service));
        // Writing to a string can't fail.
        for tag in &self.config.tags {
            let _ = write!(url, "&tag={}", encoded(tag));
        }
        if let Some(datacenter) = &self.config.datacenter {
            let _ = write!(url, "&dc={}", encoded(datacenter));
        }
        if index > 0 {
            let _ = write!(url, "&index={index}&wait={}s", WAIT.as_secs());
        }
        url
    }

    async fn ask(
        &self,
        (client, headers): &(HttpClient, HeaderMap),
        agent: &str,
        index: u64,
    ) -> Result<Answer, String> {
        let longest = if index > 0 { WAIT + WAIT / 16 + PATIENCE } else { PATIENCE };
        let asked = client.send(Method::GET, self.target(agent, index), headers.clone(), None, LARGEST);
        let answered = tokio::time::timeout(longest, asked).await;
        let response = answered.map_err(|_| format!("{agent} gave no answer within {longest:.0?}"))?;
        let response = response.map_err(|error| format!("{agent}: {error}"))?;
        if response.status != StatusCode::OK {
            return Err(format!("{agent} answered {}: {}", response.status, said(&response)));
        }
        let index = response.headers.get("x-consul-index").and_then(|value| value.to_str().ok()?.parse().ok());
        // 0 is no index: with it an agent would answer at once, again and again.
        let index = index
            .map(|index: u64| index.max(1))
            .ok_or_else(|| format!("{agent} is no Consul: its answer has no X-Consul-Index"))?;
        let found = entry::read(&response.body, &self.config.service, self.config.reached);
        Ok(Answer { index, found: found.map_err(|error| format!("{agent}: {error}"))? })
    }

    /// The first agent that answers; the message has what each says.
    async fn first(&self, client: &(HttpClient, HeaderMap)) -> Result<(&str, Answer), String> {
        let mut reasons = Vec::new();
        for agent in &self.config.agents {
            match self.ask(client, agent, 0).await {
                Ok(answer) => return Ok((agent, answer)),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    async fn follow(&self, sink: &Sink) -> Result<(), String> {
        let client = self.client()?;
        let (agent, Answer { mut index, found }) = self.first(&client).await?;
        sink.take(found);
        loop {
            tokio::time::sleep(PACE).await;
            let answer = self.ask(&client, agent, index).await?;
            sink.take(answer.found);
            // One that goes back is another server's, or one's that has begun anew: then what is there now is asked for again.
            index = if answer.index < index { 0 } else { answer.index };
        }
    }
}

impl Provider for Consul {
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>> {
        async {
            let client = self.client()?;
            self.first(&client).await.map(|(_, answer)| answer.found)
        }
        .boxed()
    }

    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String> {
        async move { self.follow(sink).await.map_or_else(|error| error, |()| String::new()) }.boxed()
    }
}

/// The beginning of what an agent says of a failure.
fn said(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).trim().chars().take(200).collect()
}
