//! Noticing that the folder has changed.

use super::Loader;
use notify::{RecursiveMode, Watcher};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// A burst of changes is over when nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(100);
/// The folder is looked at this often even without a notice: some file systems give none.
const PATROL: Duration = Duration::from_secs(5);

/// Refreshes the loader whenever its folder changes, until the future is dropped.
pub async fn watch(loader: Arc<Loader>) {
    let changed = Arc::new(Notify::new());
    let _watcher = notices(&loader, &changed);
    loop {
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(PATROL) => {}
        }
        while tokio::time::timeout(QUIET, changed.notified()).await.is_ok() {}
        let loader = loader.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || loader.refresh()).await {
            tracing::error!(%error, "loading plugins failed; what serves goes on");
        }
    }
}

fn notices(loader: &Loader, changed: &Arc<Notify>) -> Option<impl Watcher + use<>> {
    let bell = changed.clone();
    let watcher = notify::recommended_watcher(move |_| bell.notify_one());
    let started = watcher.and_then(|mut watcher| {
        std::fs::create_dir_all(loader.folder()).map_err(notify::Error::io)?;
        watcher.watch(loader.folder(), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match started {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(folder = %loader.folder().display(), %error, "no notices of changes here; looking every {PATROL:?} instead");
            None
        }
    }
}
