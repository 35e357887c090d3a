//! Where artifacts are compiled: a queue, and as many threads as compilers may run at once, for as long as there is work.

use super::{Candidate, Job, Loader, Outcome, Refusal, State};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    time::Instant,
};

impl State {
    /// Whether an earlier file is compiled that says to be the same version of the same plugin: only one of them can be.
    fn has_to_wait(&self, job: &Job) -> bool {
        let Some(mine) = self.files.get(&job.path) else { return false };
        let manifest = &job.artifact.manifest;
        self.files.values().filter(|other| other.order < mine.order).any(|other| {
            other
                .pending
                .as_ref()
                .is_some_and(|(plugin, version)| *plugin == manifest.name && *version == manifest.version)
        })
    }
}

impl Loader {
    /// Queues the jobs, and makes sure that somebody works on them.
    pub(super) fn compile(self: &Arc<Self>, jobs: VecDeque<Job>) {
        if jobs.is_empty() {
            return;
        }
        let most = self.runtime.compilers();
        let mut state = self.state();
        state.open += jobs.len();
        state.jobs.extend(jobs);
        tracing::info!(waiting = state.open, at_once = most, "compiling");
        // Some may wait for one of these to be done.
        self.done.notify_all();
        while state.workers < most.min(state.jobs.len()) {
            let loader = self.clone();
            let started = std::thread::Builder::new().name("compile".to_owned()).spawn(move || loader.work());
            if let Err(error) = started {
                tracing::error!(%error, "no thread to compile on");
                break;
            }
            state.workers += 1;
        }
        if state.workers == 0 {
            state.workers += 1;
            drop(state);
            self.work();
        }
    }

    /// Takes one job after the other until there are no more.
    fn work(self: &Arc<Self>) {
        while let Some(job) = self.next_job() {
            self.work_on(job);
            self.state().open -= 1;
            self.done.notify_all();
        }
    }

    /// The first job that need not wait for another one; `None` when there are no more.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            let free = state.jobs.iter().position(|job| !state.has_to_wait(job));
            if let Some(job) = free.and_then(|at| state.jobs.remove(at)) {
                return Some(job);
            }
            if state.jobs.is_empty() {
                state.workers -= 1;
                return None;
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work_on(self: &Arc<Self>, job: Job) {
        let (path, stamp, since) = (job.path.clone(), job.stamp, Instant::now());
        let is_wanted = || {
            let state = self.state();
            state.files.get(&path).is_some_and(|candidate| candidate.stamp == stamp && candidate.pending.is_some())
        };
        // Removed or replaced while it waited.
        if !is_wanted() {
            return;
        }
        let result = match (self.known(job.artifact.digest, &path), self.same_version(&job.artifact, &path)) {
            (Some(known), _) => Ok(known),
            (None, Some(taken)) => Err(taken),
            (None, None) => catch_unwind(AssertUnwindSafe(|| self.load(job)))
                .unwrap_or_else(|_| Err(Refusal::Host("it panicked; see standard error".to_owned()))),
        };
        if !is_wanted() {
            return;
        }
        if let Ok(release) = &result {
            tracing::info!(plugin = %release.name, version = %release.version, took = ?since.elapsed(), "compiled");
        }
        self.put(&path, stamp, result.map_or_else(Outcome::Bad, Outcome::Good));
        let is_awaited = {
            let state = self.state();
            state.is_stirred && state.files.values().any(Candidate::is_blocked)
        };
        if is_awaited {
            self.look();
        }
    }
}
