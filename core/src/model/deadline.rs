//! The one time budget of a request.

use std::time::Duration;
use tokio::time::Instant;

/// A point in time after which nobody waits for an answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `budget` from now.
    pub fn after(budget: Duration) -> Self {
        Self::after_from(Instant::now(), budget)
    }

    /// As [`Deadline::after`], for many budgets from one `now`.
    pub fn after_from(now: Instant, budget: Duration) -> Self {
        Self(now + budget)
    }

    pub fn instant(self) -> Instant {
        self.0
    }

    /// The earlier of this and `budget` from now.
    pub fn capped(self, budget: Duration) -> Self {
        self.capped_from(Instant::now(), budget)
    }

    /// As [`Deadline::capped`], for many budgets from one `now`.
    pub fn capped_from(self, now: Instant, budget: Duration) -> Self {
        self.min(Self(now + budget))
    }

    /// What is left; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }
}
