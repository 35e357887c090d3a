//! The attempts of one call: the first, retries after failures, and a hedge when it takes long.
//!
//! Safe methods only, within the budget that all calls of the backend share, on another endpoint where there is one, never after the
//! backend has begun to answer. A request that found no connection was not sent at all, so any method may look for another endpoint.

use super::{
    Backend, Outgoing,
    balance::{self, PickContext},
    config::Hedge,
    failed::{Failed, Pushback},
    instance::UpstreamInstance,
};
use crate::{
    model::{Code, Failure},
    observe::{Attempt, AttemptKind, RefusedBy},
};
use bytes::Bytes;
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{FuturesUnordered, StreamExt},
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// Pause before the first retry; each further one waits twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_millis(250);

/// What came of a call, and how many attempts it took.
#[derive(Debug, Clone)]
pub struct Answer {
    pub result: Result<Bytes, Failure>,
    pub attempts: u32,
    /// The endpoint of the attempt whose end was the call's.
    pub endpoint: Option<Arc<str>>,
    /// Who refused the call here, so that nothing was sent.
    pub refused_by: Option<RefusedBy>,
    /// Some attempt may have reached the backend, so that the call may have been done whatever came of it.
    pub sent: bool,
    /// A stream had not ended in the call's time; this is what had come of it.
    pub cut: bool,
}

impl Answer {
    pub fn new(result: Result<Bytes, Failure>, attempts: u32) -> Self {
        Self { result, attempts, endpoint: None, refused_by: None, sent: attempts > 0, cut: false }
    }

    /// Nothing was sent.
    pub fn refused(failure: Failure, by: RefusedBy) -> Self {
        Self { refused_by: Some(by), ..Self::new(Err(failure), 0) }
    }
}

/// Who was asked, and what came of it.
type Ended = (Arc<UpstreamInstance>, Result<Bytes, Failed>);

/// The attempts of one call so far.
struct Attempts<'a> {
    backend: &'a Backend,
    outgoing: &'a Outgoing,
    canary: bool,
    tried: Vec<Arc<UpstreamInstance>>,
    count: u32,
    /// An attempt has ended for which there was a connection.
    sent: bool,
    running: FuturesUnordered<BoxFuture<'a, Ended>>,
    /// Where the last attempt that ended was made.
    ended_at: Option<Arc<UpstreamInstance>>,
}

/// Makes the call. Ends by its deadline.
pub(super) async fn run(backend: &Backend, outgoing: &Outgoing) -> Answer {
    let canary = backend.config.canary.as_ref().is_some_and(|canary| rand::random::<f64>() < canary.share);
    let mut attempts = Attempts {
        backend,
        outgoing,
        canary,
        tried: Vec::new(),
        count: 0,
        sent: false,
        running: FuturesUnordered::new(),
        ended_at: None,
    };
    backend.budget.deposit();
    let result = attempts.run().await;
    let endpoint = attempts.ended_at.map(|instance| instance.address.clone());
    // Attempts that the end left behind may have arrived as well.
    let sent = attempts.sent || !attempts.running.is_empty();
    Answer { endpoint, sent, cut: outgoing.cut.load(Relaxed), ..Answer::new(result, attempts.count) }
}

impl Attempts<'_> {
    async fn run(&mut self) -> Result<Bytes, Failure> {
        let no_endpoint = || Failure::new(Code::Unavailable, "the backend has no endpoints");
        if !self.launch(AttemptKind::First) {
            return Err(no_endpoint());
        }
        let mut hedge_at = self.hedge_delay().map(|delay| Instant::now() + delay);
        loop {
            let hedge = async {
                match hedge_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                ended = self.running.next() => ended,
                () = hedge => {
                    hedge_at = None;
                    if self.has_untried() && self.backend.budget.withdraw() {
                        self.launch(AttemptKind::Hedge);
                    }
                    continue;
                }
            };
            let Some((instance, result)) = ended else { return Err(no_endpoint()) };
            self.ended_at = Some(instance);
            self.sent |= !matches!(&result, Err(failed) if failed.unsent);
            let failed = match result {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => failed,
            };
            if !self.running.is_empty() {
                continue;
            }
            let Some(pause) = self.pause_before_next(&failed) else { return Err(failed.failure) };
            tokio::time::sleep(pause).await;
            if !self.launch(AttemptKind::Retry) {
                // None is left in the set by now.
                return Err(failed.failure);
            }
        }
    }

    fn context(&self) -> PickContext<'_> {
        let source = self.outgoing.source_for(self.backend.config.balance);
        PickContext { tried: &self.tried, canary: self.canary, source }
    }

    /// Whether the newest set has an instance for this call that was not tried.
    fn has_untried(&self) -> bool {
        balance::has_untried(&self.backend.instances.load(), self.context())
    }

    /// Starts one attempt, on an instance of the newest set that was not tried, or on any when all were; `false`: there is none.
    fn launch(&mut self, kind: AttemptKind) -> bool {
        let backend = self.backend;
        let set = backend.instances.load();
        let pick = |context| backend.picker.pick(&set, context);
        let picked = pick(self.context()).or_else(|| pick(PickContext { tried: &[], ..self.context() }));
        let Some(instance) = picked.map(|member| member.instance.clone()) else { return false };
        drop(set);
        self.tried.push(instance.clone());
        self.count += 1;
        let (outgoing, number) = (self.outgoing, self.count);
        self.running.push(
            async move {
                let attempt = Attempt {
                    method: &outgoing.method.name,
                    endpoint: &instance.address,
                    number,
                    kind,
                    by: outgoing.method.spoken(),
                    span: outgoing.audience.attempt(),
                };
                let result = instance.attempt(outgoing, backend.max_reply, attempt).await;
                backend.observe(&instance, result.as_ref().map(drop).map_err(|failed| &failed.failure));
                (instance, result)
            }
            .boxed(),
        );
        true
    }

    /// How long to wait before another attempt; `None`: there is none.
    fn pause_before_next(&self, failed: &Failed) -> Option<Duration> {
        let retry = &self.backend.config.retry;
        if failed.unsent && self.has_untried() {
            return Some(Duration::ZERO);
        }
        let may = self.outgoing.method.safe
            && !failed.answered
            && self.count < retry.attempts
            && retry.on.contains(&failed.failure.code);
        let pause = match failed.pushback {
            Pushback::Stop => return None,
            Pushback::After(pause) => pause,
            Pushback::None => {
                let doubled = FIRST_BACKOFF.saturating_mul(1 << self.count.saturating_sub(1).min(10));
                doubled.min(LONGEST_BACKOFF).mul_f64(rand::random_range(0.8..1.2))
            }
        };
        (may && pause < self.outgoing.deadline.remaining() && self.backend.budget.withdraw()).then_some(pause)
    }

    fn hedge_delay(&self) -> Option<Duration> {
        if !self.outgoing.method.safe || self.backend.instances.load().members().len() < 2 {
            return None;
        }
        match self.backend.config.hedge? {
            Hedge::After(delay) => Some(delay),
            Hedge::Quantile(quantile) => self.outgoing.method.latency.quantile(quantile),
        }
    }
}

#[cfg(test)]
mod tests;
