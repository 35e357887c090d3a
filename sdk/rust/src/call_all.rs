//! Calls of one method for a list of requests, as one future.
//!
//! Each of many futures costs a wake-up, an allocation and a turn of its own; here one future has all calls. On the way out and in they are
//! single calls as any others: the host looks each up in its cache, joins equal ones, and batches what is left.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FusedFuture;
use prost::Message;

use crate::call::{Bounds, Method, OR_DEFAULT, OR_STALE, finished};
use crate::call_error::{CallError, Code};
use crate::executor::{Polled, current};

/// What [`Method::call_all`] returns: awaited, what came of each call, in the order of the requests.
#[must_use = "calls are sent when they are awaited"]
pub struct CallAll<Req, Resp, R = Req> {
    method: Method<Req, Resp>,
    bounds: Bounds,
    state: State<R, Resp>,
}

enum State<R, Resp> {
    New(Vec<R>),
    Gathered {
        request: u64,
        /// Of the calls under way: the slot, and the place of the result.
        waiting: Vec<(u32, usize)>,
        results: Vec<Option<Result<Resp, CallError>>>,
    },
    Finished,
}

// Nothing in it is ever pinned: requests are only borrowed, to be encoded.
impl<Req, Resp, R> Unpin for CallAll<Req, Resp, R> {}

impl<Req, Resp, R> fmt::Debug for CallAll<Req, Resp, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallAll").field("method", &self.method).finish_non_exhaustive()
    }
}

impl<Req, Resp, R> CallAll<Req, Resp, R> {
    pub(crate) fn new(method: Method<Req, Resp>, requests: impl IntoIterator<Item = R>) -> Self {
        Self { method, bounds: Bounds::default(), state: State::New(requests.into_iter().collect()) }
    }

    /// As [`Call::timeout`](crate::Call::timeout), for each call.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.bounds.set_timeout(timeout);
        self
    }

    /// As [`Call::or_stale`](crate::Call::or_stale), for each call.
    pub fn or_stale(mut self) -> Self {
        self.bounds.flags |= OR_STALE;
        self
    }

    /// As [`Call::or_default`](crate::Call::or_default), for each call.
    pub fn or_default(mut self) -> Self {
        self.bounds.flags |= OR_DEFAULT;
        self
    }
}

impl<Req, Resp, R> CallAll<Req, Resp, R>
where
    Req: Message,
    Resp: Message + Default + Clone + 'static,
    R: Borrow<Req>,
{
    /// Puts all of them into the outgoing batch.
    fn gather(&self, requests: &[R], context: &Context<'_>) -> State<R, Resp> {
        let Self { method, bounds, .. } = self;
        let gathered = current::with(|core| {
            let flags = bounds.flags | u32::from(core.depth.now().saturating_add(1));
            let mut slot = |request: &R| {
                core.calls.gather(method.number(), bounds.timeout_ms, flags, context.waker().clone(), |buffer| {
                    // It fails only where the buffer is too small, and this one grows.
                    let _ = request.borrow().encode(buffer);
                })
            };
            let waiting = requests.iter().enumerate().map(|(place, request)| (slot(request), place)).collect();
            (core.id, waiting)
        });
        match gathered {
            Some((request, waiting)) => {
                State::Gathered { request, waiting, results: requests.iter().map(|_| None).collect() }
            }
            None => {
                let outside = || Err(CallError::new(Code::Internal, "a call outside of a request").of(method.name()));
                let results = requests.iter().map(|_| Some(outside())).collect();
                State::Gathered { request: 0, waiting: Vec::new(), results }
            }
        }
    }

    /// Takes what has come, and says whether that is all.
    fn take(&mut self, context: &Context<'_>) -> bool {
        let name = self.method.name();
        let State::Gathered { request, waiting, results } = &mut self.state else { return true };
        let (mut come, mut replaced) = (Vec::new(), Vec::new());
        let is_current = current::with_request(*request, |core| {
            waiting.retain(|&(slot, place)| match core.calls.poll(slot, context.waker()) {
                Polled::Pending(waker) => {
                    replaced.extend(waker);
                    true
                }
                Polled::Ready { depth, reply } => {
                    core.depth.observe(depth);
                    come.push((place, reply));
                    false
                }
            });
        });
        // That may run foreign code, which must not find the request taken.
        drop(replaced);
        if is_current.is_none() {
            let ended = || CallError::new(Code::Cancelled, "the request that these calls belong to has ended").of(name);
            waiting.drain(..).for_each(|(_, place)| put(results, place, Err(ended())));
        }
        for (place, reply) in come {
            put(results, place, finished(name, Ok(reply)).map(|reply| reply.message));
        }
        waiting.is_empty()
    }
}

fn put<T>(results: &mut [Option<T>], place: usize, result: T) {
    if let Some(free) = results.get_mut(place) {
        *free = Some(result);
    }
}

impl<Req, Resp, R> Future for CallAll<Req, Resp, R>
where
    Req: Message,
    Resp: Message + Default + Clone + 'static,
    R: Borrow<Req>,
{
    type Output = Vec<Result<Resp, CallError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::New(requests) = &mut self.state {
            let requests = std::mem::take(requests);
            self.state = self.gather(&requests, context);
        }
        if matches!(self.state, State::Finished) || !self.take(context) {
            return Poll::Pending;
        }
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Gathered { results, .. } => Poll::Ready(results.into_iter().flatten().collect()),
            State::New(_) | State::Finished => Poll::Pending,
        }
    }
}

impl<Req, Resp, R> FusedFuture for CallAll<Req, Resp, R>
where
    Req: Message,
    Resp: Message + Default + Clone + 'static,
    R: Borrow<Req>,
{
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Finished)
    }
}

impl<Req, Resp, R> Drop for CallAll<Req, Resp, R> {
    fn drop(&mut self) {
        let State::Gathered { request, waiting, .. } = &self.state else { return };
        let wakers = current::with_request(*request, |core| {
            waiting.iter().map(|&(slot, _)| core.calls.forget(slot)).collect::<Vec<_>>()
        });
        drop(wakers);
    }
}
