//! What all plugins share: the sandbox, the turns, the threads for those that compute for long, and the folder of compiled code.

use super::{
    Compiling, Config,
    background::BackgroundRuntime,
    compile::{
        CompileError,
        marker::{Marker, Marks, has_died},
        worker::read_apart,
    },
    guest::Sandbox,
};
use crate::artifact::Artifact;
use crate::model::Digest;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::sync::Semaphore;

/// Loads and runs plugins.
#[derive(Debug, Clone)]
pub struct Runtime(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sandbox: Arc<dyn Sandbox>,
    pub(super) config: Config,
    /// Requests that may run at the same time.
    pub(super) permits: Arc<Semaphore>,
    /// Answers in parts that may be under way, beside the requests.
    pub(super) streams: Arc<Semaphore>,
    /// Where guests that compute for long go on.
    pub(super) background: BackgroundRuntime,
    compiling: Compiling,
    marks: Marks,
    /// It was said that loads can't be marked.
    is_unmarked: AtomicBool,
}

impl Runtime {
    pub fn new(sandbox: Arc<dyn Sandbox>, config: Config, compiling: Compiling) -> Result<Self, String> {
        let [permits, streams] =
            [config.requests, config.streams].map(|places| Arc::new(Semaphore::new(places as usize)));
        let background = BackgroundRuntime::new().map_err(|error| format!("threads can't be started: {error}"))?;
        let (marks, is_unmarked) = Default::default();
        Ok(Self(Arc::new(Shared { sandbox, config, permits, streams, background, compiling, marks, is_unmarked })))
    }

    /// Whether the artifact was read and compiled before, so that loading it takes no time.
    pub fn has_compiled(&self, artifact: Digest) -> bool {
        self.0.sandbox.has_compiled(artifact)
    }

    /// Makes sure that the artifact is compiled. Takes seconds: not for a request's thread.
    pub fn compile(&self, artifact: &Artifact) -> Result<(), CompileError> {
        self.0.sandbox.compile(artifact)
    }

    /// Has the artifact read by a process whose end costs nobody anything. Not for a request's thread.
    pub fn read_apart(&self, artifact: &[u8]) -> Result<(), CompileError> {
        read_apart(&self.0.compiling, artifact)
    }

    /// Whether a host has died while it loaded this artifact, and nobody has loaded it since.
    pub fn has_died_of(&self, artifact: Digest) -> bool {
        has_died(&self.0.compiling.folder, artifact)
    }

    /// To be held while the artifact is loaded. Where nothing can be written there is none, and the load goes on without.
    pub fn mark(&self, artifact: Digest) -> Result<Option<Marker>, CompileError> {
        match self.0.marks.begin(&self.0.compiling.folder, artifact) {
            Err(error) if error.is_hosts() => {
                if !self.0.is_unmarked.swap(true, Relaxed) {
                    tracing::warn!(
                        "should an artifact end the host while it is loaded, that will not be remembered: {error}"
                    );
                }
                Ok(None)
            }
            marked => marked,
        }
    }

    /// The host is about to end, and what is being loaded may not come to its own end.
    pub fn forget_loads(&self) {
        self.0.marks.take_back();
    }

    /// Artifacts that may be compiled at once.
    pub fn compilers(&self) -> usize {
        self.0.compiling.at_once()
    }

    /// Requests that run in guests now.
    pub fn requests_under_way(&self) -> usize {
        (self.0.config.requests as usize).saturating_sub(self.0.permits.available_permits())
    }
}
