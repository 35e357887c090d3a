//! From files to a new release table: read, verify, compile, build, swap.
//!
//! [`Loader::look`] never waits for a compiler, and parses nothing that no other process came through before: what is new goes into the
//! [`Queue`], is read and then compiled by processes beside, a few at once, and each release goes into service when it is done. So neither
//! a file that can't be compiled in time nor a whole folder of new ones keeps a removal or a roll-back waiting.

mod orders;
mod reports;
mod table;
mod work;

pub use orders::NotTaken;
pub use reports::Report;

use super::{
    Config, Refusal, Releases,
    arrange::{Contender, arrange},
    candidate::{Candidate, Effect, Event, step},
    folder::{self, Folder, Stamp},
    history::History,
    queue::{Job, Kind, Queue},
    table::{Release, Table},
    verify::{Verification, Verified},
};
use crate::{fanout::Engine, model::Digest, plugin::Runtime, sync::lock, telemetry::Metrics};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, RwLock},
};
use tokio::{sync::watch, task::JoinError};
use work::{Work, guarded};

/// Looks at files that are being written to, before the host starts without them.
const MOST_LOOKS: usize = 20;

/// Loads what lies in the folder, on threads that serve no requests.
#[derive(Debug)]
pub struct Loader {
    config: Config,
    verification: Verification,
    runtime: Runtime,
    metrics: Metrics,
    releases: Arc<Releases>,
    history: Arc<History>,
    /// Held while the folder is looked at: one looks at a time.
    looking: Mutex<()>,
    /// Shared by those that load an artifact; of one alone that a host has died of before.
    loading: RwLock<()>,
    state: Mutex<State>,
    /// Jobs in the queue or under way.
    open: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    folder: Folder,
    files: BTreeMap<PathBuf, File>,
    /// How many files have been seen.
    seen: u64,
    queue: Queue<Work>,
    /// Whether the first table was built: until then all wait for all, so that no request sees half of them.
    has_begun: bool,
    /// Whether its table is the one that requests see, and its changes are the host's history.
    is_in_force: bool,
}

#[derive(Debug)]
struct File {
    /// When it was first seen: who came first keeps a version.
    order: u64,
    candidate: Candidate<Arc<Release>>,
}

impl Loader {
    pub fn new(
        config: Config,
        clients: Vec<String>,
        runtime: Runtime,
        engine: Arc<Engine>,
        metrics: &Metrics,
        releases: Arc<Releases>,
        history: Arc<History>,
    ) -> Self {
        let (verification, metrics) = (Verification::new(clients, engine), metrics.clone());
        let (folder, queue) = (Folder::new(config.folder.clone()), Queue::new(runtime.compilers()));
        let state =
            Mutex::new(State { folder, files: BTreeMap::new(), seen: 0, queue, has_begun: false, is_in_force: false });
        let (looking, loading, open) = Default::default();
        Self { config, verification, runtime, metrics, releases, history, looking, loading, state, open }
    }

    /// The folder that it loads from.
    pub fn folder(&self) -> &Path {
        &self.config.folder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes the queue, and tells who waits for its end.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        self.open.send_replace(state.queue.open());
    }

    /// Puts everything that lies in the folder into service, and returns when that is done.
    pub async fn refresh(self: &Arc<Self>) -> Result<(), JoinError> {
        // One that can't be made is told of by whoever looks into it.
        let _ = std::fs::create_dir_all(&self.config.folder);
        // A file that somebody never stops writing to is left for later.
        for _ in 0..MOST_LOOKS {
            let loader = self.clone();
            if tokio::task::spawn_blocking(move || loader.look()).await? {
                break;
            }
            tokio::time::sleep(folder::UNSETTLED).await;
        }
        // The sender lives as long as this does.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
        let mut state = self.state();
        if !state.has_begun {
            state.has_begun = true;
            self.rearrange(&mut state);
        }
        Ok(())
    }

    /// Looks at the folder. What can serve at once does when this returns; the rest is compiled beside. Says no if a file is still
    /// being written to, and has to be looked at again soon. Blocks while it reads files, and needs a runtime.
    pub fn look(self: &Arc<Self>) -> bool {
        let _alone = lock(&self.looking);
        let found = {
            let state = &mut *self.state();
            state.folder.look(!state.files.is_empty())
        };
        let found = match found {
            Some(found) => found,
            // What is kept beside the folder is loaded nevertheless.
            None => self.of_folder(),
        };
        let found = self.history.wanted().into_iter().filter_map(folder::stamped).chain(found).collect();
        for path in self.missing(&found) {
            self.happened(&path, Event::Removed);
        }
        let mut is_settled = true;
        for (path, stamp) in self.to_examine(found) {
            is_settled &= self.examine(&path, stamp);
        }
        let waiting = self.state().queue.open();
        if waiting > 0 {
            tracing::debug!(waiting, at_once = self.runtime.compilers(), "reading and compiling");
        }
        self.begin_jobs();
        is_settled
    }

    /// What was found in the folder before.
    fn of_folder(&self) -> BTreeMap<PathBuf, Stamp> {
        let state = self.state();
        let is_of_folder =
            |(path, file): &(&PathBuf, &File)| !self.history.is_kept(path) && !file.candidate.is_leaving();
        let files = state.files.iter().filter(is_of_folder);
        files.filter_map(|(path, file)| Some((path.clone(), file.candidate.stamp()?))).collect()
    }

    fn missing(&self, found: &BTreeMap<PathBuf, Stamp>) -> Vec<PathBuf> {
        let state = self.state();
        let missing =
            state.files.iter().filter(|(path, file)| !found.contains_key(*path) && !file.candidate.is_leaving());
        missing.map(|(path, _)| path.clone()).collect()
    }

    fn to_examine(&self, found: BTreeMap<PathBuf, Stamp>) -> Vec<(PathBuf, Stamp)> {
        let state = self.state();
        let is_new = |(path, stamp): &(PathBuf, Stamp)| {
            state.files.get(path).is_none_or(|file| file.candidate.has_to_be_read(*stamp))
        };
        found.into_iter().filter(is_new).collect()
    }

    /// Loads the file, if that can be done at once, or queues it. Says no if it is being written to.
    fn examine(&self, path: &Path, stamp: Stamp) -> bool {
        // What the host keeps was written whole before it had its name.
        if !stamp.is_settled() && !self.history.is_kept(path) {
            return false;
        }
        let bytes = match folder::read(path, stamp, self.config.max_artifact.0) {
            Ok(None) => return false,
            Ok(Some(bytes)) => bytes,
            Err(reason) => {
                self.happened(path, Event::Found(stamp));
                self.happened(path, Event::Failed(stamp, reason));
                return true;
            }
        };
        self.happened(path, Event::Found(stamp));
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        if let Some(known) = self.known(digest, path) {
            self.happened(path, Event::Ready(stamp, known));
            return true;
        }
        let is_suspect = self.runtime.has_died_of(digest);
        if is_suspect || !self.runtime.has_compiled(digest) {
            let (path, kind, work) = (path.to_owned(), Kind::Read, Work::Read(bytes));
            self.change(|state| state.queue.push(Job { path, stamp, digest, size, is_suspect, kind, work }));
            return true;
        }
        let loaded = guarded(|| self.load_compiled(path, digest, bytes));
        let event = loaded.map_or_else(|reason| Event::Failed(stamp, reason), |release| Event::Ready(stamp, release));
        self.happened(path, event);
        true
    }

    /// The same bytes, loaded before under this or another name.
    fn known(&self, digest: Digest, path: &Path) -> Option<Arc<Release>> {
        let state = self.state();
        let here = state.files.get(path).into_iter();
        here.chain(state.files.values())
            .filter_map(|file| Some(&file.candidate.loaded()?.release))
            .find(|release| release.digest == digest)
            .cloned()
    }

    /// Takes in what happened to a file, and does what follows from it.
    fn happened(&self, path: &Path, event: Event<Arc<Release>>) {
        let state = &mut *self.state();
        let is_rejected = state.is_in_force && self.record(path, &event);
        let effects = state.step(path, event);
        let is_stirred = effects.iter().any(|effect| matches!(effect, Effect::Rearrange));
        self.tell(state, path, effects);
        if is_rejected {
            // The same bytes may be asked for again, and are tried anew then.
            state.step(path, Event::Removed);
        }
        if is_stirred && state.has_begun {
            self.rearrange(state);
        }
    }

    /// Writes it to the history; says whether that has rejected a release.
    fn record(&self, path: &Path, event: &Event<Arc<Release>>) -> bool {
        match event {
            Event::Ready(_, release) => {
                self.history.verified([(release.digest, release.named(), path.to_owned())]);
                false
            }
            Event::Failed(_, reason) => self.rejected(path, reason),
            _ => false,
        }
    }

    /// One that was uploaded can't serve, and the host's own trouble is not why. Says whether it was rejected.
    fn rejected(&self, path: &Path, reason: &Refusal) -> bool {
        let digest = self.history.is_kept(path).then(|| path.file_stem()?.to_str()?.parse().ok()).flatten();
        !reason.is_hosts() && digest.is_some_and(|digest| self.history.rejected(digest, &reason.to_string()))
    }

    /// From now on requests see its table. Blocks, and needs a runtime.
    pub fn enter_service(&self) {
        let state = &mut *self.state();
        state.is_in_force = true;
        let before = self.history.goals();
        let loaded = |(path, file): (&PathBuf, &File)| {
            let release = &file.candidate.loaded()?.release;
            Some((release.digest, release.named(), path.clone()))
        };
        self.history.verified(state.files.iter().filter_map(loaded));
        let refused = |(path, file): (&PathBuf, &File)| Some((path.clone(), file.candidate.refused()?.clone()));
        for (path, reason) in state.files.iter().filter_map(refused).collect::<Vec<_>>() {
            if self.rejected(&path, &reason) {
                state.step(&path, Event::Removed);
            }
        }
        let goals = self.history.goals();
        let is_open = goals != before || goals.values().any(|goal| !goal.served);
        match state.has_begun {
            true if is_open => self.rearrange(state),
            true => {
                let table = self.releases.current();
                self.record_table(&table, table.releases().to_vec());
            }
            false => {}
        }
    }

    /// Requests see the table of another one.
    pub fn leave_service(&self) {
        self.state().is_in_force = false;
    }

    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// What is wanted has changed. Blocks while it reads files, and needs a runtime.
    pub fn order_changed(self: &Arc<Self>) {
        self.look();
        let state = &mut *self.state();
        if state.has_begun {
            self.rearrange(state);
        }
    }

    fn tell(&self, state: &State, path: &Path, effects: Vec<Effect>) {
        let Some(file) = state.files.get(path) else { return };
        for effect in effects {
            let Effect::Tell(reason) = effect else { continue };
            self.metrics.releases_refused.inc();
            let goes_on = |old: &Arc<Release>| format!("{} {} goes on", old.name, old.version);
            // Of what clashes with others it is the one before that may serve.
            let serving = file.candidate.loaded().and_then(|loaded| match &loaded.clash {
                Some(_) => loaded.before.as_ref(),
                None => Some(&loaded.release),
            });
            let consequence = serving.map_or_else(|| "it is not served".to_owned(), goes_on);
            tracing::error!(file = %path.display(), "artifact refused, {consequence}: {reason}");
        }
    }
}

impl State {
    fn step(&mut self, path: &Path, event: Event<Arc<Release>>) -> Vec<Effect> {
        let (order, before) = match self.files.remove(path) {
            Some(file) => (file.order, Some(file.candidate)),
            None => (self.seen, None),
        };
        let (after, effects) = step(before, event);
        if let Some(candidate) = after {
            self.seen = self.seen.max(order + 1);
            self.files.insert(path.to_owned(), File { order, candidate });
        }
        effects
    }

    /// Drops what was removed and stands in for nobody.
    fn dismiss(&mut self) {
        let is_awaited = |name: &str| self.files.values().any(|file| file.candidate.may_become(name));
        let is_over = |file: &File| {
            let release = file.candidate.loaded().map(|loaded| &loaded.release);
            file.candidate.is_leaving() && !release.is_some_and(|release| is_awaited(&release.name))
        };
        let over: Vec<_> = self.files.iter().filter(|(_, file)| is_over(file)).map(|(path, _)| path.clone()).collect();
        over.iter().for_each(|path| drop(self.step(path, Event::Unawaited)));
    }
}
