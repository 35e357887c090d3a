//! Noticing that the folder has changed.

use super::{Loader, folder::UNSETTLED};
use notify::{
    Event, EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};

/// A burst of changes is over when nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(100);
/// One that is not over by then is not waited for: somebody may write in the folder without end.
const LONGEST_BURST: Duration = Duration::from_secs(1);
/// The folder is looked at this often even without a notice: some file systems give none.
const PATROL: Duration = Duration::from_secs(5);

/// Looks into the folder whenever it changes, until the future is dropped.
pub async fn watch(loader: Arc<Loader>) {
    let changed = Arc::new(Notify::new());
    let _watcher = notices(&loader, &changed);
    // At once: something may have changed between the look before the start and the first notice.
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        let latest = Instant::now() + LONGEST_BURST;
        while Instant::now() < latest && tokio::time::timeout(QUIET, changed.notified()).await.is_ok() {}
        let loader = loader.clone();
        pause = PATROL;
        match tokio::task::spawn_blocking(move || loader.look()).await {
            Ok(true) => {}
            Ok(false) => pause = UNSETTLED,
            Err(error) => tracing::error!(%error, "looking into the plugin folder failed; what serves goes on"),
        }
    }
}

fn notices(loader: &Loader, changed: &Arc<Notify>) -> Option<impl Watcher + use<>> {
    let bell = changed.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if !event.is_ok_and(|event| is_a_look(event.kind)) {
            bell.notify_one();
        }
    });
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

/// Our own looks at the folder are told too; to follow them would be to look for ever.
fn is_a_look(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(how) if how != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, ModifyKind};

    #[test]
    fn looks_are_no_changes_and_the_end_of_writing_is_one() {
        let looks = [AccessKind::Open(AccessMode::Any), AccessKind::Read, AccessKind::Close(AccessMode::Read)];
        assert!(looks.into_iter().all(|how| is_a_look(EventKind::Access(how))));
        let changes = [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
        ];
        assert!(!changes.into_iter().any(is_a_look));
    }
}
