//! Backends that answer by what a case gives, and else by their protos. All calls of a round are answered at once.

use crate::{
    mocks::replies::Replies,
    model::Failure,
    sync::lock,
    upstream::{StandIn, StandInCall},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::watch;

/// A round is over when no call has come for so long: longer than calls gather for a batch.
const QUIET: Duration = Duration::from_millis(3);

#[derive(Debug)]
pub(super) struct Backends {
    replies: Replies,
    delays: BTreeMap<String, Duration>,
    seen: Mutex<BTreeMap<String, usize>>,
    round: Arc<Round>,
}

/// Calls that wait for one another.
#[derive(Debug)]
struct Round {
    arrived: AtomicU64,
    over: watch::Sender<u64>,
}

impl Backends {
    pub(super) fn new(replies: Replies, delays: BTreeMap<String, Duration>) -> Self {
        let round = Arc::new(Round { arrived: AtomicU64::new(0), over: watch::Sender::new(0) });
        Self { replies, delays, seen: Mutex::default(), round }
    }

    /// Calls that have come, by method.
    pub(super) fn counted(&self) -> BTreeMap<String, usize> {
        lock(&self.seen).clone()
    }

    pub(super) fn forget(&self) {
        lock(&self.seen).clear();
    }
}

impl Round {
    /// Until nobody else comes.
    async fn wait(self: &Arc<Self>) {
        let mut over = self.over.subscribe();
        let number = *over.borrow_and_update();
        let arrived = self.arrived.fetch_add(1, Relaxed);
        if arrived == number {
            // The first of its round. The others wait also where this call is given up.
            tokio::spawn(self.clone().close());
        }
        // The sender lives as long as this does.
        let _ = over.changed().await;
    }

    async fn close(self: Arc<Self>) {
        let mut arrived = self.arrived.load(Relaxed);
        loop {
            tokio::time::sleep(QUIET).await;
            let now = self.arrived.load(Relaxed);
            if now == arrived {
                break;
            }
            arrived = now;
        }
        self.over.send_replace(arrived);
    }
}

impl StandIn for Backends {
    fn reply<'a>(&'a self, call: StandInCall<'a>) -> Pin<Box<dyn Future<Output = Result<Bytes, Failure>> + Send + 'a>> {
        *lock(&self.seen).entry(call.method.to_owned()).or_default() += 1;
        Box::pin(async move {
            self.round.wait().await;
            if let Some(delay) = self.delays.get(call.method) {
                tokio::time::sleep(*delay).await;
            }
            self.replies.reply(call.method, call.message)
        })
    }
}
