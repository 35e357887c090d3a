//! How long to wait before what failed is tried again.

use std::time::Duration;

/// Pauses that double from try to try up to a bound, each shorter or longer by up to a fifth, so that hosts that lost the same thing at
/// the same time don't come back at the same time.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, tries: 0 }
    }

    /// For whom the host can do without for a while, and wants back soon: registries, brokers.
    pub fn of_neighbours() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.tries.min(20));
        self.tries = self.tries.saturating_add(1);
        doubled.min(self.longest).mul_f64(rand::random_range(0.8..1.2))
    }

    /// The next pause, after something that went well for so long: after the longest pause and more it begins with the first one again.
    pub fn pause_after(&mut self, held: Duration) -> Duration {
        if held >= self.longest {
            self.tries = 0;
        }
        self.pause()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_begin_anew_after_what_has_held() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second / 10, second);
        for expected in [0.1, 0.2, 0.4, 0.8, 1.0, 1.0] {
            let pause = backoff.pause().as_secs_f64();
            assert!((expected * 0.8..=expected * 1.2).contains(&pause), "{pause} instead of {expected}");
        }
        for _ in 0..100 {
            backoff.pause();
        }
        let pause = backoff.pause_after(second / 2);
        assert!((second.mul_f64(0.8)..=second.mul_f64(1.2)).contains(&pause), "{pause:?}");
        assert!(backoff.pause_after(second) <= second.mul_f64(0.12));
    }
}
