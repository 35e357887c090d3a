//! Where the outcomes of one request's calls arrive.

use super::call::Outcome;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Many loads put in; the one session that owns it takes out.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    arrived: Mutex<Vec<(u32, Outcome)>>,
    bell: Notify,
}

impl Inbox {
    pub(super) fn put(&self, ticket: u32, outcome: Outcome) {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push((ticket, outcome));
        self.bell.notify_one();
    }

    pub(super) fn take(&self) -> Vec<(u32, Outcome)> {
        std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when something was put in since the last time. May return once too often.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
