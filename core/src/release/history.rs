//! What became of every release, and what is wanted: it outlives the host, and says more than the plugin folder where somebody has spoken.
//!
//! Two kinds of things come in. What people ask for is written first and done then, or refused. What has happened is written once it has;
//! where that fails the host serves on, says so, and writes it with what comes next.

mod facts;
mod ledger;
mod orders;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use ledger::{Cause, Goal, Illegal, Ledger};
pub use orders::{HistoryError, Order};
pub use record::{Event, Name, Record, State};
pub use store::{Store, StoreError};

use crate::{model::Digest, sync::lock};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::SystemTime,
};
use tokio::sync::watch;

/// Who has done what nobody has asked for by name.
pub const FOLDER: &str = "folder";
pub const HOST: &str = "host";

/// The history of one host.
#[derive(Debug)]
pub struct History {
    store: Option<Store>,
    /// Why there is none, though there should be.
    broken: Option<String>,
    inner: Mutex<Inner>,
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    ledger: Ledger,
    /// By whom and why what serves of a plugin is about to change.
    intents: BTreeMap<String, (String, String)>,
    /// Why it is not written.
    trouble: Option<String>,
}

/// How a loaded release stands to others of its plugin.
#[derive(Debug)]
pub(super) enum Standing {
    /// The higher, the sooner it serves; of the same the higher version.
    Wants(u8),
    /// Nobody has asked for it.
    Waits,
    /// Somebody has spoken against it.
    Barred(Box<Record>),
}

/// Whether it serves until what was asked for in its place can, taken back or not.
fn stands_in(goal: Option<Goal>, digest: &Digest) -> bool {
    goal.is_some_and(|goal| !goal.served && goal.before == Some(*digest))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Default for History {
    /// Of a host that keeps none.
    fn default() -> Self {
        Self { store: None, broken: None, inner: Mutex::default(), revision: watch::Sender::new(0) }
    }
}

impl History {
    /// What is written there. Where nothing can be read or written, the host does what the folder says, and says so.
    pub fn open(folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return Self::default() };
        let opened = Store::open(folder).and_then(|store| Ok((store.read()?, store)));
        let ((mut ledger, lost), store) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%error, "releases have no history: the host serves what the plugin folder says, and knows nothing of releases that were rolled back or retired");
                return Self { broken: Some(error.to_string()), ..Self::default() };
            }
        };
        let is_lost = lost.is_some();
        if let Some(reason) = lost {
            tracing::error!(
                "the history of releases is lost, and begun anew; the host serves what the plugin folder says, also what was rolled back or retired: {reason}"
            );
        }
        end_drains(&mut ledger);
        if !is_lost {
            store.sweep(&ledger);
        }
        let revision = watch::Sender::new(ledger.revision());
        let history = Self {
            store: Some(store),
            broken: None,
            inner: Mutex::new(Inner { ledger, ..Inner::default() }),
            revision,
        };
        history.write(&mut history.inner());
        history
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Tells of each change, by the number that the next event gets.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Looks at everything.
    pub fn look<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.inner().ledger)
    }

    /// What is asked for of each plugin of which something is.
    pub(super) fn goals(&self) -> BTreeMap<String, Goal> {
        self.look(|ledger| ledger.goals().map(|(plugin, goal)| (plugin.clone(), *goal)).collect())
    }

    /// Why what happens is not written.
    pub fn trouble(&self) -> Option<String> {
        self.broken.clone().or_else(|| self.inner().trouble.clone())
    }

    fn usable(&self) -> Result<&Store, StoreError> {
        let none = || self.broken.clone().map_or(StoreError::None, StoreError::Unusable);
        self.store.as_ref().ok_or_else(none)
    }

    /// Whether the file is one of those that the host keeps.
    pub(super) fn is_kept(&self, file: &Path) -> bool {
        self.store.as_ref().is_some_and(|store| store.is_within(file))
    }

    /// Kept files that have to be loaded: what was asked for, what stands by for it, and what waits to be verified.
    pub(super) fn wanted(&self) -> Vec<PathBuf> {
        let Some(store) = &self.store else { return Vec::new() };
        self.look(|ledger| {
            let is_wanted = |record: &&Record| {
                let goal = ledger.goal(&record.name.plugin);
                record.kept
                    && (record.state == State::Staged
                        || (goal.is_some_and(|goal| goal.names(&record.digest))
                            && (!record.barred || stands_in(goal, &record.digest))))
            };
            ledger.records().filter(is_wanted).map(|record| store.artifact(&record.digest)).collect()
        })
    }

    pub(super) fn standing(&self, digest: &Digest, plugin: &str, file: &Path) -> Standing {
        self.look(|ledger| {
            let goal = ledger.goal(plugin);
            match ledger.record(digest).filter(|record| record.barred) {
                Some(record) if !stands_in(goal, digest) => return Standing::Barred(Box::new(record.clone())),
                _ => {}
            }
            match goal {
                Some(goal) if goal.digest == *digest => Standing::Wants(2),
                Some(goal) if goal.before == Some(*digest) => Standing::Wants(1),
                _ if self.is_kept(file) => Standing::Waits,
                _ => Standing::Wants(0),
            }
        })
    }

    /// Takes in what has happened, and writes it.
    fn note(&self, change: impl FnOnce(&mut Ledger) -> Result<(), Illegal>) {
        let mut inner = self.inner();
        if let Err(error) = change(&mut inner.ledger) {
            tracing::error!(%error, "the history does not fit what has happened");
        }
        self.write(&mut inner);
    }

    fn write(&self, inner: &mut Inner) {
        let batch = inner.ledger.take_batch();
        if batch.is_empty() {
            return;
        }
        self.revision.send_replace(inner.ledger.revision());
        let Some(store) = &self.store else { return };
        match store.write(&inner.ledger, &batch) {
            Ok(()) => inner.trouble = None,
            Err(error) => {
                let text = error.to_string();
                if inner.trouble.as_ref() != Some(&text) {
                    tracing::error!(
                        error = text,
                        "the history of releases can't be written; what serves goes on, and it is tried again with the next change"
                    );
                }
                inner.trouble = Some(text);
                inner.ledger.give_back(batch);
            }
        }
    }
}

/// No request has outlived the host before.
fn end_drains(ledger: &mut Ledger) {
    let draining: Vec<_> = ledger.records().filter(|record| record.state == State::Draining).cloned().collect();
    for record in draining {
        let cause = Cause { by: HOST, reason: "the host was started anew", at: now() };
        // From there it may always go.
        let _ = ledger.step(record.digest, &record.name, State::Retired, cause);
    }
}
