//! What a guest perceives of the world beside its request: time and chance. Both come through here, so that tests and replay can fix
//! them (and with them the seeds of the guest's hash maps).

use rand::{SeedableRng, rngs::StdRng};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Where a guest's clocks and random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// The host's clocks, and the operating system's randomness.
    #[default]
    Real,
    /// Time stands still at this distance from 1970, and random numbers follow from the seed.
    Fixed { since_epoch: Duration, seed: u64 },
}

impl Environment {
    pub(super) fn random(self) -> StdRng {
        match self {
            Self::Real => StdRng::from_rng(&mut rand::rng()),
            Self::Fixed { seed, .. } => StdRng::seed_from_u64(seed),
        }
    }

    pub(super) fn clock(self) -> Clock {
        Clock { environment: self, start: Instant::now() }
    }
}

/// Both clocks of one instance. The monotonic one starts at zero with the instance: a guest learns nothing of the host's uptime.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    environment: Environment,
    start: Instant,
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        match self.environment {
            Environment::Real => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Environment::Fixed { since_epoch, .. } => since_epoch,
        }
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        match self.environment {
            Environment::Real => u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Environment::Fixed { .. } => 0,
        }
    }
}
