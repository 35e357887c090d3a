//! Where the outcomes of one request's calls arrive.

use super::call::Outcome;
use crate::{
    model::{Code, Failure},
    observe::RefusedBy,
    sync::lock,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
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
            let mut arrived = lock(&inbox.arrived);
            arrived.push((ticket, inbox.bounded(outcome)));
            while let Some((_, ticket, outcome)) = post.next_if(|(other, ..)| Arc::ptr_eq(other, &inbox)) {
                arrived.push((ticket, inbox.bounded(outcome)));
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
    /// Bytes of replies so far, and how many there may be: a plugin that asks for much and takes nothing must not fill the host.
    bytes: AtomicUsize,
    most: usize,
}

impl Inbox {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn put(&self, ticket: u32, outcome: Outcome) {
        let outcome = self.bounded(outcome);
        lock(&self.arrived).push((ticket, outcome));
        self.bell.notify_one();
    }

    /// The outcome, or what is told where all replies together are too much.
    fn bounded(&self, outcome: Outcome) -> Outcome {
        let size = outcome.result.as_ref().map_or(0, |bytes| bytes.len());
        if self.bytes.fetch_add(size, Relaxed) + size <= self.most {
            return outcome;
        }
        let text = format!("the replies of this request have more than {} bytes together", self.most);
        let result = Err(Arc::new(Failure::new(Code::ResourceExhausted, text)));
        Outcome { result, refused_by: Some(RefusedBy::RepliesBound), ..outcome }
    }

    pub(super) fn take(&self) -> Vec<(u32, Outcome)> {
        std::mem::take(&mut *lock(&self.arrived))
    }

    /// Returns when something was put in since the last time. May return once too often.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
