//! What a test has set up: the plugin, its backends, and what has happened so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::host::Shared;
use super::response::SentCall;
use crate::{CallError, Origin, Plugin};

pub(super) type Answer = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, CallError> + Send + Sync>;

/// How one method behaves.
#[derive(Default)]
pub(super) struct Backend {
    pub(super) answer: Option<Answer>,
    pub(super) latency: Duration,
    pub(super) stalls: bool,
    pub(super) origin: Option<Origin>,
}

pub(super) struct Fixture {
    pub(super) plugin: Plugin,
    pub(super) backends: BTreeMap<&'static str, Backend>,
    pub(super) shared: Arc<Shared>,
    pub(super) sent: Mutex<Vec<Vec<SentCall>>>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}
