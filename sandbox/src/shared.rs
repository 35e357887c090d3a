//! What all instances share.

use super::{cache::PluginCache, environment::Environment};
use std::fmt;
use wasmtime::Engine;
use weft_core::plugin::Config;

/// Engine, bounds and caches, once for a host.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) config: Config,
    pub(super) environment: Environment,
    pub(super) cache: PluginCache,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}
