//! Calls of backend methods: typed, awaited like any future, sent in coarse batches by the executor.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FusedFuture;
use prost::Message;

use crate::call_all::CallAll;
use crate::call_error::{CallError, Code};
use crate::exchange::RawReply;
use crate::executor::{Polled, current};

/// A backend method that this plugin may call. `weft_sdk::clients!` makes one for each granted method.
pub struct Method<Req, Resp> {
    number: u32,
    name: &'static str,
    types: PhantomData<fn(Req) -> Resp>,
}

impl<Req, Resp> Method<Req, Resp> {
    /// The method with this place in the plugin's method table. For generated code.
    #[doc(hidden)]
    pub const fn new(number: u32, name: &'static str) -> Self {
        Self { number, name, types: PhantomData }
    }

    /// The full name, as in `catalog.v1.Films/GetFilm`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// A call of this method. Nothing happens before it is awaited.
    pub fn call<R: Borrow<Req>>(self, request: R) -> Call<Req, Resp, R> {
        Call { method: self, request, bounds: Bounds::default(), state: State::New }
    }

    /// A call of this method for each of these requests, awaited as one. Nothing happens before it is awaited.
    ///
    /// What comes of each stands in the order of the requests: see [`CallResults`](crate::CallResults). It is what a loop with
    /// [`join_all`](crate::futures::join_all) does, for less of the guest's time.
    pub fn call_all<R: Borrow<Req>>(self, requests: impl IntoIterator<Item = R>) -> CallAll<Req, Resp, R> {
        CallAll::new(self, requests)
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }
}

impl<Req, Resp> Clone for Method<Req, Resp> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req, Resp> Copy for Method<Req, Resp> {}

impl<Req, Resp> fmt::Debug for Method<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.name).finish()
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    New,
    Gathered { request: u64, slot: u32 },
    Finished,
}

/// Bits of a call's head, above its depth.
pub(crate) const OR_STALE: u32 = 1 << 16;
pub(crate) const OR_DEFAULT: u32 = 1 << 17;

/// What a call is told besides its request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// 0: none.
    pub(crate) timeout_ms: u32,
    pub(crate) flags: u32,
}

impl Bounds {
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        // A timeout below a millisecond is one of a millisecond.
        self.timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
    }
}

/// A call, to be awaited: `Result<Resp, CallError>`.
///
/// Calls that are awaited together, by `join!`, `join_all`, `try_join!`, spawned tasks or anything else, leave together. A call
/// that is dropped is cancelled.
#[must_use = "a call is sent when it is awaited"]
pub struct Call<Req, Resp, R = Req> {
    method: Method<Req, Resp>,
    request: R,
    bounds: Bounds,
    state: State,
}

// Nothing in a call is ever pinned: the request is only borrowed, to be encoded.
impl<Req, Resp, R> Unpin for Call<Req, Resp, R> {}

impl<Req, Resp, R> fmt::Debug for Call<Req, Resp, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).field("state", &self.state).finish_non_exhaustive()
    }
}

impl<Req, Resp, R> Call<Req, Resp, R> {
    /// Fails the call with `DEADLINE_EXCEEDED` if it takes longer. The method's own timeout still holds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.bounds.set_timeout(timeout);
        self
    }

    /// If the backend fails, takes an old reply from the host's cache, as old as there is one.
    ///
    /// The host marks the response as degraded.
    pub fn or_stale(mut self) -> Self {
        self.bounds.flags |= OR_STALE;
        self
    }

    /// If the backend fails, takes an empty message: zeros, no items.
    ///
    /// The host marks the response as degraded. A fallback that `plugin.toml` declares for the method goes before.
    pub fn or_default(mut self) -> Self {
        self.bounds.flags |= OR_DEFAULT;
        self
    }

    /// The reply together with where it came from and how old it is.
    pub fn with_meta(self) -> CallWithMeta<Req, Resp, R> {
        CallWithMeta(self)
    }
}

impl<Req, Resp, R> Call<Req, Resp, R>
where
    Req: Message,
    R: Borrow<Req>,
{
    fn poll_raw(&mut self, context: &mut Context<'_>) -> Poll<Result<RawReply, CallError>> {
        match self.state {
            State::New => {
                let Self { method, request, bounds, .. } = self;
                let gathered = current::with(|core| {
                    let depth = core.depth.now().saturating_add(1);
                    let flags = bounds.flags | u32::from(depth);
                    let slot =
                        core.calls.gather(method.number, bounds.timeout_ms, flags, context.waker().clone(), |buffer| {
                            // It fails only where the buffer is too small, and this one grows.
                            let _ = (*request).borrow().encode(buffer);
                        });
                    State::Gathered { request: core.id, slot }
                });
                let Some(state) = gathered else {
                    self.state = State::Finished;
                    return Poll::Ready(Err(CallError::new(Code::Internal, "a call outside of a request")));
                };
                self.state = state;
                Poll::Pending
            }
            State::Gathered { request, slot } => self.poll_gathered(request, slot, context),
            State::Finished => Poll::Pending,
        }
    }
}

impl<Req, Resp, R> Call<Req, Resp, R> {
    fn poll_gathered(
        &mut self,
        request: u64,
        slot: u32,
        context: &mut Context<'_>,
    ) -> Poll<Result<RawReply, CallError>> {
        let polled = current::with_request(request, |core| {
            let polled = core.calls.poll(slot, context.waker());
            if let Polled::Ready { depth, .. } = &polled {
                core.depth.observe(*depth);
            }
            polled
        });
        match polled {
            Some(Polled::Pending(_replaced)) => Poll::Pending,
            Some(Polled::Ready { reply, .. }) => {
                self.state = State::Finished;
                Poll::Ready(Ok(reply))
            }
            None => {
                self.state = State::Finished;
                Poll::Ready(Err(CallError::new(Code::Cancelled, "the request that this call belongs to has ended")))
            }
        }
    }
}

/// What a call ends with.
pub(crate) fn finished<Resp>(method: &'static str, reply: Result<RawReply, CallError>) -> Result<Reply<Resp>, CallError>
where
    Resp: Message + Default + Clone + 'static,
{
    let raw = reply.map_err(|error| error.of(method))?;
    if raw.code != 0 {
        return Err(CallError::from_status(raw.code, &raw.message).of(method));
    }
    let decode = || Resp::decode(raw.message);
    let decoded = match &raw.shared {
        Some(shared) => shared.get_or(decode),
        None => decode(),
    };
    match decoded {
        Ok(message) => Ok(Reply {
            message,
            origin: Origin::from_number(raw.origin),
            age: Duration::from_millis(u64::from(raw.age_ms)),
        }),
        Err(error) => Err(CallError::new(Code::Internal, format!("the reply does not decode: {error}")).of(method)),
    }
}

impl<Req, Resp, R> Future for Call<Req, Resp, R>
where
    Req: Message,
    Resp: Message + Default + Clone + 'static,
    R: Borrow<Req>,
{
    type Output = Result<Resp, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_raw(context).map(|reply| finished(self.method.name, reply).map(|reply| reply.message))
    }
}

impl<Req, Resp, R> FusedFuture for Call<Req, Resp, R>
where
    Req: Message,
    Resp: Message + Default + Clone + 'static,
    R: Borrow<Req>,
{
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Finished)
    }
}

impl<Req, Resp, R> Drop for Call<Req, Resp, R> {
    fn drop(&mut self) {
        if let State::Gathered { request, slot } = self.state {
            let waker = current::with_request(request, |core| core.calls.forget(slot));
            drop(waker);
        }
    }
}

/// See [`Call::with_meta`].
#[must_use = "a call is sent when it is awaited"]
#[derive(Debug)]
pub struct CallWithMeta<Req, Resp, R = Req>(Call<Req, Resp, R>);

impl<Req, Resp, R> Future for CallWithMeta<Req, Resp, R>
where
    Req: Message,
    Resp: Message + Default + Clone + 'static,
    R: Borrow<Req>,
{
    type Output = Result<Reply<Resp>, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let call = &mut self.0;
        call.poll_raw(context).map(|reply| finished(call.method.name, reply))
    }
}

/// A reply with its origin. It dereferences to the message.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply<T> {
    /// The reply message.
    pub message: T,
    /// Where it came from.
    pub origin: Origin,
    /// How old it is.
    pub age: Duration,
}

impl<T> Deref for Reply<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

/// Where the host took a reply from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// From the backend, for this call.
    Upstream,
    /// From the backend, for an equal call at the same time.
    Coalesced,
    /// From the host's cache.
    Cache,
    /// From the host's cache, past its time, since the backend could not answer.
    Stale,
    /// From the plugin's `[fallback]`, since the backend could not answer.
    Fallback,
    /// From somewhere that this SDK does not know yet.
    Other,
}

impl Origin {
    const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Upstream,
            1 => Self::Coalesced,
            2 => Self::Cache,
            3 => Self::Stale,
            4 => Self::Fallback,
            _ => Self::Other,
        }
    }
}
