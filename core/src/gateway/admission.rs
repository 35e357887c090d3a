//! Who is let in when not everybody can be: a bound on requests under way that follows how well the host keeps up.
//!
//! The bound is learnt from how late the host's own timer fires: a host that keeps up fires it in time, whatever its endpoints wait for;
//! one that doesn't is short of CPU, and every further request would only make all of them slower. Sheddable endpoints are refused
//! first, critical ones last.

use crate::{
    artifact::Priority,
    model::{Fault, ProblemType},
};
use http::{HeaderValue, header};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How often the timer is looked at, and how late it may fire.
const PROBE: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(20);
/// So many times in a row: a hiccup of the machine is no load, and a queue that doesn't go away is.
const LATE_IN_A_ROW: usize = 5;
/// The bound never sinks below this: with so few under way, it is something else that keeps the machine busy.
const LEAST: usize = 20;
/// Decides who comes in.
pub struct Admission {
    limit: AtomicUsize,
    most: usize,
    under_way: AtomicUsize,
    late_in_a_row: AtomicUsize,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("limit", &self.limit)
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}

/// A place of something under way: of a request, or of what goes on for others when its request has ended. Counts until dropped.
#[derive(Debug)]
pub(super) struct Entered(Arc<Admission>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// The part of the bound that endpoints of a priority may fill.
fn share(priority: Priority) -> f64 {
    match priority {
        Priority::Critical => 1.0,
        Priority::Normal => 0.9,
        Priority::Sheddable => 0.6,
    }
}

impl Admission {
    /// `most`: requests that may be under way at all.
    pub fn new(most: usize) -> Self {
        let most = most.max(LEAST);
        Self { limit: AtomicUsize::new(most), most, under_way: AtomicUsize::new(0), late_in_a_row: AtomicUsize::new(0) }
    }

    /// Requests under way, and how many may be.
    pub fn state(&self) -> (usize, usize) {
        (self.under_way.load(Relaxed), self.limit.load(Relaxed))
    }

    /// Whether there is no room, said before anything is done for a request that would not be let in.
    pub(super) fn look(&self, priority: Priority) -> Result<(), Fault> {
        if self.under_way.load(Relaxed) < self.bound(priority) { Ok(()) } else { Err(overloaded(priority)) }
    }

    fn bound(&self, priority: Priority) -> usize {
        (self.limit.load(Relaxed) as f64 * share(priority)).ceil() as usize
    }

    /// Lets a request in, or says why not.
    pub(super) fn enter(self: &Arc<Self>, priority: Priority) -> Result<Entered, Fault> {
        let before = self.under_way.fetch_add(1, Relaxed);
        let entered = Entered(self.clone());
        if before < self.bound(priority) { Ok(entered) } else { Err(overloaded(priority)) }
    }

    /// Looks after the bound until the future is dropped.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let before = Instant::now();
            tokio::time::sleep(PROBE).await;
            self.learn(before.elapsed().saturating_sub(PROBE));
        }
    }

    /// Additive increase, multiplicative decrease.
    fn learn(&self, late: Duration) {
        let (under_way, limit) = self.state();
        let late_in_a_row = if late > LATE { self.late_in_a_row.load(Relaxed) + 1 } else { 0 };
        self.late_in_a_row.store(late_in_a_row, Relaxed);
        if late_in_a_row >= LATE_IN_A_ROW {
            // What is under way is what the host can't keep up with, however high the bound stood.
            let next = (limit.min(under_way.max(LEAST)) as f64 * 0.9) as usize;
            self.limit.store(next.clamp(LEAST, self.most), Relaxed);
        } else if late > LATE {
            // Not yet, or not any more.
        } else if limit < self.most && under_way * 2 > limit {
            self.limit.store((limit + 1 + limit / 50).min(self.most), Relaxed);
        } else if limit < self.most && late < LATE / 4 {
            self.limit.store(limit + 1, Relaxed);
        }
    }
}

fn overloaded(priority: Priority) -> Fault {
    let text =
        format!("the host has as much to do as it can; requests of priority \"{}\" are refused", priority.as_str());
    let fault = Fault::new(ProblemType::Overloaded, text);
    fault.header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests;
