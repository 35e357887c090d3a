//! Noticing that the folder has changed.

use super::{Loader, folder::UNSETTLED};
use notify::{RecursiveMode, Watcher};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

/// A burst of changes is over when nothing has happened for this long, or when it has lasted for that long.
const QUIET: Duration = Duration::from_millis(100);
const LONGEST_BURST: Duration = Duration::from_secs(2);
/// The folder is looked at this often even without a notice: some file systems give none.
const PATROL: Duration = Duration::from_secs(5);

/// Looks into the folder whenever it changes, until the future is dropped.
pub async fn watch(loader: Arc<Loader>) {
    let changed = Arc::new(Notify::new());
    let _watcher = notices(&loader, &changed);
    let mut pause = PATROL;
    loop {
        tokio::select! {
            () = changed.notified() => {}
            () = sleep(pause) => {}
        }
        let burst = Instant::now();
        while burst.elapsed() < LONGEST_BURST && timeout(QUIET, changed.notified()).await.is_ok() {}
        let loader = loader.clone();
        match tokio::task::spawn_blocking(move || loader.look()).await {
            Ok(is_settled) => pause = if is_settled { PATROL } else { UNSETTLED },
            Err(error) => tracing::error!(%error, "looking into the plugin folder failed; what serves goes on"),
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
