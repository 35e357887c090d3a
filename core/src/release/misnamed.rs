//! Telling operators of names in the configuration that nothing has, as soon as what serves or a backend shows it.

use super::Releases;
use crate::{fanout::Engine, net::Backoff};
use std::{future::pending, sync::Arc};

/// Warns of each such name once, until the future is dropped: at first, after each swap, and when a backend that could not be asked is there.
pub async fn tell_misnamed(releases: Arc<Releases>, engine: Arc<Engine>) {
    let mut swaps = releases.swaps();
    let mut backoff = Backoff::of_neighbours();
    loop {
        swaps.mark_unchanged();
        let table = releases.current();
        let pools: Vec<_> = table.releases().iter().flat_map(|release| release.plans.pools()).collect();
        let is_whole = engine.tell_misnamed(&pools).await;
        // What is retired need not wait for the next look.
        drop(pools);
        drop(table);
        let again = async {
            match is_whole {
                true => pending().await,
                false => tokio::time::sleep(backoff.pause()).await,
            }
        };
        tokio::select! {
            swapped = swaps.changed() => match swapped {
                Ok(()) => backoff = Backoff::of_neighbours(),
                Err(_) => return,
            },
            () = again => {}
        }
    }
}
