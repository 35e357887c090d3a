//! Timers: they end a wait, and nothing else. The host keeps the time; in native tests it is virtual.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::{Either, FusedFuture, select};

use super::current;

/// Time since the clock was first read in this request.
#[derive(Debug, Default)]
enum Clock {
    #[default]
    Unread,
    System(Instant),
    Virtual(Duration),
}

/// The timers of one request.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    clock: Clock,
    queue: BinaryHeap<Reverse<(Duration, u32)>>,
    /// By timer; `None` when it has fired or was dropped.
    wakers: Vec<Option<Waker>>,
}

impl Timers {
    pub(crate) fn now(&mut self) -> Duration {
        match &self.clock {
            Clock::Virtual(now) => *now,
            Clock::System(start) => start.elapsed(),
            Clock::Unread => {
                self.clock = Clock::System(Instant::now());
                Duration::ZERO
            }
        }
    }

    pub(crate) fn set_now(&mut self, now: Duration) {
        self.clock = Clock::Virtual(now);
    }

    fn start(&mut self, deadline: Duration, waker: Waker) -> u32 {
        let timer = self.wakers.len() as u32;
        self.wakers.push(Some(waker));
        self.queue.push(Reverse((deadline, timer)));
        timer
    }

    /// `None` once the timer has fired; else the waker that was replaced, if any.
    fn poll(&mut self, timer: u32, by: &Waker) -> Option<Option<Waker>> {
        let waker = self.wakers.get_mut(timer as usize)?.as_mut()?;
        Some((!waker.will_wake(by)).then(|| std::mem::replace(waker, by.clone())))
    }

    /// Whom to wake next, if anybody is due.
    pub(crate) fn fire(&mut self) -> Option<Waker> {
        let deadline = self.next()?;
        if deadline > self.now() {
            return None;
        }
        let Reverse((_, timer)) = self.queue.pop()?;
        self.wakers.get_mut(timer as usize)?.take()
    }

    /// When the next live timer is due.
    fn next(&mut self) -> Option<Duration> {
        while let Some(&Reverse((deadline, timer))) = self.queue.peek() {
            if self.wakers.get(timer as usize).is_some_and(Option::is_some) {
                return Some(deadline);
            }
            self.queue.pop();
        }
        None
    }

    /// How long to wait for the next timer, rounded up, so that it is due afterwards.
    pub(crate) fn wait_ms(&mut self) -> Option<u32> {
        let left = self.next()?.saturating_sub(self.now());
        Some(u32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX))
    }
}

/// Waits for `duration`, counted from this call.
///
/// Waiting costs no CPU time: the host keeps the request until then, or until one of its calls has finished.
pub fn sleep(duration: Duration) -> Sleep {
    let deadline = current::with(|core| core.timers.now()).unwrap_or_default() + duration;
    Sleep { deadline, timer: None, done: false }
}

/// See [`sleep`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Sleep {
    deadline: Duration,
    /// Request and timer.
    timer: Option<(u64, u32)>,
    done: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let polled = current::with(|core| match this.timer {
            Some((request, timer)) if request == core.id => core.timers.poll(timer, context.waker()),
            None if this.deadline > core.timers.now() => {
                let timer = core.timers.start(this.deadline, context.waker().clone());
                this.timer = Some((core.id, timer));
                Some(None)
            }
            _ => None,
        });
        // A replaced waker is dropped here, outside, since that may run foreign code.
        if let Some(Some(_replaced)) = polled {
            return Poll::Pending;
        }
        this.timer = None;
        this.done = true;
        Poll::Ready(())
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((request, timer)) = self.timer {
            let waker = current::with_request(request, |core| core.timers.wakers.get_mut(timer as usize)?.take());
            drop(waker);
        }
    }
}

/// The future did not finish in time. As a [`Problem`](crate::Problem) it is a 504.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed {
    pub(crate) after: Duration,
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done after {} ms", self.after.as_millis())
    }
}

impl std::error::Error for Elapsed {}

/// Waits for `future`, but not longer than `duration`. What did not finish is dropped, which cancels its calls.
///
/// To bound a single call, [`Call::timeout`](crate::Call::timeout) is cheaper.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    match select(pin!(future), pin!(sleep(duration))).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(_) => Err(Elapsed { after: duration }),
    }
}
