//! A plugin's logic that is part of this process: no sandbox, no meter, no bound on memory. The seam for measuring what the sandbox costs.

use super::{Answer, Invocation, PluginError};
use futures_util::future::BoxFuture;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Runs the requests of one plugin in its component's place. All else is as with any plugin: its artifact brings manifest, grants and
/// method table, and turns and deadlines hold.
pub trait Native: Send + Sync {
    fn handle(&self, invocation: Invocation) -> BoxFuture<'_, Result<Answer, PluginError>>;
}

/// By the plugin's name.
#[derive(Clone, Default)]
pub struct Natives(BTreeMap<String, Arc<dyn Native>>);

impl Natives {
    pub fn of(plugin: &str, native: Arc<dyn Native>) -> Self {
        Self(BTreeMap::from([(plugin.to_owned(), native)]))
    }

    pub(super) fn get(&self, plugin: &str) -> Option<Arc<dyn Native>> {
        self.0.get(plugin).cloned()
    }
}

impl fmt::Debug for Natives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
