//! From files to a new release table: read, verify, compile, build, swap.
//!
//! [`Loader::look`] never waits for a compiler, and parses nothing that no other process came through before: what is new goes to the
//! [`workshop`], is read and then compiled there by helpers, a few at once, and each release goes into service when it is done. So neither a file that can't be compiled in time nor a whole folder of new ones keeps a removal or
//! a roll-back waiting. Whoever came first keeps an endpoint, whichever was compiled first.

mod find;
mod reports;
mod workshop;

pub use reports::Report;

use super::{
    Config, Refusal, Releases,
    candidate::{Candidate, Pending, in_order},
    folder::{self, Stamp},
    table::{Release, Table},
};
use crate::{
    artifact::{Artifact, Digest, Manifest},
    fanout::{Engine, Plans},
    plugin::{Plugin, Runtime},
    telemetry::Metrics,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock},
};

/// Looks at files that are being written to, before the host starts without them.
const MOST_LOOKS: usize = 20;

/// Loads what lies in the folder, on threads that serve no requests.
#[derive(Debug)]
pub struct Loader {
    config: Config,
    clients: Vec<String>,
    runtime: Runtime,
    engine: Arc<Engine>,
    metrics: Metrics,
    releases: Arc<Releases>,
    /// Held while the folder is looked at: one looks at a time.
    looking: Mutex<()>,
    /// Shared by those that load an artifact; of one alone that a host has died of before.
    loading: RwLock<()>,
    state: Mutex<State>,
    /// Rung when a job is done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Candidate>,
    jobs: Vec<Job>,
    /// The folder in which they were found, and what is wrong with the one that is there now.
    folder: Option<folder::Identity>,
    folder_trouble: Option<String>,
    /// Jobs in the queue or at work.
    open: usize,
    /// Threads that read, and threads that compile.
    readers: usize,
    compilers: usize,
    /// Whether the first table was built: until then all wait for all, so that no request sees half of them.
    has_begun: bool,
    /// Whether something came or went since the folder was looked at: what was refused for its sake may come in now.
    is_stirred: bool,
}

impl State {
    /// Drops what was removed and stands in for nobody.
    fn sweep(&mut self) {
        let pending: Vec<Pending> = self.files.values().filter_map(|candidate| candidate.pending.clone()).collect();
        let is_awaited = |name: &String| {
            pending.iter().any(|pending| match pending {
                Pending::Unread | Pending::Suspect => true,
                Pending::Version(plugin, _) => plugin == name,
            })
        };
        self.files.retain(|_, candidate| {
            !candidate.is_gone || candidate.good.as_ref().is_some_and(|good| is_awaited(&good.name))
        });
    }
}

/// What takes longer than a look at the folder may.
#[derive(Debug)]
struct Job {
    path: PathBuf,
    stamp: Stamp,
    digest: Digest,
    /// A host has died while it loaded this: it comes last and alone.
    is_suspect: bool,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// By a process of its own, and then here.
    Read(Bytes),
    /// It is good as far as it can be without being compiled.
    Compile(Box<(Artifact, Plans)>),
}

/// What became of a file.
#[derive(Debug)]
enum Examined {
    Ready(Arc<Release>),
    Later(Job),
    /// It is being written to.
    Unsettled,
}

/// What is noted of a file.
#[derive(Debug)]
enum Outcome {
    Good(Arc<Release>),
    Bad(Refusal),
    Pending(Pending),
}

impl Loader {
    pub fn new(
        config: Config,
        clients: Vec<String>,
        runtime: Runtime,
        engine: Arc<Engine>,
        metrics: &Metrics,
        releases: Arc<Releases>,
    ) -> Self {
        let metrics = metrics.clone();
        let (looking, loading, state, done) = Default::default();
        Self { config, clients, runtime, engine, metrics, releases, looking, loading, state, done }
    }

    /// The folder that it loads from.
    pub fn folder(&self) -> &Path {
        &self.config.folder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts everything that lies in the folder into service, and returns when that is done. Blocks while it compiles.
    pub fn refresh(self: &Arc<Self>) {
        // One that can't be made is told of by whoever looks into it.
        let _ = std::fs::create_dir_all(&self.config.folder);
        // A file that somebody never stops writing to is left for later.
        for _ in 0..MOST_LOOKS {
            if self.look() {
                break;
            }
            std::thread::sleep(folder::UNSETTLED);
        }
        let mut state = self.state();
        while state.open > 0 {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.has_begun {
            state.has_begun = true;
            self.rebuild(&mut state);
        }
    }

    /// Looks at the folder. What can serve at once does when this returns; the rest is compiled beside. Says no if a file is still
    /// being written to, and has to be looked at again soon.
    pub fn look(self: &Arc<Self>) -> bool {
        let _alone = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = self.find() else { return true };
        let (mut is_settled, mut jobs) = (true, Vec::new());
        self.forget(&found);
        for (path, stamp) in self.to_examine(found) {
            match self.examine(&path, stamp) {
                Ok(Examined::Unsettled) => is_settled = false,
                Ok(Examined::Ready(release)) => self.put(&path, stamp, Outcome::Good(release)),
                Ok(Examined::Later(job)) => {
                    let pending = if job.is_suspect { Pending::Suspect } else { Pending::Unread };
                    self.put(&path, stamp, Outcome::Pending(pending));
                    jobs.push(job);
                }
                Err(reason) => self.put(&path, stamp, Outcome::Bad(reason)),
            }
        }
        let mut state = self.state();
        if state.files.values().any(|candidate| candidate.is_gone) {
            self.rebuild(&mut state);
        }
        drop(state);
        self.queue(jobs);
        is_settled
    }

    /// Notes what is not in the folder any more.
    fn forget(&self, found: &BTreeMap<PathBuf, Stamp>) {
        let state = &mut *self.state();
        for (path, candidate) in &mut state.files {
            let is_gone = !found.contains_key(path);
            state.is_stirred |= is_gone && !candidate.is_gone;
            candidate.is_gone = is_gone;
            if is_gone {
                candidate.pending = None;
            }
        }
    }

    /// What has changed, and then what may come in because something else has.
    fn to_examine(&self, found: BTreeMap<PathBuf, Stamp>) -> Vec<(PathBuf, Stamp)> {
        let mut state = self.state();
        let is_same = |path: &Path, stamp| state.files.get(path).is_some_and(|candidate| candidate.stamp == stamp);
        let (same, mut changed): (Vec<_>, Vec<_>) = found.into_iter().partition(|(path, stamp)| is_same(path, *stamp));
        let is_stirred = state.is_stirred || !changed.is_empty();
        let may_come_in = |path: &Path| {
            let candidate = state.files.get(path);
            candidate.is_some_and(|one| one.is_host_troubled() || is_stirred && one.is_blocked())
        };
        changed.extend(same.into_iter().filter(|(path, _)| may_come_in(path)));
        state.is_stirred = false;
        changed
    }

    /// Notes what became of a file, and lets it serve.
    fn put(&self, path: &Path, stamp: Stamp, outcome: Outcome) {
        let mut state = self.state();
        let next = state.files.values().map(|candidate| candidate.order).max().unwrap_or(0) + 1;
        let before = state.files.get(path);
        let order = before.map_or(next, |candidate| candidate.order);
        let told = before.filter(|before| before.stamp == stamp).and_then(|before| before.refused.clone());
        let good = before.and_then(|candidate| candidate.good.clone());
        let last = before.and_then(|candidate| candidate.last.clone());
        let mut after =
            Candidate { stamp, good, last, pending: None, refused: None, clash: None, order, is_gone: false };
        match outcome {
            Outcome::Good(release) => {
                after.last = after.last.or(after.good);
                after.good = Some(release);
                state.is_stirred = true;
            }
            // What was said of it holds until it is compiled.
            Outcome::Pending(pending) => (after.pending, after.refused) = (Some(pending), told),
            Outcome::Bad(reason) => {
                if told.is_none_or(|told| told.to_string() != reason.to_string()) {
                    self.tell(path, after.good.as_deref(), &reason);
                }
                after.refused = Some(Arc::new(reason));
            }
        }
        state.files.insert(path.to_owned(), after);
        if state.has_begun {
            self.rebuild(&mut state);
        }
    }

    fn tell(&self, path: &Path, good: Option<&Release>, reason: &Refusal) {
        self.metrics.releases_refused.inc();
        let goes_on = |old: &Release| format!("{} {} goes on", old.name, old.version);
        let consequence = good.map_or_else(|| "it is not served".to_owned(), goes_on);
        tracing::error!(file = %path.display(), "artifact refused, {consequence}: {reason}");
    }

    /// Loads what can be loaded at once. What others have made must not end the host.
    fn examine(&self, path: &Path, stamp: Stamp) -> Result<Examined, Refusal> {
        let examined = catch_unwind(AssertUnwindSafe(|| self.try_examine(path, stamp)));
        examined.unwrap_or_else(|_| Err(Refusal::Host("it panicked; see standard error".to_owned())))
    }

    fn try_examine(&self, path: &Path, stamp: Stamp) -> Result<Examined, Refusal> {
        if !stamp.is_settled() {
            return Ok(Examined::Unsettled);
        }
        let Some(bytes) = folder::read(path, stamp, self.config.max_artifact.0)? else {
            return Ok(Examined::Unsettled);
        };
        let digest = Digest::of(&bytes);
        if let Some(known) = self.known(digest, path) {
            return Ok(Examined::Ready(known));
        }
        let is_suspect = self.runtime.has_died_of(digest);
        if is_suspect || !self.runtime.has_compiled(digest) {
            let (path, work) = (path.to_owned(), Work::Read(bytes));
            return Ok(Examined::Later(Job { path, stamp, digest, is_suspect, work }));
        }
        // A process of its own came through it before.
        let release = self.marked(digest, false, || {
            let (artifact, plans) = self.prepare(bytes, path)?;
            self.load(path, &artifact, plans)
        });
        release.map(Examined::Ready)
    }

    /// Everything that can be said of an artifact without compiling it.
    fn prepare(&self, bytes: Bytes, path: &Path) -> Result<(Artifact, Plans), Refusal> {
        let artifact = Artifact::parse(bytes)?;
        let manifest = &artifact.manifest;
        if !self.clients.contains(&manifest.client) {
            return Err(Refusal::NoClient { client: manifest.client.clone(), known: self.clients.join(", ") });
        }
        if let Some(taken) = self.same_version(&artifact, path) {
            return Err(taken);
        }
        let plans = self.engine.plans(&artifact).map_err(Refusal::Calls)?;
        Ok((artifact, plans))
    }

    /// Whether another file has this version of this plugin with other bytes.
    fn same_version(&self, artifact: &Artifact, path: &Path) -> Option<Refusal> {
        let Manifest { name, version, .. } = &artifact.manifest;
        let state = self.state();
        let (other, _) = state.files.iter().filter(|(other, candidate)| *other != path && !candidate.is_gone).find(
            |(_, candidate)| {
                candidate.good.as_ref().is_some_and(|good| {
                    good.name == *name && good.version == *version && good.digest != artifact.digest
                })
            },
        )?;
        let (plugin, version, file) = (name.clone(), version.to_string(), other.display().to_string());
        Some(Refusal::SameVersion { plugin, version, file })
    }

    fn load(&self, path: &Path, artifact: &Artifact, plans: Plans) -> Result<Arc<Release>, Refusal> {
        let overrides = self.config.overrides.get(&artifact.manifest.name).cloned().unwrap_or_default();
        let plugin = Plugin::load(&self.runtime, artifact, &overrides)?;
        Ok(Arc::new(Release::new(artifact, path.to_owned(), plugin, plans, &self.metrics)))
    }

    /// The same bytes, loaded before under this or another name.
    fn known(&self, digest: Digest, path: &Path) -> Option<Arc<Release>> {
        let state = self.state();
        let here = state.files.get(path).into_iter();
        here.chain(state.files.values())
            .filter_map(|candidate| candidate.good.as_ref())
            .find(|release| release.digest == digest)
            .cloned()
    }

    /// Makes a table of all that can serve, and swaps it in.
    fn rebuild(&self, state: &mut State) {
        state.sweep();
        let files = &mut state.files;
        let live = self.releases.current();
        let (mut table, mut clashes) = Table::build(&in_order(files, |_| false), &live, &self.metrics);
        let clashed = |release: &Arc<Release>| clashes.iter().any(|(other, _)| Arc::ptr_eq(other, release));
        for candidate in files.values_mut().filter(|candidate| !candidate.good.as_ref().is_some_and(clashed)) {
            candidate.last = None;
        }
        if files.values().any(|candidate| candidate.last.is_some()) {
            // What served from the same file before serves on.
            let (with_last, more) = Table::build(&in_order(files, |c| c.last.is_some()), &live, &self.metrics);
            let is_new = |release: &Arc<Release>| !clashes.iter().any(|(other, _)| Arc::ptr_eq(other, release));
            let more: Vec<_> = more.into_iter().filter(|(release, _)| is_new(release)).collect();
            clashes.extend(more);
            table = with_last;
        }
        let mut known: Vec<_> = files.values_mut().map(|candidate| candidate.clash.take()).collect();
        known.retain(Option::is_some);
        for (release, reason) in clashes {
            let reason = Arc::new(reason);
            let is_new = !known.iter().flatten().any(|other| other.to_string() == reason.to_string());
            if is_new {
                tracing::error!(plugin = %release.name, version = %release.version, file = %release.file.display(), "release refused: {reason}");
                self.metrics.releases_refused.inc();
            }
            let mine = files.values_mut().filter(|c| c.good.as_ref().is_some_and(|good| Arc::ptr_eq(good, &release)));
            mine.for_each(|candidate| candidate.clash = Some(reason.clone()));
        }
        self.announce(&live, &table);
        self.releases.swap(table);
    }

    fn announce(&self, before: &Table, after: &Table) {
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
    }
}
