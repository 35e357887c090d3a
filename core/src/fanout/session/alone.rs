//! A call that nobody shares: not safe, or of a caller who has nobody to share it with.

use super::Session;
use crate::{
    fanout::{
        call::Outcome,
        inbox::Inbox,
        loads::{Leaves, Loaded, spawn},
        plan::Plan,
        scope::Scoped,
        tiers::Tiers,
    },
    model::{Code, Deadline, Failure},
    observe::Audience,
    store::Invalidation,
    upstream::Outgoing,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{task::AbortHandle, time::Instant};

impl Session {
    pub(super) fn send_alone(
        &self,
        ticket: u32,
        plan: &Arc<Plan>,
        scoped: &Scoped,
        message: Bytes,
        deadline: Deadline,
    ) -> Option<AbortHandle> {
        let owed = Owed { inbox: self.inbox.clone(), ticket, is_paid: false };
        let (tiers, plan, audience) =
            (self.engine.loads.tiers.clone(), plan.clone(), Audience::of(self.observer.clone()));
        let (metadata, source) = (scoped.metadata.clone(), scoped.source);
        spawn(async move {
            let written = Written { invalidation: plan.invalidated_by(&message), tiers };
            let (method, cut) = (plan.method.clone(), Arc::default());
            let outgoing = Outgoing { method, message, metadata, deadline, source, cut, audience };
            let (started, alone) = (Instant::now(), why_alone(&plan));
            let leaves = Leaves { method: &plan.name, keys: 1, gathered: Duration::ZERO, started, alone };
            let loaded = leaves.send(&*plan.backend, outgoing).await;
            // Before the plugin hears of it: who reads after a write finds nothing old.
            written.ended(&loaded).await;
            owed.pay(loaded.into_outcome());
        })
    }
}

/// Why a call that others might have shared went alone.
fn why_alone(plan: &Plan) -> Option<&'static str> {
    (plan.safe && (plan.cache.is_some() || plan.batch.is_some()))
        .then_some("the caller has no identity to share within the method's scope: neither batched nor cached")
}

/// The outcome of one call, which its session waits for. However its task ends, it comes.
#[derive(Debug)]
struct Owed {
    inbox: Arc<Inbox>,
    ticket: u32,
    is_paid: bool,
}

impl Owed {
    fn pay(mut self, outcome: Outcome) {
        self.is_paid = true;
        self.inbox.put(self.ticket, outcome);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.is_paid {
            let failure = Failure::new(Code::Internal, "the call ended without an answer");
            self.inbox.put(self.ticket, Outcome::failed(failure));
        }
    }
}

/// A write. What it is declared to invalidate is invalidated, unless it is known that it was not done, because it was not sent or the backend
/// says so: whoever gave it up, or whatever broke on the way back, undoes no write.
#[derive(Debug)]
struct Written {
    tiers: Arc<Tiers>,
    invalidation: Option<Invalidation>,
}

impl Written {
    async fn ended(mut self, loaded: &Loaded) {
        let is_undone = !loaded.sent || loaded.result.as_ref().is_err_and(|failure| says_it_was_not_done(failure.code));
        if let Some(invalidation) = self.invalidation.take_if(|_| !is_undone) {
            self.tiers.invalidate_everywhere(&invalidation).await;
        }
        self.invalidation = None;
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(invalidation) = self.invalidation.take() {
            self.tiers.invalidate(&invalidation);
        }
    }
}

/// Codes of a backend that did not do what it was asked to. The others leave it open: a connection that breaks after the call was sent is
/// UNAVAILABLE, and a reply that is larger than it may be RESOURCE_EXHAUSTED.
fn says_it_was_not_done(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated
    )
}
