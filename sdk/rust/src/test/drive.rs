//! Drives one request in virtual time: time jumps to whatever is next, so that tests are fast and always the same.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::fixture::Fixture;
use super::response::{SentCall, TestResponse};
use crate::call::OR_DEFAULT;
use crate::executor::{CallHead, Completion, Exchange, Executor, Turn};
use crate::lock::lock;
use crate::{CallError, Code, Origin, Outcome, Problem};

/// A reply on its way: when it is there, and what it is.
type Due = (Duration, Completion, Bytes);

/// The calls under way.
#[derive(Default)]
struct UnderWay {
    now: Duration,
    tickets: u32,
    /// By ticket.
    due: BTreeMap<u32, Due>,
    sent: Vec<Vec<SentCall>>,
}

pub(super) fn drive(fixture: &Fixture, mut executor: Executor<Outcome>, deadline: Duration) -> TestResponse {
    let mut under_way = UnderWay::default();
    let outcome = loop {
        executor.set_time(under_way.now);
        let wait = match executor.turn() {
            Turn::Done(outcome) => break outcome,
            Turn::Stuck => break Err(Problem::deadlock()),
            Turn::Exchange(wanted) => {
                under_way.start(fixture, &wanted);
                wanted.wait_ms.map(|ms| under_way.now + Duration::from_millis(u64::from(ms)))
            }
        };
        let first = under_way.due.values().map(|(at, ..)| *at).min();
        let Some(next) = first.into_iter().chain(wait).min().filter(|&next| next < deadline) else {
            under_way.now = deadline;
            break Err(Problem::gateway_timeout("the request took longer than its deadline"));
        };
        under_way.now = next;
        let finished: Vec<u32> =
            under_way.due.iter().filter(|(_, (at, ..))| *at <= next).map(|(&ticket, _)| ticket).collect();
        for ticket in finished {
            if let Some((_, completion, message)) = under_way.due.remove(&ticket) {
                executor.deliver_one(completion, message);
            }
        }
    };
    lock(&fixture.sent).extend(under_way.sent.iter().cloned());
    TestResponse { outcome, exchanges: under_way.sent, elapsed: under_way.now, events: Vec::new() }
}

impl UnderWay {
    fn start(&mut self, fixture: &Fixture, wanted: &Exchange<'_>) {
        for &ticket in wanted.cancel {
            self.due.remove(&ticket);
            self.mark_cancelled(ticket);
        }
        let calls: Vec<SentCall> = wanted.calls.iter().map(|head| self.call(fixture, head, wanted.messages)).collect();
        if !calls.is_empty() {
            self.sent.push(calls);
        }
    }

    #[expect(clippy::panic, clippy::indexing_slicing, reason = "ends the test")]
    fn call(&mut self, fixture: &Fixture, head: &CallHead, messages: &[u8]) -> SentCall {
        let method = fixture.plugin.methods()[head.method as usize];
        let message = &messages[head.offset as usize..][..head.len as usize];
        let backend = fixture.backends.get(method).filter(|backend| backend.stalls || backend.answer.is_some());
        let Some(backend) = backend else {
            panic!("`{method}` was called, but the test has no backend for it: add `.backend(.., |request| ..)`");
        };
        let ticket = self.tickets;
        self.tickets += 1;
        let mut completion = Completion { ticket, ..Completion::default() };
        let timeout = (head.timeout_ms > 0).then(|| Duration::from_millis(u64::from(head.timeout_ms)));
        let late = timeout.filter(|&timeout| backend.stalls || backend.latency > timeout);
        let reply = match &backend.answer {
            _ if late.is_some() => Some(Err(CallError::new(Code::DeadlineExceeded, "the call's timeout has passed"))),
            Some(answer) if !backend.stalls => Some(answer(message)),
            _ => None,
        };
        if let Some(reply) = reply {
            completion.origin = backend.origin.map_or(0, |origin| origin as u32);
            let message = reply.unwrap_or_else(|error| {
                if error.code().is_backend_failure() && head.flags & OR_DEFAULT != 0 {
                    completion.origin = Origin::Fallback as u32;
                    return Vec::new();
                }
                completion.code = error.code() as u32;
                error.to_status()
            });
            self.due.insert(ticket, (self.now + late.unwrap_or(backend.latency), completion, message.into()));
        }
        SentCall {
            ticket,
            method,
            depth: (head.flags & 0xffff) as u16,
            timeout,
            cancelled: false,
            message: message.to_vec(),
        }
    }

    fn mark_cancelled(&mut self, ticket: u32) {
        let calls = self.sent.iter_mut().flatten();
        for call in calls.filter(|call| call.ticket == ticket) {
            call.cancelled = true;
        }
    }
}
