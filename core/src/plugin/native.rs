//! Guests that are functions of this process: a sandbox that bounds nothing, for tests, mocks and benches. All else is as with any guest:
//! artifacts bring manifest, grants and method table, and turns, rests, deadlines and the bound on responses hold.

use super::{
    compile::CompileError,
    error::PluginError,
    guest::{Answer, Guest, Invocation, Ran, Run, Sandbox, Terms},
    message::{Problem, Response},
};
use crate::{artifact::Artifact, observe::Cost};
use futures_util::future::BoxFuture;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Guests by the names of their plugins.
#[derive(Clone, Default)]
pub struct Natives(BTreeMap<String, Arc<dyn Guest>>);

impl Natives {
    /// Requests of this plugin are answered by this function.
    #[must_use]
    pub fn with<F, A>(self, plugin: &str, handle: F) -> Self
    where
        F: Fn(Invocation) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        self.with_guest(plugin, Arc::new(Native(handle)))
    }

    /// As [`Natives::with`], with a guest that can also trap, or can't be made.
    #[must_use]
    pub fn with_guest(mut self, plugin: &str, guest: Arc<dyn Guest>) -> Self {
        self.0.insert(plugin.to_owned(), guest);
        self
    }
}

impl fmt::Debug for Natives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Sandbox for Natives {
    fn load(&self, artifact: &Artifact, _: Terms) -> Result<Arc<dyn Guest>, CompileError> {
        let known = || self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.0.get(&artifact.manifest.name).cloned().ok_or_else(|| CompileError::NoNative(known()))
    }
}

/// A function that answers.
struct Native<F>(F);

impl<F, A> Guest for Native<F>
where
    F: Fn(Invocation) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    fn run(self: Arc<Self>, run: Run) -> BoxFuture<'static, Result<Ran, PluginError>> {
        Box::pin(async move {
            let Run { invocation, turn, .. } = run;
            let result = (self.0)(invocation).await;
            let answer = Ok(Answer { result, cost: Cost::default() });
            Ok(Ran { is_new: true, answer, instance: Box::new(()), turn })
        })
    }
}
