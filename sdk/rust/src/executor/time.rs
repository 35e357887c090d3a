//! Waiting: `sleep` and `timeout`.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, FusedFuture, select};

use super::current;

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
            let waker = current::with_request(request, |core| core.timers.stop(timer));
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
