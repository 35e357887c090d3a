//! What people ask for: written first, and done then.

use super::{Cause, Goal, History, Illegal, Ledger, Name, Record, State, StoreError, now};
use crate::model::Digest;
use std::collections::BTreeSet;

/// Why what was asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Illegal(#[from] Illegal),
    #[error("no release of `{0}` is in service")]
    NotServed(String),
    #[error(
        "there is nothing to go back to: no other release of `{0}` has served here of which the bytes are kept; name one with --to, or \
         retire the plugin"
    )]
    NothingBefore(String),
    #[error("the bytes of {plugin} {version} are here no more: apply its file")]
    Gone { plugin: String, version: String },
    #[error(
        "it has changed since it was looked at: its revision is {now}, and the change was for {expected}; look again"
    )]
    Changed { now: u64, expected: u64 },
}

/// Who asks for a change, and on what terms.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub by: &'a str,
    pub reason: &'a str,
    /// The highest revision of the plugin's releases, as who asks has seen it.
    pub expected: Option<u64>,
    /// Of an artifact that is taken in: whether it serves as soon as it can.
    pub goes_live: bool,
}

impl History {
    /// Takes in an artifact; `goes_live`: as soon as it is verified.
    pub fn stage(&self, digest: Digest, name: &Name, bytes: &[u8], order: Order<'_>) -> Result<Record, HistoryError> {
        let store = self.usable()?;
        store.keep(&digest, bytes)?;
        let staged = self.order(&name.plugin, order, |ledger, cause| {
            let state = ledger.record(&digest).map(|record| record.state);
            if matches!(state, None | Some(State::Rejected | State::RolledBack | State::Retired)) {
                ledger.step(digest, name, State::Staged, cause)?;
            }
            ledger.set_kept(&digest, true);
            if order.goes_live {
                aim(ledger, name, digest, false);
            }
            ledger.record(&digest).cloned().ok_or_else(|| Illegal::Unknown(digest.to_string()).into())
        });
        if staged.is_err() && !self.look(|ledger| ledger.record(&digest).is_some_and(|record| record.kept)) {
            store.drop_artifact(&digest);
        }
        self.prune(store, &[digest]);
        staged
    }

    /// Puts a release that is known into service, whatever was said of it before. `loaded`: what is there without that its bytes are kept.
    pub fn apply(&self, digest: Digest, loaded: &BTreeSet<Digest>, order: Order<'_>) -> Result<Record, HistoryError> {
        let known = self.look(|ledger| ledger.record(&digest).cloned());
        let known = known.ok_or_else(|| Illegal::Unknown(digest.to_string()))?;
        is_there(&known, loaded)?;
        let name = known.name;
        self.order(&name.plugin, order, |ledger, cause| {
            let state = ledger.record(&digest).map(|record| record.state);
            if let Some(State::Rejected | State::RolledBack | State::Retired) = state {
                ledger.step(digest, &name, State::Staged, cause)?;
            }
            ledger.set_barred(&digest, false);
            aim(ledger, &name, digest, false);
            ledger.record(&digest).cloned().ok_or_else(|| Illegal::Unknown(digest.to_string()).into())
        })
    }

    /// Takes back what serves of a plugin, and puts the release before it, or this one, in its place.
    pub fn roll_back(
        &self,
        plugin: &str,
        to: Option<Digest>,
        loaded: &BTreeSet<Digest>,
        order: Order<'_>,
    ) -> Result<Record, HistoryError> {
        self.order(plugin, order, |ledger, cause| {
            let live = ledger.of_plugin(plugin).find(|record| record.state == State::Live).cloned();
            let live = live.ok_or_else(|| HistoryError::NotServed(plugin.to_owned()))?;
            let target = match to {
                Some(digest) => ledger.record(&digest).cloned().ok_or_else(|| Illegal::Unknown(digest.to_string()))?,
                None => {
                    ledger.before_live(plugin).cloned().ok_or_else(|| HistoryError::NothingBefore(plugin.to_owned()))?
                }
            };
            is_there(&target, loaded)?;
            if target.digest == live.digest || target.name.plugin != plugin {
                let (plugin, version) = (target.name.plugin, target.name.version.to_string());
                return Err(Illegal::Step { plugin, version, from: Some(target.state), to: State::Live }.into());
            }
            if matches!(target.state, State::Rejected | State::RolledBack | State::Retired) {
                ledger.step(target.digest, &target.name, State::Staged, cause)?;
            }
            ledger.set_barred(&target.digest, false);
            ledger.step(live.digest, &live.name, State::RolledBack, cause)?;
            ledger.set_goal(
                plugin,
                Some(Goal {
                    digest: target.digest,
                    before: Some(live.digest),
                    before_asked: false,
                    served: false,
                    by_folder: false,
                }),
            );
            ledger.record(&target.digest).cloned().ok_or_else(|| Illegal::Unknown(target.digest.to_string()).into())
        })
    }

    /// Takes a plugin out of service; no file of the folder puts any known release of it back.
    /// With the one that served, or the last of which was heard.
    pub fn retire(&self, plugin: &str, order: Order<'_>) -> Result<Record, HistoryError> {
        self.order(plugin, order, |ledger, cause| {
            let all: Vec<_> = ledger.of_plugin(plugin).cloned().collect();
            let newest = all.iter().max_by_key(|record| (record.state == State::Live, record.revision)).cloned();
            let newest = newest.ok_or_else(|| HistoryError::NotServed(plugin.to_owned()))?;
            for record in &all {
                ledger.set_barred(&record.digest, true);
                if matches!(record.state, State::Staged | State::Verified) {
                    ledger.step(record.digest, &record.name, State::Retired, cause)?;
                }
            }
            ledger.set_goal(plugin, None);
            Ok(ledger.record(&newest.digest).cloned().unwrap_or(newest))
        })
    }

    /// Changes what is wanted of a plugin: written when this returns, or not done.
    fn order<T>(
        &self,
        plugin: &str,
        order: Order<'_>,
        change: impl FnOnce(&mut Ledger, Cause<'_>) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let store = self.usable()?;
        let mut inner = self.inner();
        let newest = inner.ledger.of_plugin(plugin).map(|record| record.revision).max();
        if let (Some(expected), now) = (order.expected, newest.unwrap_or_default())
            && expected != now
        {
            return Err(HistoryError::Changed { now, expected });
        }
        let mut ledger = inner.ledger.clone();
        let done = change(&mut ledger, Cause { by: order.by, reason: order.reason, at: now() })?;
        let batch = ledger.take_batch();
        store.write(&ledger, &batch)?;
        inner.ledger = ledger;
        inner.intents.insert(plugin.to_owned(), (order.by.to_owned(), order.reason.to_owned()));
        self.revision.send_replace(inner.ledger.revision());
        Ok(done)
    }
}

fn is_there(record: &Record, loaded: &BTreeSet<Digest>) -> Result<(), HistoryError> {
    if record.kept || loaded.contains(&record.digest) {
        return Ok(());
    }
    Err(HistoryError::Gone { plugin: record.name.plugin.clone(), version: record.name.version.to_string() })
}

/// From now on this one is wanted; what serves stands by for it, also what serves only until another one can.
pub(super) fn aim(ledger: &mut Ledger, name: &Name, digest: Digest, by_folder: bool) {
    let old = ledger.goal(&name.plugin);
    if old.is_some_and(|goal| goal.digest == digest) {
        return;
    }
    let live = ledger.of_plugin(&name.plugin).find(|record| record.state == State::Live).map(|record| record.digest);
    let (before, before_asked) = match old.filter(|goal| !goal.served) {
        Some(pending) => (pending.before, pending.before_asked),
        None => (live, old.is_some()),
    };
    let (before, served) = (before.filter(|before| *before != digest), live == Some(digest) && !by_folder);
    ledger.set_goal(&name.plugin, Some(Goal { digest, before, before_asked, served, by_folder }));
}
