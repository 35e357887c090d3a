//! Timers: they end a wait, and nothing else. The host keeps the time; in native tests it is virtual.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;
use std::time::{Duration, Instant};

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

    pub(crate) fn start(&mut self, deadline: Duration, waker: Waker) -> u32 {
        let timer = self.wakers.len() as u32;
        self.wakers.push(Some(waker));
        self.queue.push(Reverse((deadline, timer)));
        timer
    }

    /// `None` once the timer has fired; else the waker that was replaced, if any.
    pub(crate) fn poll(&mut self, timer: u32, by: &Waker) -> Option<Option<Waker>> {
        let waker = self.wakers.get_mut(timer as usize)?.as_mut()?;
        Some((!waker.will_wake(by)).then(|| std::mem::replace(waker, by.clone())))
    }

    /// Nobody waits for the timer any more. Gives back the waker, since its drop may run foreign code.
    pub(crate) fn stop(&mut self, timer: u32) -> Option<Waker> {
        self.wakers.get_mut(timer as usize)?.take()
    }

    /// Whom to wake next, if anybody is due.
    pub(crate) fn fire(&mut self) -> Option<Waker> {
        let deadline = self.next()?;
        if deadline > self.now() {
            return None;
        }
        let Reverse((_, timer)) = self.queue.pop()?;
        self.stop(timer)
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
