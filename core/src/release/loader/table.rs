//! What serves of all that is loaded: arranged, put into one table, and swapped in.

use super::{Contender, Event, Loader, Release, State, Table, arrange, reports};
use crate::{
    model::Digest,
    release::{
        Refusal, folder,
        history::{History, Standing},
    },
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

impl Loader {
    /// Makes a table of all that can serve, and swaps it in.
    pub(super) fn rearrange(&self, state: &mut State) {
        state.dismiss();
        let live = self.releases.current();
        // What was asked for and can't serve is asked for no more; that can't go on for longer than there are plugins.
        let arranged = (0..=state.files.len()).find_map(|_| self.arranged(state, &live));
        let Some(releases) = arranged else { return };
        let table = Table::of(releases, &self.history, &self.metrics);
        let new = self.announce(&live, &table);
        self.releases.swap(table);
        if state.is_in_force {
            self.record_table(&self.releases.current(), new);
        }
    }

    /// Writes what serves to the history, and keeps the bytes of these.
    pub(super) fn record_table(&self, table: &Table, new: Vec<Arc<Release>>) {
        let serving: Vec<_> = table.releases().iter().map(|release| (release.digest, release.named())).collect();
        self.history.in_service(&serving);
        self.keep(new);
    }

    /// What is to serve; nothing if that has changed what is wanted.
    fn arranged(&self, state: &mut State, live: &Table) -> Option<Vec<Arc<Release>>> {
        let Contenders { places, contenders, others } = state.contenders(&self.history);
        for (path, reason) in others {
            let effects = state.step(&path, Event::Arranged(reason));
            self.tell(state, &path, effects);
        }
        let mut arranged = arrange(&contenders, &live.held());
        for (at, ((path, is_front), contender)) in places.iter().zip(&contenders).enumerate() {
            // Of what served from a file before nothing is told.
            if !is_front {
                continue;
            }
            let clash = arranged.refused.remove(&at).and_then(reports::joined);
            if let Some(clash) = clash.as_ref().filter(|_| state.is_in_force) {
                if self.rejected(path, clash) {
                    state.step(path, Event::Removed);
                    return None;
                }
                if self.history.not_wanted(contender.claim.digest, &contender.claim.name) {
                    return None;
                }
            }
            let effects = state.step(path, Event::Arranged(clash));
            self.tell(state, path, effects);
        }
        let serving: BTreeSet<_> = arranged.serving.into_iter().collect();
        let releases = contenders.into_iter().enumerate().filter(|(at, _)| serving.contains(at));
        Some(releases.map(|(_, contender)| contender.claim).collect())
    }

    /// Keeps the bytes of what serves, on a thread that serves nobody.
    fn keep(&self, mut releases: Vec<Arc<Release>>) {
        let is_kept =
            |digest: &Digest| self.history.look(|ledger| ledger.record(digest).is_some_and(|record| record.kept));
        releases.retain(|release| !self.history.is_kept(&release.file) && !is_kept(&release.digest));
        if releases.is_empty() {
            return;
        }
        let (history, most) = (self.history.clone(), self.config.max_artifact.0);
        tokio::task::spawn_blocking(move || {
            // A file that has gone, or was replaced, is not what serves.
            let bytes = |release: &Release| folder::read_any(&release.file, most).ok();
            let same = |release: &Arc<Release>| {
                Some((release.digest, bytes(release)?)).filter(|(digest, bytes)| Digest::of(bytes) == *digest)
            };
            history.keep(releases.iter().filter_map(same));
        });
    }

    /// What is new in `after`.
    fn announce(&self, before: &Table, after: &Table) -> Vec<Arc<Release>> {
        let has =
            |table: &Table, release: &Release| table.releases().iter().any(|other| other.digest == release.digest);
        for release in before.releases().iter().filter(|release| !has(after, release)) {
            self.metrics.releases.remove(&release.labels());
            let is_live = |labels: &_| after.releases().iter().any(|other| other.labels() == *labels);
            self.metrics.retire(release.past(), is_live);
            tracing::info!(plugin = %release.name, version = %release.version, digest = %release.digest.short(), "release retired");
        }
        for release in after.releases().iter().filter(|release| !has(before, release)) {
            self.metrics.releases.get_or_create(&release.labels()).set(1);
            tracing::info!(plugin = %release.name, version = %release.version, client = %release.client,
                endpoints = release.endpoints.len(), digest = %release.digest.short(), "release live");
        }
        after.releases().iter().filter(|release| !has(before, release)).cloned().collect()
    }
}

impl State {
    /// The releases of all files with the files' paths, in the order of their claims: who leaves claims nothing against who stays. What
    /// served before follows what is to serve now.
    fn contenders(&self, history: &History) -> Contenders {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(_, file)| (file.candidate.is_leaving(), file.order));
        let mut all = Contenders::default();
        for (path, file) in files {
            let Some(loaded) = file.candidate.loaded() else { continue };
            let mut behind = None;
            match history.standing(&loaded.release.digest, &loaded.release.name, path) {
                Standing::Wants(rank) => {
                    behind = Some(all.contenders.len());
                    all.places.push((path.clone(), true));
                    all.contenders.push(Contender { claim: loaded.release.clone(), rank, behind: None });
                }
                Standing::Waits => all.others.push((path.clone(), None)),
                Standing::Barred(record) => all.others.push((path.clone(), Some(Refusal::barred(&record)))),
            }
            let Some(before) = loaded.before.clone() else { continue };
            if let Standing::Wants(rank) = history.standing(&before.digest, &before.name, path) {
                all.places.push((path.clone(), false));
                all.contenders.push(Contender { claim: before, rank, behind });
            }
        }
        all
    }
}

/// What may serve, and what may not.
#[derive(Debug, Default)]
struct Contenders {
    /// The file of each, and whether it is what lies there now.
    places: Vec<(PathBuf, bool)>,
    contenders: Vec<Contender<Arc<Release>>>,
    /// Files whose releases are out of it, with the reason where there is one.
    others: Vec<(PathBuf, Option<Refusal>)>,
}
