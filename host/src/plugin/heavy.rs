//! Guests that compute for long take turns: one core at least is left to requests that don't.
//!
//! A guest is interrupted every few milliseconds and goes to the back of its thread's queue. But a light request is polled some ten
//! times on its way, and would each time wait behind as many of these slices as there are guests that compute.

use std::sync::{Arc, Mutex, PoisonError};
use std::{thread::available_parallelism, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// CPU time of one request after which its guest is heavy. A page of a hundred items takes a tenth of it.
pub(super) const LIGHT: Duration = Duration::from_millis(5);

/// The cores that heavy guests have together: all but one, and one at least.
pub(super) fn cores() -> Arc<Semaphore> {
    let cores = available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(cores.saturating_sub(1).max(1)))
}

/// The turn of one guest, if it has one now.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Turn {
    /// Lets the next heavy guest have its turn. Guests that are light or wait hold none.
    pub(super) fn pass(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Waits until it is this guest's turn, behind those that wait already.
    pub(super) async fn take(self, cores: Arc<Semaphore>) {
        // It is never closed.
        let turn = cores.acquire_owned().await.ok();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_turn_is_passed_on_and_ends_with_its_guest() {
        let cores = Arc::new(Semaphore::new(1));
        let [first, second, third] = [Turn::default(), Turn::default(), Turn::default()];
        first.clone().take(cores.clone()).await;
        let mut waiting = Box::pin(second.clone().take(cores.clone()));
        assert!(waiting.as_mut().now_or_never().is_none(), "it is the first one's turn");
        first.pass();
        assert!(waiting.now_or_never().is_some());
        drop(second);
        assert!(third.take(cores).now_or_never().is_some());
    }
}
