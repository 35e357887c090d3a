//! Registered in Consul as kratos does it: a service of one agent, with a check that this host has to pass again and again.

use super::{Instance, Registry};
use crate::upstream::{ConsulClient, ConsulSource};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// After so long without a pass Consul forgets it, as kratos has it.
const FORGOTTEN_AFTER: &str = "600s";

/// What was sent before has arrived after so long, on another connection too.
const ARRIVES: Duration = Duration::from_millis(200);
const DEREGISTER: &str = "v1/agent/service/deregister/";

#[derive(Debug)]
pub(super) struct InConsul {
    source: ConsulSource,
    agent: String,
    /// One host has one, whichever process it is: a new one takes the place of the old.
    id: String,
    service: Value,
    ttl: Duration,
    /// Whether it was registered, and not taken away since.
    is_there: AtomicBool,
}

impl InConsul {
    pub(super) fn new(source: &ConsulSource, instance: &Instance, ttl: Duration) -> Self {
        let agent = source.access.agents.first().cloned().unwrap_or_default();
        let id = format!("{}-{}", source.service, instance.address);
        let service = json(source, instance, &id, ttl);
        Self { source: source.clone(), agent, id, service, ttl, is_there: AtomicBool::new(false) }
    }

    async fn keep(&self, stands: &(dyn Fn() + Send + Sync)) -> Result<(), String> {
        let client = self.source.access.client()?;
        self.register(&client).await?;
        loop {
            if !self.passes(&client).await? {
                // The agent has begun anew, or somebody took it away.
                self.register(&client).await?;
                if !self.passes(&client).await? {
                    return Err(format!("{} has no check of what it was just told of", self.agent));
                }
            }
            stands();
            tokio::time::sleep(self.ttl / 3).await;
        }
    }

    async fn register(&self, client: &ConsulClient) -> Result<(), String> {
        self.is_there.store(true, Relaxed);
        let path = "v1/agent/service/register?replace-existing-checks=true";
        match self.put(client, path, "", Some(self.service.to_string())).await {
            Ok(false) => Err(format!("{} is no Consul: it has no {path}", self.agent)),
            told => told.map(|_| ()),
        }
    }

    async fn passes(&self, client: &ConsulClient) -> Result<bool, String> {
        let check = check_of(&self.id);
        let passed = self.put(client, "v1/agent/check/pass/", &check, None);
        // It is due a third of its time before it counts as failed.
        let late = |_| Err(format!("{}: no answer within {:?}", self.agent, self.ttl / 3));
        tokio::time::timeout(self.ttl / 3, passed).await.unwrap_or_else(late)
    }

    async fn put(&self, client: &ConsulClient, path: &str, id: &str, body: Option<String>) -> Result<bool, String> {
        let told = client.put(&self.agent, path, id, body.map(Into::into)).await;
        told.map_err(|reason| format!("{}: {reason}", self.agent))
    }
}

fn check_of(id: &str) -> String {
    format!("service:{id}")
}

fn json(source: &ConsulSource, instance: &Instance, id: &str, ttl: Duration) -> Value {
    let Instance { address, tls, version, metadata } = instance;
    let (host, port) = instance.host_and_port();
    let scheme = if *tls { "https" } else { "http" };
    let tags: Vec<String> = std::iter::once(format!("version={version}")).chain(source.tags.iter().cloned()).collect();
    json!({
        "ID": id, "Name": source.service, "Address": host, "Port": port, "Tags": tags, "Meta": metadata,
        "TaggedAddresses": { scheme: { "Address": format!("{scheme}://{address}"), "Port": port } },
        "Checks": [{
            "CheckID": check_of(id), "Name": "this host is ready", "Status": "passing",
            "TTL": format!("{}ms", ttl.as_millis()), "DeregisterCriticalServiceAfter": FORGOTTEN_AFTER,
        }],
    })
}

impl Registry for InConsul {
    fn hold<'a>(&'a self, stands: &'a (dyn Fn() + Send + Sync)) -> BoxFuture<'a, String> {
        async move { self.keep(stands).await.err().unwrap_or_default() }.boxed()
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), String>> {
        async move {
            if !self.is_there.load(Relaxed) {
                return Ok(());
            }
            let client = self.source.access.client()?;
            // Where it is not known it is gone; or a registration that was broken off has not arrived yet.
            if !self.put(&client, DEREGISTER, &self.id, None).await? {
                tokio::time::sleep(ARRIVES).await;
                self.put(&client, DEREGISTER, &self.id, None).await?;
            }
            self.is_there.store(false, Relaxed);
            Ok(())
        }
        .boxed()
    }
}
