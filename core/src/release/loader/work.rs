//! Reading and compiling, by processes beside, and loading what they came through. Runs on threads that may block.

use super::{Event, Job, Kind, Loader, Refusal, Release, Verified};
use crate::{
    artifact::Artifact,
    mocks::contradiction,
    model::Digest,
    plugin::Plugin,
    sync::{read, write},
};
use bytes::Bytes;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Instant,
};

#[derive(Debug)]
pub(super) enum Work {
    /// By a process of its own, and then here.
    Read(Bytes),
    Compile(Box<Verified>),
}

/// What a job has led to.
enum Done {
    Read(Job<Work>, String),
    Whole(Arc<Release>),
}

impl Loader {
    /// Begins as many jobs as there are places for, each on a thread of its own.
    pub(super) fn begin_jobs(self: &Arc<Self>) {
        while let Some(job) = self.take() {
            let loader = self.clone();
            tokio::task::spawn_blocking(move || {
                let (kind, size) = (job.kind, job.size);
                loader.work_on(job);
                loader.change(|state| state.queue.done(kind, size));
                loader.begin_jobs();
            });
        }
    }

    fn take(&self) -> Option<Job<Work>> {
        self.state().queue.take()
    }

    fn work_on(self: &Arc<Self>, job: Job<Work>) {
        let (path, stamp, kind, since) = (job.path.clone(), job.stamp, job.kind, Instant::now());
        // It may have been removed or replaced while it waited.
        if !self.state().files.get(&path).is_some_and(|file| file.candidate.is_pending(stamp)) {
            return;
        }
        let result = guarded(|| self.get_on_with(job));
        match result {
            Ok(Done::Read(job, plugin)) => {
                self.happened(&path, Event::Read(stamp, plugin));
                self.change(|state| state.queue.push(job));
            }
            Ok(Done::Whole(release)) => {
                if kind == Kind::Compile {
                    tracing::info!(plugin = %release.name, version = %release.version, took = ?since.elapsed(), "compiled");
                }
                self.happened(&path, Event::Ready(stamp, release));
            }
            Err(reason) => self.happened(&path, Event::Failed(stamp, reason)),
        }
    }

    /// One step of what a file has to go through.
    fn get_on_with(&self, job: Job<Work>) -> Result<Done, Refusal> {
        if let Some(known) = self.known(job.digest, &job.path) {
            return Ok(Done::Whole(known));
        }
        let Job { path, digest, is_suspect, work, .. } = job;
        match work {
            Work::Read(bytes) => {
                self.runtime.read_apart(&bytes)?;
                let verified = self.marked(digest, is_suspect, || self.verification.verify(bytes))?;
                let plugin = verified.0.manifest.name.clone();
                let work = Work::Compile(Box::new(verified));
                Ok(Done::Read(Job { path, work, kind: Kind::Compile, ..job }, plugin))
            }
            Work::Compile(verified) => {
                self.runtime.compile(&verified.0)?;
                self.marked(digest, is_suspect, || self.load(&path, *verified)).map(Done::Whole)
            }
        }
    }

    /// What a process of its own came through before.
    pub(super) fn load_compiled(&self, path: &Path, digest: Digest, bytes: Bytes) -> Result<Arc<Release>, Refusal> {
        self.marked(digest, false, || self.load(path, self.verification.verify(bytes)?))
    }

    fn load(&self, path: &Path, (artifact, plans): Verified) -> Result<Arc<Release>, Refusal> {
        let overrides = self.config.overrides.get(&artifact.manifest.name).cloned().unwrap_or_default();
        let plugin = Plugin::load(&self.runtime, &artifact, &overrides)?;
        tell_of_contradictions(&artifact);
        Ok(Arc::new(Release::new(&artifact, path.to_owned(), plugin, plans, &self.metrics)))
    }

    /// Does what might end the host, so that it is known afterwards at what it died; alone, if that has happened before.
    pub(super) fn marked<T>(
        &self,
        digest: Digest,
        is_suspect: bool,
        load: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let _together = (!is_suspect).then(|| read(&self.loading));
        let _alone = is_suspect.then(|| write(&self.loading));
        let _marker = self.runtime.mark(digest)?;
        load()
    }
}

/// `weft build` refuses schemas that no value fits; of what was built otherwise the document says what nobody can keep.
fn tell_of_contradictions(artifact: &Artifact) {
    let of_endpoint = |endpoint| contradiction::of_endpoint(endpoint).into_iter().map(move |fault| (endpoint, fault));
    let mut all = artifact.schema.iter().flat_map(of_endpoint);
    let Some((endpoint, first)) = all.next() else { return };
    let (more, manifest) = (all.take(1_000).count(), &artifact.manifest);
    tracing::warn!(plugin = %manifest.name, version = %manifest.version, more,
        "{} {}: its schema contradicts itself, so its document says what no value is: {first}", endpoint.method, endpoint.path);
}

/// What others have made must not end the host.
pub(super) fn guarded<T>(load: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(load))
        .unwrap_or_else(|_| Err(Refusal::Host("it panicked; see standard error".to_owned())))
}
