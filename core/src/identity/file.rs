//! Keys in a file, which is read again when it has changed.

use super::keys::{Key, KeySet, KeySource, KeyState, NoKeys};
use crate::{sync::lock, telemetry::Listed};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

/// How often the file is looked at. One look costs microseconds, and sees links that were switched, as mounted secrets are.
const LOOKS: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Arc<KeySet>,
    read_at: SystemTime,
    seen: Option<Fingerprint>,
    failure: Option<String>,
}

/// Of one state of a file: which file, when it was written, how long.
type Fingerprint = (u64, i64, i64, u64);

fn fingerprint(path: &Path) -> Option<Fingerprint> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}

impl KeyFile {
    /// The message says what is wrong with the file, and with which key.
    pub(super) fn read(path: PathBuf) -> Result<Self, String> {
        let seen = fingerprint(&path);
        let keys = Arc::new(KeySet::read(&path)?);
        Ok(Self { path, state: Mutex::new(State { keys, read_at: SystemTime::now(), seen, failure: None }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A file that is gone or can't be read changes nothing but what is told of it.
    fn look(&self) {
        let now = fingerprint(&self.path);
        if self.lock().seen == now {
            return;
        }
        let read = KeySet::read(&self.path);
        let mut state = self.lock();
        state.seen = now;
        match read {
            Ok(keys) => {
                tracing::info!(file = %self.path.display(), keys = %Listed(&keys.names()), "verification keys read again");
                (state.keys, state.read_at, state.failure) = (Arc::new(keys), SystemTime::now(), None);
            }
            Err(reason) => {
                tracing::warn!(reason, "verification keys can't be read again; those from before go on");
                state.failure = Some(reason);
            }
        }
    }
}

impl KeySource for KeyFile {
    fn find<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Arc<Key>>, NoKeys>> {
        ready(Ok(self.lock().keys.find(id))).boxed()
    }

    fn keep(self: Arc<Self>) -> BoxFuture<'static, ()> {
        async move {
            loop {
                tokio::time::sleep(LOOKS).await;
                let file = self.clone();
                // A look that failed is followed by another.
                let _ = tokio::task::spawn_blocking(move || file.look()).await;
            }
        }
        .boxed()
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    fn state(&self) -> KeyState {
        let state = self.lock();
        KeyState {
            source: self.path.display().to_string(),
            keys: state.keys.names(),
            usable: true,
            seconds_old: state.read_at.elapsed().ok().map(|age| age.as_secs()),
            failure: state.failure.clone(),
        }
    }
}
