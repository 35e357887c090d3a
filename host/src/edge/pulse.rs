//! The life signs of one connection, left by its stream and its bodies and read by the watchdog.
//!
//! An HTTP library bounds what it waits for itself; it does not see a client that never reads, one that trickles a header, or one that
//! grants no window. All of these are one question here: since when has this connection made no progress, and with what?

use super::accept::Bounds;
use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};
use tokio::{sync::Notify, time::Instant};

/// A blocked client has to take at least this much in each `write-timeout`.
const LEAST: usize = 8 << 10;
/// Bodies are registered and forgotten in bulk.
const TIDY_AT: usize = 256;

/// Marks are milliseconds since the connection began, plus one; 0 is "not so".
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// A request began to arrive and has not arrived yet.
    reading: AtomicU64,
    /// The client takes nothing, or too little.
    blocked: AtomicU64,
    taken: AtomicUsize,
    /// Nothing is under way.
    idle: AtomicU64,
    under_way: AtomicUsize,
    /// When each body under way last made progress.
    bodies: Mutex<Vec<Weak<AtomicU64>>>,
    /// It was told to end.
    told: AtomicU64,
    pub(super) close: Notify,
    pub(super) cut: Notify,
}

/// What the watchdog thinks of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    /// It has been idle for long: it is told to end.
    Close,
    Cut(&'static str),
}

/// One request or its answer, under way on a connection.
#[derive(Debug)]
pub(super) struct UnderWay {
    pulse: Arc<Pulse>,
    progress: Option<Arc<AtomicU64>>,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            reading: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            taken: AtomicUsize::new(0),
            idle: AtomicU64::new(1),
            under_way: AtomicUsize::new(0),
            bodies: Mutex::default(),
            told: AtomicU64::new(0),
            close: Notify::new(),
            cut: Notify::new(),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Bytes came in.
    pub(super) fn arriving(&self) {
        if self.under_way.load(Relaxed) == 0 && self.reading.load(Relaxed) == 0 {
            self.reading.store(self.now(), Relaxed);
        }
    }

    /// What came in is no header.
    pub(super) fn arrived(&self) {
        self.reading.store(0, Relaxed);
    }

    /// The client took `count` of `offered` bytes; `None`: it takes nothing now.
    pub(super) fn wrote(&self, count: Option<usize>, offered: usize) {
        match count {
            Some(count) if count == offered => self.blocked.store(0, Relaxed),
            Some(count) => drop(self.taken.fetch_add(count, Relaxed)),
            None if self.blocked.load(Relaxed) == 0 => {
                self.taken.store(0, Relaxed);
                self.blocked.store(self.now(), Relaxed);
            }
            None => {}
        }
    }

    /// A request has arrived. With `watched`, the progress of its answer's body is watched too.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.arrived();
        self.under_way.fetch_add(1, Relaxed);
        UnderWay { pulse: self.clone(), progress: None }
    }

    /// The client is told to end the connection.
    pub(super) fn told(&self) {
        self.told.store(self.now(), Relaxed);
    }

    pub(super) fn check(&self, bounds: &Bounds) -> Verdict {
        let now = self.now();
        let over =
            |mark: u64, bound: std::time::Duration| mark != 0 && u128::from(now - mark.min(now)) >= bound.as_millis();
        if over(self.reading.load(Relaxed), bounds.header) {
            return Verdict::Cut("header");
        }
        if over(self.blocked.load(Relaxed), bounds.write) {
            if self.taken.swap(0, Relaxed) < LEAST {
                return Verdict::Cut("write");
            }
            self.blocked.store(now, Relaxed);
        }
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.retain(|body| body.strong_count() > 0);
        if bodies.iter().filter_map(Weak::upgrade).any(|body| over(body.load(Relaxed), bounds.write)) {
            return Verdict::Cut("write");
        }
        drop(bodies);
        if self.under_way.load(Relaxed) == 0 {
            let (idle, told) = (self.idle.load(Relaxed), self.told.load(Relaxed));
            if told == 0 && over(idle, bounds.idle) {
                self.told();
                return Verdict::Close;
            }
            // A client that has nothing under way and does not go keeps its connection no longer than a request takes to begin.
            if told != 0 && over(told.max(idle), bounds.header) {
                return Verdict::Cut("idle");
            }
        }
        Verdict::Well
    }
}

impl UnderWay {
    /// From here on the answer's body has to make progress.
    pub(super) fn watch_body(&mut self) {
        let progress = Arc::new(AtomicU64::new(self.pulse.now()));
        let mut bodies = self.pulse.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if bodies.len() >= TIDY_AT {
            bodies.retain(|body| body.strong_count() > 0);
        }
        bodies.push(Arc::downgrade(&progress));
        drop(bodies);
        self.progress = Some(progress);
    }

    /// The client was ready for more of the body.
    pub(super) fn progress(&self) {
        if let Some(progress) = &self.progress {
            progress.store(self.pulse.now(), Relaxed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Before the count falls, so that nobody sees an old mark with nothing under way.
        self.pulse.idle.store(self.pulse.now(), Relaxed);
        self.pulse.under_way.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn bounds() -> Bounds {
        let second = Duration::from_secs(1);
        Bounds { header: 5 * second, write: 20 * second, idle: 60 * second, ..Bounds::for_tests() }
    }

    async fn after(pulse: &Pulse, seconds: u64) -> Verdict {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        pulse.check(&bounds())
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_to_arrive_and_a_request_may_take_its_time() {
        let pulse = Pulse::new();
        assert_eq!(after(&pulse, 50).await, Verdict::Well, "idle, not too long");
        pulse.arriving();
        assert_eq!(after(&pulse, 4).await, Verdict::Well);
        pulse.arriving();
        assert_eq!(after(&pulse, 1).await, Verdict::Cut("header"), "trickling does not help");
        let request = pulse.begin();
        assert_eq!(after(&pulse, 500).await, Verdict::Well);
        drop(request);
        assert_eq!(after(&pulse, 59).await, Verdict::Well);
        assert_eq!(after(&pulse, 1).await, Verdict::Close);
        assert_eq!(after(&pulse, 4).await, Verdict::Well, "told to end, and given time for it");
        assert_eq!(after(&pulse, 1).await, Verdict::Cut("idle"));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_a_client_without_requests_has_to_go_soon() {
        let pulse = Pulse::new();
        let request = pulse.begin();
        pulse.told();
        assert_eq!(after(&pulse, 30).await, Verdict::Well, "its request is under way");
        drop(request);
        assert_eq!(after(&pulse, 4).await, Verdict::Well);
        assert_eq!(after(&pulse, 1).await, Verdict::Cut("idle"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_too_little_is_cut() {
        let pulse = Pulse::new();
        let _request = pulse.begin();
        pulse.wrote(None, 100);
        assert_eq!(after(&pulse, 19).await, Verdict::Well);
        pulse.wrote(Some(LEAST), 1 << 20);
        assert_eq!(after(&pulse, 1).await, Verdict::Well, "it took enough");
        pulse.wrote(Some(1), 1 << 20);
        assert_eq!(after(&pulse, 20).await, Verdict::Cut("write"));
        pulse.wrote(Some(100), 100);
        assert_eq!(after(&pulse, 20).await, Verdict::Well, "it has caught up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_asks_for_is_cut() {
        let pulse = Pulse::new();
        let (mut quick, mut stuck) = (pulse.begin(), pulse.begin());
        quick.watch_body();
        stuck.watch_body();
        assert_eq!(after(&pulse, 19).await, Verdict::Well);
        quick.progress();
        assert_eq!(after(&pulse, 1).await, Verdict::Cut("write"));
        drop(stuck);
        assert_eq!(pulse.check(&bounds()), Verdict::Well);
    }
}
