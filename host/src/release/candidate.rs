//! One file of the plugin folder: what it held, what it holds, and what became of it.

use super::{Refusal, Release, folder::Stamp};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// One file of the folder.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) stamp: Stamp,
    /// The last state of the file that could be loaded.
    pub(super) good: Option<Arc<Release>>,
    /// What served from this file before, for as long as `good` can't.
    pub(super) last: Option<Arc<Release>>,
    /// Its present state is read or compiled.
    pub(super) pending: Option<Pending>,
    /// What is wrong with its present state, by itself.
    pub(super) refused: Option<Arc<Refusal>>,
    /// What keeps it out of the table, beside the others.
    pub(super) clash: Option<Arc<Refusal>>,
    /// When it was first seen: who came first keeps an endpoint.
    pub(super) order: u64,
    /// It was removed. What it served goes on while another file with the same plugin is compiled.
    pub(super) is_gone: bool,
}

/// What is known of a file that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pending {
    /// Nothing: a process of its own reads it first.
    Unread,
    /// The same, or it is compiled; a host has died of it before, so it comes when all others are done.
    Suspect,
    /// This version of this plugin is compiled.
    Version(String, semver::Version),
}

impl Candidate {
    /// Whether what keeps it out is the host's own trouble, which may be over at any time.
    pub(super) fn is_host_troubled(&self) -> bool {
        self.pending.is_none() && self.refused.as_deref().is_some_and(Refusal::is_hosts)
    }

    /// Whether it is another file that keeps it out.
    pub(super) fn is_blocked(&self) -> bool {
        self.pending.is_none() && matches!(self.refused.as_deref(), Some(Refusal::SameVersion { .. }))
    }
}

/// The releases of all files in the order of their claims, each once; of some files also what served before.
pub(super) fn in_order(
    files: &BTreeMap<PathBuf, Candidate>,
    with_last: impl Fn(&Candidate) -> bool,
) -> Vec<Arc<Release>> {
    let mut candidates: Vec<_> = files.values().collect();
    candidates.sort_by_key(|candidate| candidate.order);
    let mut releases: Vec<Arc<Release>> = Vec::new();
    for candidate in candidates {
        let last = candidate.last.iter().filter(|_| with_last(candidate));
        for release in candidate.good.iter().chain(last) {
            if !releases.iter().any(|other| other.digest == release.digest) {
                releases.push(release.clone());
            }
        }
    }
    releases
}
