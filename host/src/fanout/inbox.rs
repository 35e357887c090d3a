//! Where the outcomes of one request's calls arrive.

use super::call::Outcome;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Outcomes of one load on their way to those who wait. All are delivered when it is dropped, and each bell rings once: a request that
/// takes a hundred items of a batch is not woken for the first of them.
#[derive(Debug, Default)]
pub(super) struct Post(Vec<(Arc<Inbox>, u32, Outcome)>);

impl Post {
    pub(super) fn add(&mut self, inbox: Arc<Inbox>, ticket: u32, outcome: Outcome) {
        self.0.push((inbox, ticket, outcome));
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // By address: what is for one inbox lies together, in the order in which it came.
        self.0.sort_by_key(|(inbox, ..)| Arc::as_ptr(inbox).addr());
        let mut post = std::mem::take(&mut self.0).into_iter().peekable();
        while let Some((inbox, ticket, outcome)) = post.next() {
            let mut arrived = inbox.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrived.push((ticket, outcome));
            while let Some((_, ticket, outcome)) = post.next_if(|(other, ..)| Arc::ptr_eq(other, &inbox)) {
                arrived.push((ticket, outcome));
            }
            drop(arrived);
            inbox.bell.notify_one();
        }
    }
}

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
