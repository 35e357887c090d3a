//! What has happened to releases, as the loader tells it.

use super::{Cause, FOLDER, Goal, HOST, History, Illegal, Inner, Ledger, Name, State, Store, now, orders::aim};
use crate::model::Digest;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

impl History {
    /// These were loaded. One from the folder that nobody knew is asked for by that, if it is higher than what was asked for.
    pub(in super::super) fn verified(&self, releases: impl IntoIterator<Item = (Digest, Name, PathBuf)>) {
        let releases: Vec<_> =
            releases.into_iter().map(|(digest, name, file)| (digest, name, self.is_kept(&file), file)).collect();
        self.note(|ledger| {
            for (digest, name, is_kept, file) in &releases {
                verify(ledger, *digest, name, *is_kept, file)?;
            }
            Ok(())
        });
    }

    /// An uploaded release can't serve; what was asked for before it is asked for again. Says whether it was rejected.
    pub(in super::super) fn rejected(&self, digest: Digest, reason: &str) -> bool {
        let mut is_rejected = false;
        self.note(|ledger| {
            let Some(record) = ledger.record(&digest).cloned() else { return Ok(()) };
            let plugin = &record.name.plugin;
            let goal = ledger.goal(plugin).filter(|goal| goal.digest == digest && !goal.served);
            let is_new = goal.is_some() && matches!(record.state, State::Staged | State::Verified);
            if !is_new && record.state != State::Staged {
                return Ok(());
            }
            let cause = Cause { by: HOST, reason, at: now() };
            ledger.step(digest, &record.name, State::Rejected, cause)?;
            is_rejected = true;
            if let Some(goal) = goal {
                give_back(ledger, plugin, goal, cause)?;
            }
            Ok(())
        });
        is_rejected
    }

    /// A release of the folder can't serve beside others. Says whether that changes what is wanted.
    pub(in super::super) fn not_wanted(&self, digest: Digest, plugin: &str) -> bool {
        let mut is_other = false;
        self.note(|ledger| {
            let goal = ledger.goal(plugin).filter(|goal| goal.digest == digest && !goal.served && goal.by_folder);
            is_other = goal.is_some();
            goal.map_or(Ok(()), |goal| give_back(ledger, plugin, goal, Cause { by: HOST, reason: "", at: now() }))
        });
        is_other
    }

    /// These are in service now, and no others.
    pub(in super::super) fn in_service(&self, releases: &[(Digest, Name)]) {
        let intents = self.inner().intents.clone();
        self.note(|ledger| {
            let serving: BTreeSet<_> = releases.iter().map(|(digest, _)| *digest).collect();
            let left =
                ledger.records().filter(|record| record.state == State::Live && !serving.contains(&record.digest));
            for record in left.cloned().collect::<Vec<_>>() {
                let after = releases.iter().find(|(_, name)| name.plugin == record.name.plugin);
                let reason = after.map_or_else(
                    || "it is not wanted any more".to_owned(),
                    |(_, name)| format!("{} serves", name.version),
                );
                let (by, reason) = intents.get(&record.name.plugin).map_or((FOLDER, &*reason), |(by, why)| (by, why));
                ledger.step(record.digest, &record.name, State::Draining, Cause { by, reason, at: now() })?;
            }
            for (digest, name) in releases {
                go_live(ledger, *digest, name, intents.get(&name.plugin))?;
            }
            Ok(())
        });
        let serves = |plugin: &str| releases.iter().any(|(_, name)| name.plugin == plugin);
        let mut inner = self.inner();
        let Inner { ledger, intents, .. } = &mut *inner;
        // Until what was asked for serves, who has asked for it is known.
        intents.retain(|plugin, _| ledger.goal(plugin).is_some_and(|goal| !goal.served) && serves(plugin));
    }

    /// The last request of a release has ended.
    pub(in super::super) fn drained(&self, digest: Digest) {
        self.note(|ledger| match ledger.record(&digest).cloned() {
            Some(record) if record.state == State::Draining => {
                let cause = Cause { by: HOST, reason: "its last request has ended", at: now() };
                ledger.step(digest, &record.name, State::Retired, cause)
            }
            _ => Ok(()),
        });
    }

    /// Keeps the bytes of what serves, so that there is a way back to it when its file is gone.
    pub(in super::super) fn keep(&self, artifacts: impl Iterator<Item = (Digest, Vec<u8>)>) {
        let Some(store) = &self.store else { return };
        let mut kept = Vec::new();
        for (digest, bytes) in artifacts {
            match store.keep(&digest, &bytes) {
                Ok(_) => kept.push(digest),
                Err(error) => {
                    tracing::warn!(%error, "the bytes of a release can't be kept: there is no way back to it once its file is gone");
                    break;
                }
            }
        }
        self.note(|ledger| {
            kept.iter().for_each(|digest| ledger.set_kept(digest, true));
            Ok(())
        });
        self.prune(store, &kept);
    }

    /// Of the plugins of these, the bytes of what served longest ago are not kept, beyond so many.
    pub(super) fn prune(&self, store: &Store, kept: &[Digest]) {
        let mut too_many = Vec::new();
        self.note(|ledger| {
            let plugin = |digest| Some(&ledger.record(digest)?.name.plugin);
            let plugins: BTreeSet<_> = kept.iter().filter_map(plugin).cloned().collect();
            too_many = plugins.iter().flat_map(|plugin| ledger.too_many_kept(plugin)).collect();
            too_many.iter().for_each(|digest| ledger.set_kept(digest, false));
            Ok(())
        });
        too_many.iter().for_each(|digest| store.drop_artifact(digest));
    }
}

/// What it has to go through on the way, and that what was asked for serves.
fn go_live(ledger: &mut Ledger, digest: Digest, name: &Name, intent: Option<&(String, String)>) -> Result<(), Illegal> {
    let state = ledger.record(&digest).map(|record| record.state);
    let (by, reason) = intent.map_or((FOLDER, "the highest version that can serve"), |(by, reason)| (by, reason));
    let cause = Cause { by, reason, at: now() };
    let steps: &[State] = match state {
        Some(State::Live) => &[],
        Some(State::Verified | State::Draining) => &[State::Live],
        Some(State::Staged | State::Retired) => &[State::Verified, State::Live],
        None => &[State::Staged, State::Verified, State::Live],
        // It stands in until what was asked for in its place is loaded.
        Some(State::Rejected | State::RolledBack) => return Ok(()),
    };
    for state in steps {
        ledger.step(digest, name, *state, cause)?;
    }
    if let Some(goal) = ledger.goal(&name.plugin).filter(|goal| goal.digest == digest && !goal.served) {
        ledger.set_goal(&name.plugin, Some(Goal { served: true, ..goal }).filter(|goal| !goal.by_folder));
    }
    Ok(())
}

fn verify(ledger: &mut Ledger, digest: Digest, name: &Name, is_kept: bool, file: &Path) -> Result<(), Illegal> {
    let known = ledger.record(&digest).map(|record| (record.state, record.barred));
    let (by, file) = (if is_kept { HOST } else { FOLDER }, file.display().to_string());
    let cause = Cause { by, reason: &file, at: now() };
    if known.is_none() {
        ledger.step(digest, name, State::Staged, cause)?;
    }
    if matches!(known, None | Some((State::Staged, _) | (State::Retired, false))) {
        let reason = "it is compiled, and its calls lead somewhere";
        ledger.step(digest, name, State::Verified, Cause { by: HOST, reason, ..cause })?;
    }
    let Some(goal) = ledger.goal(&name.plugin).filter(|_| known.is_none() && !is_kept) else { return Ok(()) };
    if ledger.record(&goal.digest).is_none_or(|record| record.name.version < name.version) {
        aim(ledger, name, digest, true);
    }
    Ok(())
}

/// What served before, or was to, is wanted again, also where it was taken back for this.
fn give_back(ledger: &mut Ledger, plugin: &str, goal: Goal, cause: Cause<'_>) -> Result<(), Illegal> {
    ledger.set_goal(plugin, goal.back());
    let taken_back = goal.before.and_then(|before| ledger.record(&before)).filter(|record| record.barred).cloned();
    let Some(record) = taken_back else { return Ok(()) };
    let reason = format!("what was to take its place can't serve: {}", cause.reason);
    ledger.step(record.digest, &record.name, State::Staged, Cause { reason: &reason, ..cause })?;
    let served = Goal { digest: record.digest, before: None, before_asked: false, served: false, by_folder: false };
    ledger.set_goal(plugin, Some(served));
    Ok(())
}
