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
    /// What a request has to be above, until the first of them is old.
    least: AtomicU64,
    /// When that is, in milliseconds since 1970.
    until: AtomicU64,
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
    /// Keeps the request if it is one to look at. `at`: milliseconds since 1970; `failed`: by a fault that is not its caller's.
    pub fn note(&self, at: u64, (took, upstream, failed): (Duration, u32, bool), noted: impl FnOnce(u64) -> Noted) {
        let (slow, many) = (u64::try_from(took.as_micros()).unwrap_or(u64::MAX), u64::from(upstream));
        let (is_slow, is_many) = (self.slow.is_above(slow, at), self.amplified.is_above(many, at));
        if !(is_slow || is_many || failed) {
            return;
        }
        let noted = noted(at);
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
    fn is_above(&self, figure: u64, at: u64) -> bool {
        figure > self.least.load(Relaxed) || (figure > 0 && at > self.until.load(Relaxed))
    }

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
        let oldest = kept.iter().map(|(_, noted)| noted.at).min();
        self.until.store(oldest.map_or(u64::MAX, |at| at.saturating_add(fresh())), Relaxed);
    }
}

fn fresh() -> u64 {
    u64::try_from(FRESH.as_millis()).unwrap_or(u64::MAX)
}

fn is_fresh(noted: &Noted, now: u64) -> bool {
    now.saturating_sub(noted.at) <= fresh()
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

    /// A request of so many microseconds and calls upstream.
    fn note(recent: &Recent, at: u64, took: u64, upstream: u32) {
        recent.note(at, (Duration::from_micros(took), upstream, false), |at| noted(at, 200));
    }

    #[test]
    fn the_highest_are_kept_and_the_rest_is_not_even_put_together() {
        let (recent, now) = (Recent::default(), unix_millis(SystemTime::now()));
        for number in 0..1000 {
            note(&recent, now, (number * 7919) % 1000 + 1, 0);
        }
        let told = recent.requests();
        assert_eq!((told.slow.len(), told.amplified.len(), told.failed.len()), (MOST, 0, 0));
        let least = recent.slow.least.load(Relaxed);
        assert_eq!(least, 1000 - MOST as u64 + 1);
        recent.note(now, (Duration::from_micros(least), 0, false), |_| panic!("it is no slower than any of them"));
        note(&recent, now, 0, 3);
        assert_eq!(recent.requests().amplified, [noted(now, 200)]);
    }

    #[test]
    fn what_failed_goes_by_age_and_old_news_makes_room_whether_anybody_looks_or_not() {
        let (recent, now) = (Recent::default(), unix_millis(SystemTime::now()));
        for number in 0..100 {
            recent.note(now, (Duration::ZERO, 0, true), |at| noted(at, 500 + number % 2));
        }
        assert_eq!((recent.requests().failed.len(), recent.requests().failed[0].status), (MOST, 501));
        let old = now - 31 * 60 * 1000;
        for _ in 0..MOST {
            note(&recent, old, 9_000_000, 9);
        }
        note(&recent, now, 1000, 1);
        assert_eq!(recent.requests().slow, [noted(now, 200)]);
        assert_eq!(recent.requests().amplified, [noted(now, 200)]);
    }
}
