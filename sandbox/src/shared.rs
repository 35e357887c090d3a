//! What all instances of one engine share.

use super::{cache::PluginCache, environment::Environment};
use std::{fmt, sync::Arc};
use wasmtime::Engine;
use weft_core::plugin::Config;

/// An engine, and what is there once for a host.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) config: Config,
    pub(super) environment: Environment,
    pub(super) cache: Arc<PluginCache>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}
