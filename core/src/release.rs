//! Releases: artifacts found, verified, compiled off the request path, and put into service by one pointer swap.
//!
//! A request picks its release once and keeps it to the end, so a swap loses nothing: the old release is freed when the last request
//! that began with it is done. A file that can't be put into service is refused with a reason, and what served before goes on.

mod arrange;
mod candidate;
mod choice;
mod config;
mod folder;
pub mod history;
mod loader;
mod misnamed;
mod queue;
mod refusal;
mod table;
mod tally;
mod verify;
mod watch;

pub use arrange::{Arrangement, Claim, Claimant, Contender, Held, arrange, holdings};
pub use choice::Choice;
pub use config::Config;
pub use loader::{Loader, NotTaken, Report};
pub use misnamed::tell_misnamed;
pub use refusal::Refusal;
pub use table::{Endpoint, Release, Table};
pub use tally::{Observed, Sums};
pub use watch::watch;

use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::watch as channel;

/// The releases in service, behind one pointer.
#[derive(Debug, Default)]
pub struct Releases {
    table: ArcSwap<Table>,
    swapped: channel::Sender<()>,
}

impl Releases {
    /// The table as it is now. Hold it for one request only.
    pub fn current(&self) -> Arc<Table> {
        self.table.load_full()
    }

    fn swap(&self, table: Table) {
        self.table.store(Arc::new(table));
        self.swapped.send_replace(());
    }

    /// Tells when there is another table.
    pub fn swaps(&self) -> channel::Receiver<()> {
        self.swapped.subscribe()
    }
}
