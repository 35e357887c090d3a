//! Requests of late that somebody may want to look at: the slowest, those with the most calls upstream, and the last that failed.
//!
//! A few of each, as sums: no query, header or body. Who is neither slow nor many nor failed pays two comparisons.

use crate::sync::lock;
use serde::Serialize;
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// Of each kind.
const MOST: usize = 25;
/// What is older makes room, and is told no more.
const FRESH: Duration = Duration::from_mins(30);

/// What is told of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Noted {
    /// Milliseconds since 1970.
    pub at: u64,
    pub client: String,
    /// Method and template.
    pub endpoint: String,
    pub plugin: String,
    pub status: u16,
    /// The type of the host's problem that it ended with.
    pub problem: Option<&'static str>,
    pub took_ms: f64,
    pub guest_cpu_ms: f64,
    pub calls: u32,
    pub upstream: u32,
    pub retries: u32,
    pub depth: u32,
    /// Parts that are less than they should be.
    pub degraded: usize,
    /// By sixteen digits that are the same for the same caller.
    pub caller: Option<String>,
}

/// All that is kept.
#[derive(Debug, Default)]
pub struct Recent {
    slow: Board,
    amplified: Board,
    failed: Mutex<Vec<Noted>>,
}

/// The highest of late, by one figure.
#[derive(Debug, Default)]
struct Board {
    /// What a request has to be above.
    least: AtomicU64,
    kept: Mutex<Vec<(u64, Noted)>>,
}

/// What is told of them, the most telling first.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct RecentRequests {
    pub slow: Vec<Noted>,
    pub amplified: Vec<Noted>,
    pub failed: Vec<Noted>,
}

impl Recent {
    /// Keeps the request if it is one to look at. `failed`: by a fault that is not its caller's.
    pub fn note(&self, took: Duration, upstream: u32, failed: bool, noted: impl FnOnce() -> Noted) {
        let (slow, many) = (u64::try_from(took.as_micros()).unwrap_or(u64::MAX), u64::from(upstream));
        let (is_slow, is_many) = (slow > self.slow.least.load(Relaxed), many > self.amplified.least.load(Relaxed));
        if !(is_slow || is_many || failed) {
            return;
        }
        let noted = noted();
        if is_slow {
            self.slow.keep(slow, &noted);
        }
        if is_many {
            self.amplified.keep(many, &noted);
        }
        if failed {
            let mut list = lock(&self.failed);
            if list.len() == MOST {
                list.remove(0);
            }
            list.push(noted);
        }
    }

    pub fn requests(&self) -> RecentRequests {
        let now = unix_millis(SystemTime::now());
        let mut failed: Vec<_> = lock(&self.failed).iter().filter(|noted| is_fresh(noted, now)).cloned().collect();
        failed.reverse();
        RecentRequests { slow: self.slow.told(now), amplified: self.amplified.told(now), failed }
    }
}

impl Board {
    fn keep(&self, figure: u64, noted: &Noted) {
        let mut kept = lock(&self.kept);
        kept.retain(|(_, other)| is_fresh(other, noted.at));
        let place = kept.partition_point(|(other, _)| *other >= figure);
        kept.insert(place, (figure, noted.clone()));
        kept.truncate(MOST);
        self.raise(&kept);
    }

    /// Also makes way for those that come after what is too old now.
    fn told(&self, now: u64) -> Vec<Noted> {
        let mut kept = lock(&self.kept);
        kept.retain(|(_, noted)| is_fresh(noted, now));
        self.raise(&kept);
        kept.iter().map(|(_, noted)| noted.clone()).collect()
    }

    fn raise(&self, kept: &[(u64, Noted)]) {
        let least = kept.last().filter(|_| kept.len() == MOST).map_or(0, |(figure, _)| *figure);
        self.least.store(least, Relaxed);
    }
}

fn is_fresh(noted: &Noted, now: u64) -> bool {
    now.saturating_sub(noted.at) <= u64::try_from(FRESH.as_millis()).unwrap_or(u64::MAX)
}

/// Since 1970.
pub fn unix_millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(at: u64, status: u16) -> Noted {
        Noted {
            at,
            client: "web".into(),
            endpoint: "GET /".into(),
            plugin: "home".into(),
            status,
            problem: None,
            took_ms: 0.0,
            guest_cpu_ms: 0.0,
            calls: 0,
            upstream: 0,
            retries: 0,
            depth: 0,
            degraded: 0,
            caller: None,
        }
    }

    #[test]
    fn the_highest_are_kept_and_the_rest_is_not_even_put_together() {
        let (recent, now) = (Recent::default(), unix_millis(SystemTime::now()));
        for number in 0..1000_u32 {
            let took = Duration::from_micros((u64::from(number) * 7919) % 1000 + 1);
            recent.note(took, 0, false, || noted(now, 200));
        }
        let told = recent.requests();
        assert_eq!((told.slow.len(), told.amplified.len(), told.failed.len()), (MOST, 0, 0));
        let least = Duration::from_micros(recent.slow.least.load(Relaxed));
        assert_eq!(least, Duration::from_micros(1000 - MOST as u64 + 1));
        recent.note(least, 0, false, || panic!("it is no slower than any of them"));
        recent.note(Duration::ZERO, 3, false, || noted(now, 204));
        assert_eq!(recent.requests().amplified, [noted(now, 204)]);
    }

    #[test]
    fn what_failed_goes_by_age_and_old_news_makes_room() {
        let (recent, now) = (Recent::default(), unix_millis(SystemTime::now()));
        for number in 0..100 {
            recent.note(Duration::ZERO, 0, true, || noted(now, 500 + number % 2));
        }
        assert_eq!((recent.requests().failed.len(), recent.requests().failed[0].status), (MOST, 501));
        let old = now - 31 * 60 * 1000;
        for _ in 0..MOST {
            recent.note(Duration::from_secs(9), 9, false, || noted(old, 200));
        }
        assert!(recent.slow.least.load(Relaxed) > 0);
        assert_eq!(recent.requests().slow, []);
        recent.note(Duration::from_millis(1), 1, false, || noted(now, 200));
        assert_eq!(recent.requests().slow, [noted(now, 200)]);
    }
}
