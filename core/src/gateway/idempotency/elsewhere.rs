//! What other hosts know of a key, where they share a cache with this one.
//!
//! What is there may have been written by anybody: it is read by `store::record`, and an answer has to pass what a plugin's has to.

use super::{Answers, Asked, Begun, Slot, lost, replay, reused};
use crate::{
    artifact::EndpointPolicy,
    gateway::{Body, Reply, output},
    model::{Digest, Fault, ProblemType},
    store::{
        Claimed, Keyed, Known, Shared,
        record::{Answer, Content, Record, State, Why},
    },
    sync::lock,
    telemetry::KeyLabels,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Between two lines of the log.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

impl Answers {
    /// For the first request with a key on this host. Where another host had one before, the slot goes, and whoever waits for it here asks
    /// as well.
    pub(super) async fn ask_others(
        &self,
        shared: &Arc<Shared>,
        policy: &EndpointPolicy,
        granted: &[HeaderName],
        mut slot: Slot,
    ) -> Result<Begun, Fault> {
        let fingerprint = *slot.fingerprint.bytes();
        let known = match shared.claim(Keyed { key: &slot.key.hex(), fingerprint, ttl: slot.ttl }).await {
            Claimed::Ours(claim) => {
                self.count("first");
                slot.claim = Some(claim);
                return Ok(Begun::First(slot));
            }
            Claimed::Away(mut claim, why) => {
                let is_strict = policy.idempotency.is_some_and(|rule| rule.strict);
                self.count(if is_strict { "away-refused" } else { "away-alone" });
                self.warn(&why);
                if is_strict {
                    return Err(away());
                }
                claim.go_on();
                slot.claim = Some(claim);
                return Ok(Begun::First(slot));
            }
            Claimed::Known(known) => known,
        };
        self.repeated(known, fingerprint, policy, granted)
    }

    /// For a key that this host has no room for: what others know of it is told all the same, because for that nothing is kept here.
    /// `None`: they know nothing of it, or can't be asked.
    pub(super) async fn look_elsewhere(
        &self,
        policy: &EndpointPolicy,
        asked: Asked<'_>,
        (key, fingerprint): (&Digest, &Digest),
    ) -> Option<Result<Begun, Fault>> {
        let known = asked.shared?.look_up(&key.hex()).await?;
        Some(self.repeated(known, *fingerprint.bytes(), policy, asked.granted))
    }

    /// What a request gets that was not the first one.
    fn repeated(
        &self,
        known: Known,
        fingerprint: [u8; 32],
        policy: &EndpointPolicy,
        granted: &[HeaderName],
    ) -> Result<Begun, Fault> {
        let (result, told) = told(known, fingerprint);
        self.count(result);
        told.map(|answer| {
            let mut reply = reply(answer);
            output::retain_allowed(&mut reply.headers, policy, granted);
            Begun::Repeated(replay(&Ok(reply)))
        })
    }

    fn count(&self, result: &str) {
        self.metrics.keys_shared.get_or_create(&KeyLabels { result: result.to_owned() }).inc();
    }

    /// Once in a minute.
    fn warn(&self, why: &str) {
        let mut told = lock(&self.told);
        let now = Instant::now();
        if told.is_some_and(|told| now.saturating_duration_since(told) < BETWEEN_WARNINGS) {
            return;
        }
        *told = Some(now);
        drop(told);
        tracing::warn!(
            why,
            "the shared cache can't be asked for keys of repeated writes: endpoints with `strict` refuse them, all others know of none but \
             this host's own"
        );
    }
}

/// What a request is told that was not the first one, and in a word.
fn told(known: Known, fingerprint: [u8; 32]) -> (&'static str, Result<Answer, Fault>) {
    const SILENT: &str = "its host went away before there was an answer";
    match known {
        Known::Running(record) | Known::Ended(record) | Known::Silent(record) if record.fingerprint != fingerprint => {
            ("reused", Err(reused()))
        }
        Known::Running(_) => ("running", Err(running())),
        Known::Ended(Record { state: State::Answered(answer), .. }) => ("answered", Ok(answer)),
        Known::Ended(Record { state: State::Unknown(Why::TooLarge), .. }) => {
            ("unknown", Err(lost("its answer was too large to be kept")))
        }
        Known::Ended(Record { state: State::Unknown(Why::NoAnswer), .. }) => {
            ("unknown", Err(lost("it ended without an answer")))
        }
        Known::Silent(_) | Known::Ended(_) => ("unknown", Err(lost(SILENT))),
        Known::Unreadable => ("unreadable", Err(lost("what is kept of it can't be read by this host"))),
    }
}

fn running() -> Fault {
    let text = "the first request with this idempotency-key is under way on another host; ask again for its answer";
    Fault::new(ProblemType::IdempotencyInProgress, text).header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

fn away() -> Fault {
    let text = "whether this write was done before can't be found out now, because what hosts share is away; nothing was done, try again \
                later with the same idempotency-key";
    Fault::new(ProblemType::IdempotencyUnavailable, text).header(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// An answer as others are told it.
pub(super) fn ended(answer: &Result<Reply, Fault>) -> State {
    State::Answered(match answer {
        Ok(Reply { status, headers, body }) => {
            let content = match body.clone() {
                Body::Bytes(bytes) => Content::Plain(bytes),
                Body::Problem { kind, title, detail, members } => Content::Problem { kind, title, detail, members },
                // No endpoint that keeps its answers has any.
                Body::Stream(_) => Content::Plain(Bytes::new()),
            };
            Answer { status: *status, headers: headers.clone(), content }
        }
        Err(fault) => {
            let problem = &fault.problem;
            let members = problem.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let (kind, title) = (problem.kind.uri(), problem.kind.title().to_owned());
            let content = Content::Problem { kind, title, detail: problem.detail.clone(), members };
            Answer { status: problem.status, headers: problem.headers.iter().cloned().collect(), content }
        }
    })
}

fn reply(answer: Answer) -> Reply {
    let body = match answer.content {
        Content::Plain(bytes) => Body::Bytes(bytes),
        Content::Problem { kind, title, detail, members } => {
            Body::problem(answer.status, (kind, title), detail, members)
        }
    };
    Reply { status: answer.status, headers: answer.headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};

    fn record(state: State) -> Record {
        Record { owner: [1; 16], fingerprint: [2; 32], state }
    }

    #[test]
    fn an_answer_is_for_the_same_request_only_and_nothing_else_is_ever_done_again() {
        let answer = || {
            let body = Body::Bytes(vec![7].into());
            ended(&Ok(Reply { status: StatusCode::CREATED, headers: HeaderMap::new(), body }))
        };
        let running = || record(State::Running { until: 7 });
        for (known, result, kind) in [
            (Known::Ended(record(answer())), "answered", None),
            (Known::Running(running()), "running", Some(ProblemType::IdempotencyInProgress)),
            (Known::Silent(running()), "unknown", Some(ProblemType::IdempotencyOutcomeUnknown)),
            (
                Known::Ended(record(State::Unknown(Why::NoAnswer))),
                "unknown",
                Some(ProblemType::IdempotencyOutcomeUnknown),
            ),
            (Known::Unreadable, "unreadable", Some(ProblemType::IdempotencyOutcomeUnknown)),
        ] {
            let (counted, told) = told(known, [2; 32]);
            assert_eq!((counted, told.err().map(|fault| fault.problem.kind)), (result, kind));
        }
        for known in [Known::Ended(record(answer())), Known::Running(running()), Known::Silent(running())] {
            assert_eq!(told(known, [3; 32]).1.unwrap_err().problem.kind, ProblemType::IdempotencyKeyReused);
        }
    }

    #[test]
    fn a_fault_is_told_elsewhere_as_the_problem_that_it_was() {
        let fault = super::super::full("the store is full").with("plugin", "fan").because("nobody else's concern");
        let State::Answered(answer) = ended(&Err(fault)) else { panic!("an answer") };
        assert_eq!(answer.headers.get("retry-after").unwrap(), "60");
        let Body::Problem { kind, members, detail, .. } = reply(answer).body else { panic!("a problem") };
        assert_eq!(kind, "urn:weft:problem:idempotency-full");
        assert_eq!(members, [("plugin".to_owned(), "fan".to_owned())]);
        assert!(detail.contains("full") && !detail.contains("concern"));
    }
}
