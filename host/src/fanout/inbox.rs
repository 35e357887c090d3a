//! Where the outcomes of one request's calls arrive.

use super::call::Outcome;
use crate::model::{Code, Failure};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::Notify;

/// Many loads put in; the one session that owns it takes out.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    arrived: Mutex<Vec<(u32, Outcome)>>,
    bell: Notify,
    /// Bytes of replies so far, and how many there may be: a plugin that asks for much and takes nothing must not fill the host.
    bytes: AtomicUsize,
    most: usize,
}

impl Inbox {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn put(&self, ticket: u32, outcome: Outcome) {
        let size = outcome.result.as_ref().map_or(0, |bytes| bytes.len());
        let outcome = if self.bytes.fetch_add(size, Relaxed) + size > self.most {
            let text = format!("the replies of this request have more than {} bytes together", self.most);
            Outcome::failed(Failure::new(Code::ResourceExhausted, text))
        } else {
            outcome
        };
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
