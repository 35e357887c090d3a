//! `consul://HOST:PORT/SERVICE?tag=&dc=`: the healthy instances of a service, by blocking queries
//! (<https://developer.hashicorp.com/consul/api-docs/features/blocking>).

mod entry;

use super::{Found, Provider, Reached, Sink, address};
use crate::{
    settings::Table,
    upstream::{
        consul::{Access, ConsulClient, PATIENCE, encoded},
        registry::said,
    },
};
use futures_util::future::{BoxFuture, FutureExt};
use http::{Method, StatusCode};
use std::{fmt::Write, time::Duration};

/// How long it is asked to wait for a change. It waits up to a sixteenth longer.
const WAIT: Duration = Duration::from_secs(55);
/// Between two questions, however fast a service flaps.
const PACE: Duration = Duration::from_millis(50);
/// The largest answer that is read: 10,000 instances of 1 KiB and more.
const LARGEST: usize = 16 << 20;

/// A service of Consul, to be read or to be registered with.
#[derive(Debug, Clone)]
pub struct ConsulSource {
    pub access: Access,
    pub service: String,
    pub tags: Vec<String>,
    /// None: that of the agent.
    pub datacenter: Option<String>,
    reached: Reached,
}

impl ConsulSource {
    /// The URL stands at `key`, and in `more` who asks. `None` only where a mistake is noted.
    pub fn read(table: &Table<'_>, key: &str, more: &Table<'_>, url: &str, reached: Reached) -> Option<Self> {
        let mistake = |text: String| table.mistake(key, text);
        let mut access = Access::read(more);
        let rest = url.strip_prefix("consul://")?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, service) = place.split_once('/').unwrap_or((place, ""));
        let scheme = if access.tls.is_some() { "https" } else { "http" };
        for host in hosts.split(',').map(str::trim) {
            match address::uri(scheme, host) {
                Ok(uri) => access.agents.push(uri.to_string()),
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
        Some(Self { access, service: service.to_owned(), tags, datacenter, reached })
    }
}

#[derive(Debug)]
pub(super) struct FromConsul {
    config: ConsulSource,
}

/// An answer, and how far the agent had come with it.
struct Answer {
    index: u64,
    found: Found,
}

impl FromConsul {
    pub(super) fn new(config: ConsulSource) -> Self {
        Self { config }
    }

    /// What is asked for: what is there now, or, after `index`, what is there once it has changed.
    fn target(&self, agent: &str, index: u64) -> String {
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

    async fn ask(&self, client: &ConsulClient, agent: &str, index: u64) -> Result<Answer, String> {
        let longest = if index > 0 { WAIT + WAIT / 16 + PATIENCE } else { PATIENCE };
        let asked = client.send(Method::GET, self.target(agent, index), None, LARGEST);
        let answered = tokio::time::timeout(longest, asked).await;
        let response = answered.map_err(|_| format!("{agent} gave no answer within {longest:.0?}"))?;
        let response = response.map_err(|error| format!("{agent}: {error}"))?;
        if response.status != StatusCode::OK {
            return Err(format!("{agent} answered {}: {}", response.status, said(&response.body)));
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
    async fn first(&self, client: &ConsulClient) -> Result<(&str, Answer), String> {
        let mut reasons = Vec::new();
        for agent in &self.config.access.agents {
            match self.ask(client, agent, 0).await {
                Ok(answer) => return Ok((agent, answer)),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    async fn follow(&self, sink: &Sink) -> Result<(), String> {
        let client = self.config.access.client()?;
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

impl Provider for FromConsul {
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>> {
        async {
            let client = self.config.access.client()?;
            self.first(&client).await.map(|(_, answer)| answer.found)
        }
        .boxed()
    }

    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String> {
        async move { self.follow(sink).await.map_or_else(|error| error, |()| String::new()) }.boxed()
    }
}
