//! Who keeps a backend's set of instances up to date, whichever provider tells of it: begins again after a pause when the provider can't
//! go on, takes the newest of the sets that it tells, and says in the log when that begins to fail and when it is over.

use super::{
    backend::Backend,
    discovery::{Found, Provider, Sink, Skipped, StatusLine},
};
use crate::{
    net::Backoff,
    settings::{Place, brief},
};
use futures_util::future::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::Instant;

/// Sets are not taken more often than that, however fast a registry flaps.
const PACE: Duration = Duration::from_millis(50);

impl Backend {
    /// Keeps its instances up to date from now on until it goes. Does nothing where they are fixed, nor when called again.
    pub fn watch(self: &Arc<Self>) {
        if let Some(discovery) = &self.discovery {
            let (backend, provider) = (Arc::downgrade(self), discovery.provider.clone());
            discovery.begin(|| tokio::spawn(supervise(backend, provider)).abort_handle());
        }
    }

    /// Begins with what another backend of that name has, until its own source tells of a set: one that was known outlives a reload.
    pub fn begin_with(&self, before: &Self) {
        if self.discovery.is_none() || before.instances.load().members().is_empty() {
            return;
        }
        let scheme = self.config.endpoints.instances_scheme();
        let specs: Vec<_> = before.instances.specs().into_iter().filter_map(|spec| spec.reached_by(scheme)).collect();
        // There is none before it that could refuse.
        let _ = self.swap(&specs);
    }

    /// Until it has instances, or it waits no longer for them; `false`: it has none, and they are looked for.
    pub async fn has_instances(&self) -> bool {
        match &self.discovery {
            Some(discovery) if self.instances.load().members().is_empty() => discovery.first_set().await,
            _ => true,
        }
    }

    /// Why it has no instances, where they are looked for.
    pub fn without_instances(&self) -> Option<String> {
        let discovery = self.discovery.as_ref().filter(|_| self.instances.load().members().is_empty())?;
        let url = discovery.status.url();
        Some(match discovery.status.last_error() {
            Some(reason) => format!("{url} can't tell of its endpoints: {reason}"),
            None if discovery.status.has_told() => format!("{url} knows of no endpoints"),
            None => format!("{url} has not told of its endpoints yet"),
        })
    }

    /// Where its endpoints stand in the configuration.
    pub fn endpoints_place(&self) -> &Place {
        &self.config.endpoints.place
    }

    /// Asks once where its instances are; of fixed ones, those that there are.
    pub async fn resolve(&self) -> Result<Found, String> {
        match &self.discovery {
            Some(discovery) => discovery.provider.resolve().await,
            None => Ok(Found { specs: self.config.endpoints.known().to_vec(), skipped: Vec::new() }),
        }
    }
}

/// Holds the provider, but not the backend: with that it ends.
async fn supervise(backend: Weak<Backend>, provider: Arc<dyn Provider>) {
    let mut backoff = Backoff::of_neighbours();
    loop {
        let begun = Instant::now();
        let (sink, mut sets) = Sink::new();
        let taking = async {
            while sets.changed().await.is_ok() {
                let found = sets.borrow_and_update().clone();
                if let (Some(found), Some(backend)) = (found, backend.upgrade()) {
                    backend.found(&found);
                }
                tokio::time::sleep(PACE).await;
            }
        };
        let watching = AssertUnwindSafe(provider.watch(&sink)).catch_unwind();
        let ended = tokio::select! {
            ended = watching => ended,
            // It ends with the sink, which is held here.
            () = taking => return,
        };
        let reason = ended.unwrap_or_else(|_| "a bug in this host: its provider panicked".to_owned());
        let Some(backend) = backend.upgrade() else { return };
        if let (true, Some(found)) = (sets.has_changed().unwrap_or(false), sets.borrow_and_update().clone()) {
            backend.found(&found);
        }
        backend.lost(&reason);
        drop(backend);
        tokio::time::sleep(backoff.pause_after(begun.elapsed())).await;
    }
}

impl Backend {
    /// A set was told.
    fn found(&self, found: &Found) {
        let Some(discovery) = &self.discovery else { return };
        // What becomes of it is told, and kept, by the set.
        let _ = self.offer(&found.specs);
        let (line, nonsense) = discovery.status.came(found);
        let (backend, url) = (self.name(), discovery.status.url());
        if let Some(StatusLine::Over { after }) = line {
            tracing::info!(%backend, "backend `{backend}`: {url} tells of its endpoints again, after {after:.1?}");
        }
        for Skipped { reason, first, count } in nonsense {
            let reason = reason.as_str();
            tracing::warn!(%backend, reason, count, "backend `{backend}`: {url}: {count} entries are passed over ({reason}), the first of them: {first}");
        }
    }

    /// The provider can't go on.
    fn lost(&self, reason: &str) {
        let Some(discovery) = &self.discovery else { return };
        let reason = brief(reason);
        let Some(StatusLine::Begins { passed_over }) = discovery.status.failed(reason) else { return };
        let (backend, url) = (self.name(), discovery.status.url());
        let meanwhile = match self.instances.load().members().len() {
            0 => "calls to it fail until it can".to_owned(),
            count => format!("calls go on to the {count} known before"),
        };
        tracing::warn!(%backend, passed_over, "backend `{backend}`: {url} can't tell of its endpoints: {reason}; {meanwhile}");
    }
}

#[cfg(test)]
mod tests;
