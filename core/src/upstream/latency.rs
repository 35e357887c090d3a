//! Percentiles of a method's answer times, measured live: when it is worth asking a second endpoint.

use crate::sync::lock;
use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// Buckets of the histogram: each is a sixth wider than the one before, from 100 µs to about a minute.
const BUCKETS: usize = 90;
const FIRST: f64 = 0.000_1;
const GROWTH: f64 = 1.16;
/// Samples after which all counts are halved, so that the past fades.
const HALF_LIFE: u32 = 1_000;
/// Fewer samples say nothing.
const MIN_SAMPLES: u32 = 20;

#[derive(Debug)]
pub(super) struct Latency(Mutex<Histogram>);

#[derive(Debug)]
struct Histogram {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Mutex::new(Histogram { counts: [0; BUCKETS], total: 0 }))
    }
}

impl Latency {
    fn histogram(&self) -> MutexGuard<'_, Histogram> {
        lock(&self.0)
    }

    pub(super) fn observe(&self, took: Duration) {
        let place = ((took.as_secs_f64() / FIRST).max(1.0).ln() / GROWTH.ln()) as usize;
        let mut histogram = self.histogram();
        if histogram.total >= HALF_LIFE {
            histogram.counts.iter_mut().for_each(|count| *count /= 2);
            histogram.total = histogram.counts.iter().sum();
        }
        if let Some(count) = histogram.counts.get_mut(place.min(BUCKETS - 1)) {
            *count += 1;
            histogram.total += 1;
        }
    }

    /// The time within which the share `quantile` of answers came; `None` while too few are known.
    pub(super) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let histogram = self.histogram();
        if histogram.total < MIN_SAMPLES {
            return None;
        }
        let rank = (f64::from(histogram.total) * quantile).ceil() as u32;
        let mut seen = 0;
        for (place, count) in (1_i32..).zip(histogram.counts) {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_secs_f64(FIRST * GROWTH.powi(place)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_known_within_a_sixth_and_follow_the_present() {
        let latency = Latency::default();
        assert_eq!(latency.quantile(0.95), None);
        for call in 0..1000 {
            latency.observe(Duration::from_millis(if call % 100 < 94 { 10 } else { 100 }));
        }
        let near = |found: Duration, expected: f64| (found.as_secs_f64() / expected - 1.0).abs() < 0.2;
        assert!(near(latency.quantile(0.5).unwrap(), 0.010));
        assert!(near(latency.quantile(0.95).unwrap(), 0.100));
        for _ in 0..10_000 {
            latency.observe(Duration::from_millis(2));
        }
        assert!(near(latency.quantile(0.99).unwrap(), 0.002));
    }
}
