//! How the people's service is, in turns.

use demo_services::proto::demo::v1::Behaviour;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Faults {
    Calm,
    /// One call in ten fails with UNAVAILABLE.
    Failing,
    /// It is well again; what it has taught the host is still fresh.
    Settling,
    /// Each call takes 50 ms.
    Slow,
}

impl Faults {
    /// A minute, over and over.
    pub(super) fn round() -> impl Iterator<Item = Self> {
        [Self::Calm, Self::Failing, Self::Settling, Self::Calm, Self::Slow].into_iter().cycle()
    }

    pub(super) fn lasts(self) -> Duration {
        Duration::from_secs(match self {
            Self::Calm => 18,
            Self::Failing | Self::Slow => 10,
            Self::Settling => 4,
        })
    }

    pub(super) fn behaviour(self) -> Behaviour {
        match self {
            Self::Calm | Self::Settling => Behaviour::default(),
            Self::Failing => Behaviour { fail_percent: 10, ..Behaviour::default() },
            Self::Slow => Behaviour { delay_ms: 50, ..Behaviour::default() },
        }
    }

    /// Whether a problem document may be the answer to a request.
    pub(super) fn excuses(self) -> bool {
        matches!(self, Self::Failing | Self::Settling)
    }
}
