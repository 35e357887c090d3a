//! Everything that can be said of an artifact before it is compiled: that it is one, whom it is for, and that all its calls lead somewhere.

use super::Refusal;
use crate::{
    artifact::Artifact,
    fanout::{Engine, Plans},
};
use bytes::Bytes;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Good as far as it can be without being compiled.
pub(super) type Verified = (Artifact, Plans);

/// What an artifact is held against.
#[derive(Debug)]
pub(super) struct Verification {
    clients: Vec<String>,
    engine: Arc<Engine>,
}

impl Verification {
    pub(super) fn new(clients: Vec<String>, engine: Arc<Engine>) -> Self {
        Self { clients, engine }
    }

    pub(super) fn verify(&self, bytes: Bytes) -> Result<Verified, Refusal> {
        let artifact = Artifact::parse(bytes)?;
        let client = &artifact.manifest.client;
        if !self.clients.contains(client) {
            return Err(Refusal::NoClient { client: client.clone(), known: self.clients.join(", ") });
        }
        // Whoever verifies is on a thread that may block.
        let runtime = Handle::try_current().map_err(|error| Refusal::Host(error.to_string()))?;
        let plans = runtime.block_on(self.engine.plans(&artifact)).map_err(Refusal::Calls)?;
        Ok((artifact, plans))
    }
}
