//! What services say has changed, `[events.NAME]`: messages of a broker, of which tags are made whose cached replies are true no more.
//!
//! One task follows each source, from its connection to the invalidation (`follow.rs`). What a message means is `mapping.rs`, which is
//! pure; `nats.rs` is the one broker that is spoken to, and the only file that knows its crate. The host needs no broker to serve: while
//! one is away, replies end by their lifetimes, or are not believed, as the configuration says.

mod config;
mod follow;
mod mapping;
mod nats;

pub use config::Config;

use crate::{fanout::Engine, sync::lock, telemetry::Metrics};
use config::SourceConfig;
use follow::Follower;
use nats::Nats;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tokio::task::JoinHandle;

/// All sources that are followed. A reload leaves those alone of which nothing has changed.
#[derive(Debug)]
pub struct Events {
    metrics: Metrics,
    followed: Mutex<BTreeMap<String, Followed>>,
    /// Whether replies may have been cached before a source that comes is heard.
    has_past: AtomicBool,
}

#[derive(Debug)]
struct Followed {
    config: SourceConfig,
    follower: Arc<Follower>,
    task: JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Events {
    /// None as yet.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, followed: Mutex::default(), has_past: AtomicBool::new(false) }
    }

    /// From now on these are followed, and no others, and it is this engine's cache that is told.
    pub fn follow(&self, config: &Config, engine: &Arc<Engine>) {
        let has_past = self.has_past.swap(true, Relaxed);
        let mut followed = lock(&self.followed);
        let mut before = std::mem::take(&mut *followed);
        for source in &config.sources {
            let kept = before.remove(&source.name).filter(|kept| kept.config == *source && !kept.task.is_finished());
            if let Some(kept) = kept {
                kept.follower.tell(engine.clone());
                followed.insert(source.name.clone(), kept);
                continue;
            }
            let follower = Arc::new(Follower::new(source, engine.clone(), has_past, &self.metrics));
            let task = tokio::spawn(follower.clone().run(Nats::new(source)));
            followed.insert(source.name.clone(), Followed { config: source.clone(), follower, task });
        }
        for name in before.keys() {
            self.metrics.forget_events(name);
        }
    }

    /// How it stands with each source.
    pub fn state(&self) -> Vec<EventsState> {
        lock(&self.followed).values().map(|followed| followed.follower.state()).collect()
    }

    /// Nothing is followed any more.
    pub fn stop(&self) {
        lock(&self.followed).clear();
    }
}

/// How it stands with one source.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EventsState {
    pub name: String,
    pub connected: bool,
    /// Why it is away, or was last.
    pub error: Option<String>,
    /// Messages that wait at the broker, as far as it tells.
    pub pending: u64,
    /// Messages of which tags were made, and those that were passed over.
    pub taken: u64,
    pub skipped: u64,
}
