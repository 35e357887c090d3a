//! The sandbox as it is, with an eye on what its guests cost and how they end.

use crate::{
    artifact::Artifact,
    model::Digest,
    plugin::{self, CompileError, Cost, Guest, PluginError, Run, Sandbox, Terms},
    sandbox::Wasm,
    sync::lock,
};
use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex},
};

/// Guests that were loaded before.
#[derive(Clone, Default)]
pub(super) struct Loaded(Arc<Mutex<HashMap<Digest, Arc<dyn Guest>>>>);

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").finish_non_exhaustive()
    }
}

/// How a guest's last run went.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran {
    pub(super) cost: Cost,
    /// Why it gave no answer: the bound that it met, by name.
    pub(super) failed: Option<String>,
}

/// Loads guests, or finds them loaded, and notes what comes of them.
#[derive(Debug)]
pub(super) struct Watched {
    sandbox: Arc<Wasm>,
    loaded: Loaded,
    last: Arc<Mutex<Ran>>,
}

impl Watched {
    pub(super) fn new(sandbox: Arc<Wasm>, loaded: Loaded) -> Self {
        Self { sandbox, loaded, last: Arc::default() }
    }

    pub(super) fn last(&self) -> Ran {
        lock(&self.last).clone()
    }

    pub(super) fn forget(&self) {
        *lock(&self.last) = Ran::default();
    }
}

impl Sandbox for Watched {
    fn load(&self, artifact: &Artifact, terms: Terms) -> Result<Arc<dyn Guest>, CompileError> {
        // The first one loads, the others wait for it.
        let mut loaded = lock(&self.loaded.0);
        let guest = match loaded.get(&artifact.digest) {
            Some(guest) => guest.clone(),
            None => {
                let guest = self.sandbox.load(artifact, terms)?;
                loaded.insert(artifact.digest, guest.clone());
                guest
            }
        };
        Ok(Arc::new(Observed { guest, last: self.last.clone() }))
    }

    fn compile(&self, artifact: &Artifact) -> Result<(), CompileError> {
        self.sandbox.compile(artifact)
    }

    fn has_compiled(&self, artifact: Digest) -> bool {
        self.sandbox.has_compiled(artifact)
    }
}

struct Observed {
    guest: Arc<dyn Guest>,
    last: Arc<Mutex<Ran>>,
}

type Running = Pin<Box<dyn Future<Output = Result<plugin::Ran, PluginError>> + Send>>;

impl Guest for Observed {
    fn run(self: Arc<Self>, run: Run) -> Running {
        let running = self.guest.clone().run(run);
        Box::pin(async move {
            // Given up from outside, it is the endpoint's time that is over.
            *lock(&self.last) = Ran { failed: Some(PluginError::Deadline.to_string()), ..Ran::default() };
            let ran = running.await;
            *lock(&self.last) = match &ran {
                Ok(plugin::Ran { answer: Ok(answer), .. }) => Ran { cost: answer.cost, failed: None },
                Ok(plugin::Ran { answer: Err(error), .. }) | Err(error) => {
                    Ran { failed: Some(error.to_string()), ..Ran::default() }
                }
            };
            ran
        })
    }
}
