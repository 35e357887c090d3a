//! SRE's adaptive throttle: while a backend refuses, most calls are refused here already, in proportion, and some still go out to see
//! whether it has recovered (<https://sre.google/sre-book/handling-overload/>).
//!
//! A call is refused with probability max(0, (requests − K · accepts) / (requests + 1)) over the last three seconds. A backend all of
//! whose calls fail is *away*: it is probed with one call each half a second, and the first success ends the outage, with all that was
//! counted in it. Without that, some ten seconds pass before a backend that is back has all its calls again. A request that still waits for its answer says nothing yet: a burst
//! of calls to a backend that is well goes out whole, and how many are out at a time is the concurrency limit's affair.

use crate::sync::lock;
use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

const BUCKETS: usize = 10;
const SECONDS_EACH: f64 = 0.3;
/// Fewer requests in the window say nothing.
const MIN_REQUESTS: f64 = 20.0;
/// So many failures without a success between them: the backend is away.
const AWAY: u32 = 10;
/// How often a backend that is away is asked whether it is back.
const PROBE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Throttle {
    k: f64,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    start: Instant,
    /// The number of the newest bucket since `start`.
    newest: u64,
    buckets: [(f64, f64); BUCKETS],
    /// Requests that were let through and have not ended.
    waiting: usize,
    /// Failures since the last success.
    failed_in_a_row: u32,
    probed_at: Option<Instant>,
}

/// A request that was let through. Dropped before its time is over, it was given up by its caller and says nothing; later, it has
/// failed.
#[derive(Debug)]
pub(super) struct Pending<'a> {
    throttle: &'a Throttle,
    deadline: Instant,
    has_ended: bool,
}

impl Throttle {
    /// `k`: requests let through for each one accepted; 2 lets about as many fail as succeed. 0 switches the throttle off.
    pub(super) fn new(k: f64) -> Self {
        let window = Window {
            start: Instant::now(),
            newest: 0,
            buckets: [(0.0, 0.0); BUCKETS],
            waiting: 0,
            failed_in_a_row: 0,
            probed_at: None,
        };
        Self { k, window: Mutex::new(window) }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        let mut window = lock(&self.window);
        window.advance();
        window
    }

    /// Counts a request; `None`: it is refused here.
    pub(super) fn admit(&self, deadline: Instant) -> Option<Pending<'_>> {
        if self.k > 0.0 {
            let mut window = self.window();
            let (requests, accepts) = window.sums();
            let ended = requests - window.waiting as f64;
            window.newest_mut().0 += 1.0;
            let refuse = (ended - self.k * accepts) / (ended + 1.0);
            if ended >= MIN_REQUESTS && rand::random::<f64>() < refuse && !window.probes() {
                return None;
            }
            window.waiting += 1;
        }
        Some(Pending { throttle: self, deadline, has_ended: false })
    }
}

impl Throttle {
    /// Whether nothing but failures has come from the backend for a while.
    pub(super) fn is_away(&self) -> bool {
        self.k > 0.0 && self.window().failed_in_a_row >= AWAY
    }
}

impl Pending<'_> {
    /// The backend took and answered the request, whatever the answer.
    pub(super) fn accepted(mut self) {
        self.has_ended = true;
        if self.throttle.k > 0.0 {
            let mut window = self.throttle.window();
            if std::mem::take(&mut window.failed_in_a_row) >= AWAY {
                window.buckets = [(0.0, 0.0); BUCKETS];
            }
            window.newest_mut().1 += 1.0;
        }
    }

    pub(super) fn failed(mut self) {
        self.has_ended = true;
        self.throttle.window().note_failure();
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.throttle.k > 0.0 {
            let mut window = self.throttle.window();
            window.waiting = window.waiting.saturating_sub(1);
            if self.has_ended {
                return;
            }
            if Instant::now() < self.deadline {
                // Taken back in whichever bucket it stands by now; only the sum counts.
                let bucket = window.newest_mut();
                bucket.0 -= 1.0;
            } else {
                window.note_failure();
            }
        }
    }
}

impl Window {
    fn note_failure(&mut self) {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
    }

    /// Whether the backend is away and it is time to ask it again. The one who is told so asks.
    fn probes(&mut self) -> bool {
        let is_time = self.failed_in_a_row >= AWAY && self.probed_at.is_none_or(|at| at.elapsed() >= PROBE);
        if is_time {
            self.probed_at = Some(Instant::now());
        }
        is_time
    }

    fn advance(&mut self) {
        let now = (self.start.elapsed().as_secs_f64() / SECONDS_EACH) as u64;
        let passed = (now - self.newest).min(BUCKETS as u64);
        for step in 1..=passed {
            let place = ((self.newest + step) % BUCKETS as u64) as usize;
            if let Some(bucket) = self.buckets.get_mut(place) {
                *bucket = (0.0, 0.0);
            }
        }
        self.newest = now;
        if passed == BUCKETS as u64 {
            self.buckets = [(0.0, 0.0); BUCKETS];
        }
    }

    fn sums(&self) -> (f64, f64) {
        self.buckets.iter().fold((0.0, 0.0), |sum, bucket| (sum.0 + bucket.0, sum.1 + bucket.1))
    }

    fn newest_mut(&mut self) -> &mut (f64, f64) {
        let place = (self.newest % BUCKETS as u64) as usize;
        let [first, rest @ ..] = &mut self.buckets;
        if place == 0 { first } else { rest.get_mut(place - 1).unwrap_or(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn admit(throttle: &Throttle) -> Option<Pending<'_>> {
        throttle.admit(Instant::now() + Duration::from_secs(1))
    }

    fn admitted(throttle: &Throttle, calls: usize, accept: bool) -> usize {
        (0..calls)
            .filter(|_| {
                let pending = admit(throttle);
                let admitted = pending.is_some();
                pending.into_iter().for_each(if accept { Pending::accepted } else { Pending::failed });
                admitted
            })
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_out_whole_while_nothing_is_known() {
        let throttle = Throttle::new(2.0);
        let burst: Vec<_> = (0..300).filter_map(|_| admit(&throttle)).collect();
        assert_eq!(burst.len(), 300);
        burst.into_iter().for_each(Pending::accepted);
        assert_eq!(admitted(&throttle, 300, true), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_backend_gets_few_calls_and_a_recovered_one_all() {
        let throttle = Throttle::new(2.0);
        assert_eq!(admitted(&throttle, 1000, true), 1000);
        tokio::time::advance(Duration::from_secs(30)).await;
        let while_dead = admitted(&throttle, 2000, false);
        assert!(while_dead < 300, "{while_dead} of 2000 went out to a dead backend");
        assert!(while_dead > MIN_REQUESTS as usize, "some still go out to see whether it is back");
        for _ in 0..40 {
            tokio::time::advance(Duration::from_secs(1)).await;
            admitted(&throttle, 50, true);
        }
        assert_eq!(admitted(&throttle, 100, true), 100);
    }

    /// Eight requests a second, as long as it takes until one goes through, and until all do.
    #[tokio::test(start_paused = true)]
    async fn the_first_success_ends_an_outage() {
        let throttle = Throttle::new(2.0);
        for _ in 0..60 * 8 {
            admitted(&throttle, 1, false);
            tokio::time::advance(Duration::from_millis(125)).await;
        }
        assert!(throttle.is_away());
        let back = Instant::now();
        while admitted(&throttle, 1, true) == 0 {
            tokio::time::advance(Duration::from_millis(125)).await;
        }
        assert!(back.elapsed() <= PROBE + Duration::from_millis(125), "{:?}", back.elapsed());
        assert!(!throttle.is_away());
        assert_eq!(admitted(&throttle, 100, true), 100);
    }

    /// One in a hundred succeeds: that is not being back.
    #[tokio::test(start_paused = true)]
    async fn a_success_now_and_then_does_not_end_the_throttling() {
        let throttle = Throttle::new(2.0);
        let mut out = 0;
        for call in 0..3000 {
            out += admitted(&throttle, 1, call % 100 == 0);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!(out < 1200, "{out} of 3000 went out");
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_calls_may_fail() {
        let throttle = Throttle::new(2.0);
        let admitted = (0..1000)
            .filter(|call| {
                let pending = admit(&throttle);
                let admitted = pending.is_some();
                pending.into_iter().for_each(if call % 10 < 6 { Pending::accepted } else { Pending::failed });
                admitted
            })
            .count();
        assert!(admitted > 990, "{admitted}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_its_caller_gives_up_says_nothing_and_what_outlives_its_time_has_failed() {
        let throttle = Throttle::new(2.0);
        (0..1000).for_each(|_| drop(admit(&throttle).unwrap()));
        assert_eq!(admitted(&throttle, 100, true), 100);
        let late: Vec<_> = (0..1000).filter_map(|_| admit(&throttle)).collect();
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(late);
        assert!(admitted(&throttle, 1000, false) < 500);
    }
}
