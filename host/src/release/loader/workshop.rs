//! Where artifacts are read and compiled: a queue, and for as long as there is work a thread that reads and as many as compilers may run
//! at once. The smallest goes first, so that nobody waits for giants but giants; one that a host has died of goes last and alone.

use super::{Candidate, Digest, Job, Loader, Outcome, Pending, Refusal, State, Work};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    time::Instant,
};
use tokio::runtime::Handle;

/// What a thread of the workshop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trade {
    Reads,
    Compiles,
}

impl Job {
    fn trade(&self) -> Trade {
        match self.work {
            Work::Read(_) => Trade::Reads,
            Work::Compile(_) => Trade::Compiles,
        }
    }

    fn size(&self) -> usize {
        match &self.work {
            Work::Read(bytes) => bytes.len(),
            Work::Compile(prepared) => prepared.0.bytes.len(),
        }
    }
}

impl State {
    fn waiting(&self, trade: Trade) -> usize {
        self.jobs.iter().filter(|job| job.trade() == trade).count()
    }

    fn at_work(&mut self, trade: Trade) -> &mut usize {
        match trade {
            Trade::Reads => &mut self.readers,
            Trade::Compiles => &mut self.compilers,
        }
    }

    /// Whether an earlier file is compiled that says to be the same version of the same plugin, or may turn out to be when it is read:
    /// only one of them can be.
    fn has_to_wait(&self, job: &Job) -> bool {
        let (Some(mine), Work::Compile(prepared)) = (self.files.get(&job.path), &job.work) else { return false };
        let manifest = &prepared.0.manifest;
        let is_same = |pending: &Pending| match pending {
            Pending::Unread => true,
            // Comes when all others are done.
            Pending::Suspect => false,
            Pending::Version(plugin, version) => *plugin == manifest.name && *version == manifest.version,
        };
        self.files
            .values()
            .filter(|other| other.order < mine.order)
            .any(|other| other.pending.as_ref().is_some_and(is_same))
    }

    /// The smallest job of this trade that may be done now.
    fn take(&mut self, trade: Trade) -> Option<Job> {
        // Nobody else has anything to do.
        let only_suspects = self.jobs.len() == self.open && self.jobs.iter().all(|job| job.is_suspect);
        let free =
            self.jobs.iter().enumerate().filter(|(_, job)| {
                job.trade() == trade && (!job.is_suspect || only_suspects) && !self.has_to_wait(job)
            });
        let at = free.min_by_key(|(_, job)| job.size()).map(|(at, _)| at)?;
        Some(self.jobs.remove(at))
    }
}

impl Loader {
    /// Queues the jobs, and makes sure that somebody works on them.
    pub(super) fn queue(self: &Arc<Self>, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = self.state();
        state.open += jobs.len();
        state.jobs.extend(jobs);
        tracing::info!(waiting = state.open, at_once = self.runtime.compilers(), "reading and compiling");
        // Some may wait for one of these to be done.
        self.done.notify_all();
        let mut alone = Vec::new();
        for (trade, most) in [(Trade::Reads, 1), (Trade::Compiles, self.runtime.compilers())] {
            while *state.at_work(trade) < most.min(state.waiting(trade)) {
                *state.at_work(trade) += 1;
                // Plans may have to be asked for, on the runtime that the look was on.
                let (loader, runtime) = (self.clone(), Handle::try_current().ok());
                let work = move || {
                    let _inside = runtime.as_ref().map(Handle::enter);
                    loader.work(trade);
                };
                if let Err(error) = std::thread::Builder::new().name("compile".to_owned()).spawn(work) {
                    tracing::error!(%error, "no thread to compile on");
                    alone.push(trade);
                    break;
                }
            }
        }
        drop(state);
        alone.into_iter().for_each(|trade| self.work(trade));
    }

    /// Takes one job after the other until there are no more.
    fn work(self: &Arc<Self>, trade: Trade) {
        while let Some(job) = self.next_job(trade) {
            self.work_on(job);
            self.state().open -= 1;
            self.done.notify_all();
        }
    }

    /// The next job that need not wait for another one; `None` when there are no more.
    fn next_job(&self, trade: Trade) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.take(trade) {
                return Some(job);
            }
            if state.waiting(trade) == 0 {
                *state.at_work(trade) -= 1;
                return None;
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work_on(self: &Arc<Self>, job: Job) {
        let (path, stamp, since, trade) = (job.path.clone(), job.stamp, Instant::now(), job.trade());
        let is_wanted = || {
            let state = self.state();
            state.files.get(&path).is_some_and(|candidate| candidate.stamp == stamp && candidate.pending.is_some())
        };
        // Removed or replaced while it waited.
        if !is_wanted() {
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.get_on_with(job)))
            .unwrap_or_else(|_| Err(Refusal::Host("it panicked; see standard error".to_owned())));
        if !is_wanted() {
            return;
        }
        match result {
            Ok(Done::Read(job, pending)) => {
                self.put(&path, stamp, Outcome::Pending(pending));
                self.queue(vec![job]);
                return;
            }
            Ok(Done::Whole(release)) => {
                if trade == Trade::Compiles {
                    tracing::info!(plugin = %release.name, version = %release.version, took = ?since.elapsed(), "compiled");
                }
                self.put(&path, stamp, Outcome::Good(release));
            }
            Err(reason) => self.put(&path, stamp, Outcome::Bad(reason)),
        }
        let is_awaited = {
            let state = self.state();
            state.is_stirred && state.files.values().any(Candidate::is_blocked)
        };
        if is_awaited {
            self.look();
        }
    }

    /// One step of what a file has to go through.
    fn get_on_with(&self, job: Job) -> Result<Done, Refusal> {
        if let Some(known) = self.known(job.digest, &job.path) {
            return Ok(Done::Whole(known));
        }
        let Job { path, stamp, digest, is_suspect, work } = job;
        match work {
            Work::Read(bytes) => {
                self.runtime.read_apart(&bytes)?;
                let prepared = self.marked(digest, is_suspect, || self.prepare(bytes, &path))?;
                let manifest = &prepared.0.manifest;
                let pending = match is_suspect {
                    true => Pending::Suspect,
                    false => Pending::Version(manifest.name.clone(), manifest.version.clone()),
                };
                let work = Work::Compile(Box::new(prepared));
                Ok(Done::Read(Job { path, stamp, digest, is_suspect, work }, pending))
            }
            Work::Compile(prepared) => {
                let (artifact, plans) = *prepared;
                if let Some(taken) = self.same_version(&artifact, &path) {
                    return Err(taken);
                }
                self.runtime.compile(&artifact)?;
                self.marked(digest, is_suspect, || self.load(&path, &artifact, plans)).map(Done::Whole)
            }
        }
    }

    /// Does what might end the host, so that it is known afterwards at what it died; alone, if that has happened before.
    pub(super) fn marked<T>(
        &self,
        digest: Digest,
        is_suspect: bool,
        load: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let _together = (!is_suspect).then(|| self.loading.read().unwrap_or_else(PoisonError::into_inner));
        let _alone = is_suspect.then(|| self.loading.write().unwrap_or_else(PoisonError::into_inner));
        let _marker = self.runtime.mark(digest)?;
        load()
    }
}

/// What a step has led to.
enum Done {
    Read(Job, Pending),
    Whole(Arc<super::Release>),
}
