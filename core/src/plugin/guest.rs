//! The seam between the host and what runs guests. A [`Sandbox`] loads artifacts, a [`Guest`] runs requests; both know nothing of turns,
//! rests and deadlines, which are the same whatever runs.

use super::{
    bound::Bound,
    compile::CompileError,
    emit::Emitter,
    error::PluginError,
    message::{Problem, Request, Response},
    meter::Meter,
};
use crate::{
    artifact::Artifact,
    fanout::Session,
    model::{Deadline, Digest, Party},
    observe::Cost,
    settings::ByteSize,
};
use futures_util::future::BoxFuture;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// Makes guests of artifacts.
pub trait Sandbox: fmt::Debug + Send + Sync {
    /// Links the artifact's code, which is compiled first if it was not before: not for a request's thread.
    fn load(&self, artifact: &Artifact, terms: Terms) -> Result<Arc<dyn Guest>, CompileError>;

    /// Makes sure that the artifact is compiled, where that is needed. Takes seconds: not for a request's thread.
    fn compile(&self, _artifact: &Artifact) -> Result<(), CompileError> {
        Ok(())
    }

    /// Whether the artifact was compiled before, so that loading it takes no time.
    fn has_compiled(&self, _artifact: Digest) -> bool {
        true
    }
}

/// The code of one loaded plugin version.
pub trait Guest: Send + Sync {
    /// Runs one request. Fails where there was nothing to run it in; what came of the request itself is in [`Ran`]. The future may be moved
    /// to other threads between its polls, and dropping it ends the run. It is the one allocation that a run needs for this seam.
    fn run(self: Arc<Self>, run: Run) -> BoxFuture<'static, Result<Ran, PluginError>>;
}

/// What a request ran in.
pub trait Reusable: Send {
    /// It is whole, and may serve the next one. On every other way it is dropped.
    fn put_back(self: Box<Self>);
}

/// Nothing that could be used again.
impl Reusable for () {
    fn put_back(self: Box<Self>) {}
}

/// What a guest is given for all its requests, and may use in each.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its values of `[config]`.
    pub config: BTreeMap<String, String>,
    /// Under which name it keeps what it has made: with another configuration it is another maker.
    pub kept_as: Digest,
    pub max_memory: Bound<ByteSize>,
    pub max_cpu: Bound<Duration>,
    pub max_response: Bound<ByteSize>,
}

/// One request on its way into a plugin.
#[derive(Debug)]
pub struct Invocation {
    pub request: Request,
    /// For the log, whatever the guest is told.
    pub request_id: String,
    pub session: Session,
    /// For the plugin's own cache; the request holds only what the manifest asks for.
    pub party: Party,
    pub deadline: Deadline,
    /// Where its answer leaves in parts.
    pub emitter: Option<Emitter>,
}

/// A request that has its turn.
#[derive(Debug)]
pub struct Run {
    pub invocation: Invocation,
    /// To be held for as long as anything of the run is left.
    pub turn: Turn,
    /// Counts what the guest computes, if it is asked to.
    pub meter: Arc<Meter>,
}

/// A place among the plugin's own requests, and one among all.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held")] pub(super) [OwnedSemaphorePermit; 2]);

/// A guest that was made and has run.
pub struct Ran {
    /// Whether it was made for this request.
    pub is_new: bool,
    pub answer: Result<Answer, PluginError>,
    pub instance: Box<dyn Reusable>,
    /// Outlives the instance: there are as many slots for instances as turns.
    pub turn: Turn,
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ran").field("is_new", &self.is_new).field("answer", &self.answer).finish_non_exhaustive()
    }
}

/// What came out, and what it cost.
#[derive(Debug)]
pub struct Answer {
    pub result: Result<Response, Problem>,
    pub cost: Cost,
}

impl Answer {
    /// Bytes that count against the plugin's bound.
    pub(super) fn size(&self) -> usize {
        self.result.as_ref().map_or_else(Problem::size, Response::size)
    }
}
