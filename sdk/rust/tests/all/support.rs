//! A backend method, and a driver that is worked by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weft_sdk::Method;
use weft_sdk::executor::{CallHead, Completion, Executor, NoHost, Turn};
use weft_sdk::prost::Message;

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "weft_sdk::prost")]
pub(crate) struct Number {
    #[prost(uint32, tag = "1")]
    pub(crate) value: u32,
}

/// Adds one.
pub(crate) const NEXT: Method<Number, Number> = Method::new(0, "test.v1.Numbers/Next");
/// Doubles.
pub(crate) const DOUBLE: Method<Number, Number> = Method::new(1, "test.v1.Numbers/Double");
pub(crate) const METHODS: &[&str] = &["test.v1.Numbers/Next", "test.v1.Numbers/Double"];

/// A call of [`NEXT`] whose reply is awaited as a plain number.
pub(crate) async fn next(value: u32) -> u32 {
    NEXT.call(Number { value }).await.unwrap().value
}

pub(crate) fn executor<T>(future: impl Future<Output = T> + Send + 'static) -> Executor<T> {
    Executor::new(future, Arc::new(NoHost))
}

/// An exchange as the driver saw it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen {
    pub(crate) values: Vec<u32>,
    pub(crate) depths: Vec<u32>,
    pub(crate) cancel: Vec<u32>,
    pub(crate) wait_ms: Option<u32>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Step<T> {
    Done(T),
    Exchange(Seen),
    Stuck,
}

impl<T: std::fmt::Debug> Step<T> {
    pub(crate) fn exchange(self) -> Seen {
        match self {
            Self::Exchange(seen) => seen,
            other => panic!("expected an exchange: {other:?}"),
        }
    }

    pub(crate) fn done(self) -> T {
        match self {
            Self::Done(output) => output,
            other => panic!("expected the end: {other:?}"),
        }
    }
}

/// One turn.
pub(crate) fn step<T>(executor: &mut Executor<T>) -> Step<T> {
    match executor.turn() {
        Turn::Done(output) => Step::Done(output),
        Turn::Stuck => Step::Stuck,
        Turn::Exchange(wanted) => {
            let value = |head: &CallHead| {
                let message = &wanted.messages[head.offset as usize..][..head.len as usize];
                Number::decode(message).unwrap().value
            };
            Step::Exchange(Seen {
                values: wanted.calls.iter().map(value).collect(),
                depths: wanted.calls.iter().map(|head| head.flags).collect(),
                cancel: wanted.cancel.to_vec(),
                wait_ms: wanted.wait_ms,
            })
        }
    }
}

/// Delivers replies as one arena.
pub(crate) fn deliver<T>(executor: &mut Executor<T>, replies: &[(u32, u32)]) {
    let mut arena = Vec::new();
    let mut completions = Vec::new();
    for &(ticket, value) in replies {
        let offset = arena.len() as u32;
        Number { value }.encode(&mut arena).unwrap();
        let len = arena.len() as u32 - offset;
        completions.push(Completion { ticket, offset, len, ..Completion::default() });
    }
    executor.deliver(&completions, &Bytes::from(arena));
}

/// Runs to the end, answering every call of each exchange with its value plus one.
pub(crate) fn run<T>(mut executor: Executor<T>) -> (T, Vec<Seen>) {
    let mut exchanges = Vec::new();
    let mut ticket = 0;
    let mut now = Duration::ZERO;
    loop {
        executor.set_time(now);
        match step(&mut executor) {
            Step::Done(output) => return (output, exchanges),
            Step::Stuck => panic!("stuck after {exchanges:?}"),
            Step::Exchange(seen) => {
                let replies: Vec<_> =
                    seen.values.iter().enumerate().map(|(index, value)| (ticket + index as u32, value + 1)).collect();
                ticket += replies.len() as u32;
                if replies.is_empty() {
                    now += Duration::from_millis(u64::from(seen.wait_ms.unwrap()));
                }
                deliver(&mut executor, &replies);
                exchanges.push(seen);
            }
        }
    }
}
