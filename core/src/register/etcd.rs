//! Registered in etcd as kratos or go-zero do it: a key that hangs on a lease.

use super::{Instance, Registry};
use crate::{
    sync::lock,
    upstream::{Etcd, EtcdSource, Layout, Member, Naming},
};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;
use std::{sync::Mutex, time::Duration};

#[derive(Debug)]
pub(super) struct InEtcd {
    etcd: Etcd,
    naming: Naming,
    instance: Instance,
    ttl: Duration,
    /// The lease that was had last; it may be alive still, whatever became of the connection.
    lease: Mutex<Option<Lease>>,
}

#[derive(Debug, Clone)]
struct Lease {
    id: i64,
    /// Who has granted it, or kept it alive.
    member: Member,
}

/// For the member that kept the lease alive to take it away; then others are asked.
const FIRST_TRY: Duration = Duration::from_secs(1);

impl InEtcd {
    pub(super) fn new(source: &EtcdSource, instance: Instance, ttl: Duration) -> Self {
        let (etcd, naming) = (Etcd::new(source.access.clone()), source.naming.clone());
        Self { etcd, naming, instance, ttl, lease: Mutex::default() }
    }

    async fn connected(&self) -> Result<Member, String> {
        let mut last = String::new();
        for _ in 0..self.etcd.members() {
            match self.etcd.connect().await {
                Ok(member) => return Ok(member),
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    /// One host has one key of kratos, whichever process it is: a new one takes the place of the old.
    fn key(&self, lease: i64) -> String {
        match self.naming.layout {
            Layout::GoZero => format!("{}{lease}", self.naming.keys()),
            _ => format!("{}{}", self.naming.keys(), self.instance.address),
        }
    }

    fn value(&self) -> String {
        let Instance { address, tls, version, metadata } = &self.instance;
        let scheme = if *tls { "https" } else { "http" };
        match self.naming.layout {
            Layout::GoZero => address.clone(),
            _ => json!({
                "id": address, "name": self.naming.service, "version": version, "metadata": metadata,
                "endpoints": [format!("{scheme}://{address}")],
            })
            .to_string(),
        }
    }

    /// Until the lease is lost, or nobody can say whether it is.
    async fn keep(&self, stands: &(dyn Fn() + Send + Sync)) -> Result<(), String> {
        let told = |error: crate::upstream::EtcdError| error.to_string();
        let member = self.connected().await?;
        let before = lock(&self.lease).as_ref().map(|lease| lease.id);
        let (mut lease, mut ttl) = (before.unwrap_or_default(), self.ttl);
        let is_alive = match before {
            Some(lease) => {
                let mut alive = member.keep_alive(lease, self.ttl).await.map_err(told)?;
                within(ttl, alive.next()).await?.is_some()
            }
            None => false,
        };
        if !is_alive {
            *lock(&self.lease) = None;
            let granted = member.grant(i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX)).await.map_err(told)?;
            lease = granted.0;
            ttl = Duration::from_secs(u64::try_from(granted.1).unwrap_or_default().max(1));
        }
        *lock(&self.lease) = Some(Lease { id: lease, member: member.clone() });
        let (key, value) = (self.key(lease), self.value());
        member.put(&key, &value, lease).await.map_err(told)?;
        stands();
        let mut alive = member.keep_alive(lease, ttl / 3).await.map_err(told)?;
        loop {
            // An answer is due after each third: whoever is silent for two is given up while the lease still holds.
            if within(ttl * 2 / 3, alive.next()).await?.is_none() {
                *lock(&self.lease) = None;
                return Err("its lease was lost".to_owned());
            }
            // Somebody may have taken the key away, and left the lease.
            let mut is_there = false;
            member.list(&key, 1, |entry| is_there = entry.key == key.as_bytes()).await.map_err(told)?;
            if !is_there {
                member.put(&key, &value, lease).await.map_err(told)?;
            }
            stands();
        }
    }
}

async fn within(
    time: Duration,
    answer: impl Future<Output = Result<Option<i64>, crate::upstream::EtcdError>>,
) -> Result<Option<i64>, String> {
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {time:?}")),
    }
}

impl Registry for InEtcd {
    fn hold<'a>(&'a self, stands: &'a (dyn Fn() + Send + Sync)) -> BoxFuture<'a, String> {
        async move { self.keep(stands).await.err().unwrap_or_default() }.boxed()
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), String>> {
        async move {
            let Some(Lease { id, member }) = lock(&self.lease).clone() else { return Ok(()) };
            if !matches!(tokio::time::timeout(FIRST_TRY, member.revoke(id)).await, Ok(Ok(()))) {
                self.connected().await?.revoke(id).await.map_err(|error| error.to_string())?;
            }
            *lock(&self.lease) = None;
            Ok(())
        }
        .boxed()
    }
}
