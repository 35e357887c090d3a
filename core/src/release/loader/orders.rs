//! What people ask of releases. Blocks, and needs a runtime.

use super::{Loader, work::guarded};
use crate::{
    artifact::Artifact,
    model::Digest,
    release::{
        Refusal,
        history::{HistoryError, Name, Order, Record, State},
    },
};
use bytes::Bytes;
use std::{collections::BTreeSet, sync::Arc};

/// Why an artifact was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("this token is for {}, and plugin `{plugin}` is for `{client}`", of(.clients))]
    Client { plugin: String, client: String, clients: Vec<String> },
}

fn of(clients: &[String]) -> String {
    clients.iter().map(|client| format!("client `{client}`")).collect::<Vec<_>>().join(" and ")
}

impl Loader {
    /// Artifacts of this many bytes are taken in.
    pub fn max_artifact(&self) -> u64 {
        self.config.max_artifact.0
    }

    /// Takes in an artifact that was uploaded; it is compiled and put into service, where that was asked for, beside the traffic.
    /// `clients`: those that who asks may do this for, if not all.
    pub fn take_in(
        self: &Arc<Self>,
        bytes: Bytes,
        order: Order<'_>,
        clients: Option<&[String]>,
    ) -> Result<Record, NotTaken> {
        let (size, most) = (bytes.len() as u64, self.max_artifact());
        if size > most {
            return Err(Refusal::TooLarge { size, most }.into());
        }
        let digest = Digest::of(&bytes);
        let name = guarded(|| self.name_of(digest, bytes.clone()))?;
        if let Some(clients) = clients {
            self.check_clients(&name, clients)?;
        }
        let record = self.history.stage(digest, &name, &bytes, order)?;
        self.order_changed();
        Ok(record)
    }

    /// A plugin is one for all clients: who takes its name takes its place.
    fn check_clients(&self, name: &Name, clients: &[String]) -> Result<(), NotTaken> {
        let of_others = |client: &String| !clients.contains(client);
        let taken = self.history.look(|ledger| {
            let ended = |state| matches!(state, State::Rejected | State::Retired | State::RolledBack);
            let known = ledger.of_plugin(&name.plugin).filter(|record| !ended(record.state));
            known.map(|record| record.name.client.clone()).find(of_others)
        });
        match Some(name.client.clone()).filter(of_others).or(taken) {
            Some(client) => Err(NotTaken::Client { plugin: name.plugin.clone(), client, clients: clients.to_vec() }),
            None => Ok(()),
        }
    }

    /// By a process of its own first, as whatever comes from elsewhere.
    fn name_of(&self, digest: Digest, bytes: Bytes) -> Result<Name, Refusal> {
        self.runtime.read_apart(&bytes)?;
        let manifest = self.marked(digest, true, || Ok(Artifact::parse(bytes)?))?.manifest;
        Ok(Name { plugin: manifest.name, version: manifest.version, client: manifest.client })
    }

    /// What could serve at once.
    fn loaded(&self) -> BTreeSet<Digest> {
        let state = self.state();
        state.files.values().filter_map(|file| Some(file.candidate.loaded()?.release.digest)).collect()
    }

    pub fn apply(self: &Arc<Self>, digest: Digest, order: Order<'_>) -> Result<Record, HistoryError> {
        let record = self.history.apply(digest, &self.loaded(), order)?;
        self.order_changed();
        Ok(record)
    }

    pub fn roll_back(
        self: &Arc<Self>,
        plugin: &str,
        to: Option<Digest>,
        order: Order<'_>,
    ) -> Result<Record, HistoryError> {
        let record = self.history.roll_back(plugin, to, &self.loaded(), order)?;
        self.order_changed();
        Ok(record)
    }

    pub fn retire(self: &Arc<Self>, plugin: &str, order: Order<'_>) -> Result<Record, HistoryError> {
        let record = self.history.retire(plugin, order)?;
        self.order_changed();
        Ok(record)
    }
}
