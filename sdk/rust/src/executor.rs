//! Runs one request: polls what was woken, gathers calls while anything can run, and says what to exchange when nothing can.
//!
//! The executor does no I/O. A driver asks it for its next [`Turn`], does the [`Exchange`], and delivers what has finished:
//!
//! ```
//! # use bytes::Bytes;
//! # use weft_sdk::executor::{Completion, Executor, Turn};
//! # fn exchange(_: weft_sdk::executor::Exchange<'_>) -> (Vec<Completion>, Bytes) { unreachable!() }
//! # let mut executor = Executor::new(async { "done" }, std::sync::Arc::new(weft_sdk::executor::NoHost));
//! let outcome = loop {
//!     match executor.turn() {
//!         Turn::Done(outcome) => break outcome,
//!         Turn::Stuck => panic!("nothing can wake the handler"),
//!         Turn::Exchange(wanted) => {
//!             let (completions, arena) = exchange(wanted);
//!             executor.deliver(&completions, &arena);
//!         }
//!     }
//! };
//! # assert_eq!(outcome, "done");
//! ```
//!
//! In a component that driver is part of the SDK and calls the host's `exchange`. Natively, tests have one ([`crate::test`]), and
//! a server may bring its own: an [`Executor`] is `Send`, so one request may take each of its turns on another thread, and any
//! number of requests run side by side. A turn never blocks, and nothing outlives the executor.
//!
//! **Depth.** Each call says how long the chain of calls is that it waited for, itself included: 1 + the depth of the completion
//! that its task observed last in the same poll, or, if it observed none in this poll, of the deepest it ever observed. A spawned
//! task starts at its spawner's depth; awaiting its handle passes its depth on.

mod calls;
pub(crate) mod current;
mod spawn;
mod task;
mod time;
mod timers;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

pub use crate::exchange::{CallHead, Completion, Exchange};
pub use crate::host::Access;
elsewhere! {
    pub use crate::host::{Host, NoHost};
}
pub use spawn::{JoinHandle, spawn};
pub use time::{Elapsed, Sleep, sleep, timeout};

pub(crate) use calls::Polled;

use crate::exchange::{Decoded, RawReply};
use current::{Core, Depth, Entered};
use task::{Handle, Ready, Spawned};

/// What a request wants next.
#[derive(Debug)]
pub enum Turn<'a, T> {
    /// The handler has returned. Calls that are still under way are of no interest any more.
    Done(T),
    /// All tasks wait: do this, then [`Executor::deliver`] what has finished, even if that is nothing.
    Exchange(Exchange<'a>),
    /// All tasks wait, but there is no call and no timer that could wake one.
    Stuck,
}

type Main<T> = (Handle, Pin<Box<dyn Future<Output = T> + Send>>);

/// The tasks, calls and timers of one request.
pub struct Executor<T> {
    core: Option<Box<Core>>,
    ready: Arc<Ready>,
    /// Woken tasks that this turn has still to poll; kept for its memory.
    batch: Vec<u32>,
    /// Task 0.
    main: Option<Main<T>>,
    /// Tasks 1 and up; numbers are never used twice, so that an old waker can wake nobody else.
    spawned: Vec<Option<(Handle, Spawned)>>,
}

impl<T> std::fmt::Debug for Executor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("core", &self.core).field("ready", &self.ready).finish_non_exhaustive()
    }
}

impl<T> Executor<T> {
    /// An executor for `future`, which has not been polled yet.
    pub fn new(future: impl Future<Output = T> + Send + 'static, host: Access) -> Self {
        Self::boxed(Box::pin(future), host)
    }

    pub(crate) fn boxed(future: Pin<Box<dyn Future<Output = T> + Send>>, host: Access) -> Self {
        let ready = Arc::new(Ready::default());
        Self {
            core: Some(Box::new(Core::new(host))),
            main: Some((Handle::new(0, &ready, 0), future)),
            ready,
            batch: Vec::new(),
            spawned: Vec::new(),
        }
    }

    /// Polls until nothing can run, and says what the request waits for.
    pub fn turn(&mut self) -> Turn<'_, T> {
        if let Some(output) = self.run() {
            return Turn::Done(output);
        }
        let Some(core) = &mut self.core else { return Turn::Stuck };
        let wait_ms = core.timers.wait_ms();
        if wait_ms.is_none() && !core.calls.any() {
            return Turn::Stuck;
        }
        core.calls.hand_out();
        let (calls, messages, cancel) = core.calls.batch();
        Turn::Exchange(Exchange { calls, messages, cancel, wait_ms })
    }

    /// Hands in what an exchange has returned: completions, and the arena that their ranges point into. Nothing is copied.
    pub fn deliver(&mut self, completions: &[Completion], arena: &Bytes) {
        // Those who share a range come one after the other.
        for alike in completions.chunk_by(|a, b| (a.offset, a.len, a.code) == (b.offset, b.len, b.code)) {
            let shared = (alike.len() > 1).then(Decoded::default);
            for &Completion { ticket, code, origin, age_ms, offset, len } in alike {
                let (start, end) = (offset as usize, offset as usize + len as usize);
                let message = if end <= arena.len() { arena.slice(start..end) } else { Bytes::new() };
                self.file(ticket, RawReply { code, origin, age_ms, message, shared: shared.clone() });
            }
        }
    }

    /// As [`Executor::deliver`], for a driver whose replies lie in buffers of their own. `completion`'s range is not looked at.
    pub fn deliver_one(&mut self, completion: Completion, message: Bytes) {
        let Completion { ticket, code, origin, age_ms, .. } = completion;
        self.file(ticket, RawReply { code, origin, age_ms, message, shared: None });
    }

    /// Makes time virtual: from now on it stands still at `now` (since the start of the request) until it is set again.
    pub fn set_time(&mut self, now: Duration) {
        if let Some(core) = &mut self.core {
            core.timers.set_now(now);
        }
    }

    fn file(&mut self, ticket: u32, reply: RawReply) {
        let waker = self.core.as_mut().and_then(|core| core.calls.complete(ticket, reply));
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Polls woken tasks until none is left (`None`) or the handler has returned.
    fn run(&mut self) -> Option<T> {
        let _entered = Entered::new(&mut self.core);
        loop {
            self.ready.take(&mut self.batch);
            if self.batch.is_empty() {
                let waker = current::with(|core| core.timers.fire()).flatten()?;
                waker.wake();
                continue;
            }
            for task in self.batch.drain(..) {
                match task.checked_sub(1) {
                    None => {
                        if let Some(output) = poll_main(&mut self.main) {
                            // Here, so that whatever the tasks hold is dropped while the request is still the current one.
                            self.spawned.clear();
                            return Some(output);
                        }
                    }
                    Some(index) => poll_spawned(&mut self.spawned, index as usize),
                }
                adopt(&mut self.spawned, &self.ready);
            }
        }
    }
}

fn poll_main<T>(main: &mut Option<Main<T>>) -> Option<T> {
    let (handle, future) = main.as_mut()?;
    let polled = poll(handle, future.as_mut());
    match polled {
        Poll::Ready(output) => {
            *main = None;
            Some(output)
        }
        Poll::Pending => None,
    }
}

fn poll_spawned(spawned: &mut [Option<(Handle, Spawned)>], index: usize) {
    let Some(place) = spawned.get_mut(index) else { return };
    let Some((handle, task)) = place else { return };
    if poll(handle, task.future.as_mut()).is_ready() {
        *place = None;
    }
}

/// Polls one task, with its depth as the current one.
fn poll<T>(handle: &mut Handle, future: Pin<&mut (dyn Future<Output = T> + Send)>) -> Poll<T> {
    current::with(|core| core.depth = Depth::resume(handle.depth));
    let polled = future.poll(&mut Context::from_waker(handle.begin_poll()));
    handle.depth = current::with(|core| core.depth.deepest).unwrap_or(handle.depth);
    polled
}

/// Takes in what the last poll has spawned.
fn adopt(spawned: &mut Vec<Option<(Handle, Spawned)>>, ready: &Arc<Ready>) {
    let new = current::with(|core| std::mem::take(&mut core.spawned)).unwrap_or_default();
    for task in new {
        let handle = Handle::new(spawned.len() as u32 + 1, ready, task.depth);
        spawned.push(Some((handle, task)));
    }
}
