//! Where the first answer to a key goes.

use super::{Answers, Entry, OVERHEAD, Progress, elsewhere};
use crate::{
    gateway::Reply,
    model::{Digest, Fault},
    store::{
        self,
        record::{State, Why},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Where the first answer goes. Dropped before the request has begun to run it leaves nothing behind; afterwards, that there was one.
#[derive(Debug)]
pub(in crate::gateway) struct Slot {
    answers: Arc<Answers>,
    pub(super) key: Digest,
    pub(super) fingerprint: Digest,
    pub(super) ttl: Duration,
    sender: watch::Sender<Progress>,
    /// That other hosts know of it.
    pub(super) claim: Option<store::Claim>,
    has_begun: bool,
    is_over: bool,
}

impl Slot {
    /// For a key that the table has as one under way.
    pub(super) fn new(
        answers: Arc<Answers>,
        key: Digest,
        fingerprint: Digest,
        ttl: Duration,
        sender: watch::Sender<Progress>,
    ) -> Self {
        Self { answers, key, fingerprint, ttl, sender, claim: None, has_begun: false, is_over: false }
    }

    /// From now on the request may have been done.
    pub(in crate::gateway) fn begins(&mut self) {
        self.has_begun = true;
    }

    /// Keeps the answer and gives it to those who wait for it; and tells other hosts, for whom this waits, but not for long.
    pub(in crate::gateway) async fn fill(mut self, answer: Result<Reply, Fault>) {
        let told = self.claim.take().map(|claim| claim.end(elsewhere::ended(&answer)));
        let size = OVERHEAD + answer.as_ref().map_or(0, Reply::weight);
        if self.keep(size) {
            self.end(Progress::Answered(Arc::new(answer)));
        } else {
            self.lose("its answer was too large to be kept");
        }
        if let Some(told) = told {
            told.await;
        }
    }

    /// The request never ran.
    pub(in crate::gateway) async fn release(mut self) {
        self.has_begun = false;
        let claim = self.claim.take();
        // Whoever waits here is not to find it elsewhere.
        if let Some(claim) = claim {
            claim.release().await;
        }
    }

    fn keep(&self, size: usize) -> bool {
        let entry = Entry { fingerprint: self.fingerprint, answer: self.sender.subscribe() };
        self.answers.table.keep(&self.key, entry, size as u64, self.ttl)
    }

    /// What was taken for the claim is enough for this.
    fn lose(&mut self, why: &'static str) {
        drop(self.claim.take().map(|claim| claim.end(State::Unknown(Why::NoAnswer))));
        self.keep(OVERHEAD);
        self.end(Progress::Lost(why));
    }

    fn end(&mut self, progress: Progress) {
        self.is_over = true;
        self.sender.send_replace(progress);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if self.has_begun {
            self.lose("it ended without an answer");
        } else {
            self.answers.table.release(&self.key);
            self.end(Progress::Released);
        }
    }
}
