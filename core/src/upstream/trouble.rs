//! What is told of an endpoint that fails: one line when it begins, one when it is over, and the last error for who asks.

use crate::{
    model::{Code, Failure},
    sync::lock,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// An endpoint that comes and goes is not told of more often.
const SELDOM: Duration = Duration::from_secs(10);
/// Failures in a row that are a spell. One alone is its caller's affair, whose line in the log tells of it.
const SPELL: u64 = 2;
/// Of a message that a backend wrote, in characters.
const LONGEST: usize = 300;

/// How calls to one endpoint ended.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    calls: AtomicU64,
    failures: AtomicU64,
    spell: Mutex<Spell>,
}

/// A spell of failures, and what was told of spells.
#[derive(Debug, Default)]
struct Spell {
    since: Option<(SystemTime, Instant)>,
    failures: u64,
    last: Option<LastError>,
    lines: Seldom,
    /// Whether the log has said that it began.
    told: bool,
}

/// The last failure that was the endpoint's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastError {
    /// Seconds since 1970.
    pub at: u64,
    pub code: Code,
    pub message: String,
}

/// What is known of an endpoint's failures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// Attempts that have ended, since the host began or was last configured.
    pub calls: u64,
    pub failures: u64,
    /// Seconds since 1970; none while it answers.
    pub failing_since: Option<u64>,
    pub last_error: Option<LastError>,
}

/// At most one line in [`SELDOM`].
#[derive(Debug, Default)]
pub(super) struct Seldom {
    last: Option<Instant>,
    passed_over: u64,
}

impl Seldom {
    /// How many were passed over since the last line, if it is time for another.
    pub(super) fn now(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < SELDOM) {
            self.passed_over += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.passed_over))
    }
}

/// What the log should say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Begins { passed_over: u64 },
    Over { failures: u64, after: Duration },
}

impl Trouble {
    fn spell(&self) -> MutexGuard<'_, Spell> {
        lock(&self.spell)
    }

    /// An attempt ended well, or with what was not the endpoint's fault. `was_failing`: as it was known before.
    pub(super) fn answered(&self, was_failing: bool) -> Option<Line> {
        self.calls.fetch_add(1, Relaxed);
        if !was_failing {
            return None;
        }
        let mut spell = self.spell();
        let (_, since) = spell.since.take()?;
        let failures = std::mem::take(&mut spell.failures);
        // Only a spell whose beginning was told needs an end.
        std::mem::take(&mut spell.told).then(|| Line::Over { failures, after: since.elapsed() })
    }

    pub(super) fn failed(&self, failure: &Failure) -> Option<Line> {
        self.calls.fetch_add(1, Relaxed);
        self.failures.fetch_add(1, Relaxed);
        let mut spell = self.spell();
        spell.failures += 1;
        spell.last = Some(LastError {
            at: seconds(SystemTime::now()),
            code: failure.code,
            message: failure.message.chars().take(LONGEST).collect(),
        });
        spell.since.get_or_insert_with(|| (SystemTime::now(), Instant::now()));
        if spell.told || spell.failures < SPELL {
            return None;
        }
        let passed_over = spell.lines.now()?;
        spell.told = true;
        Some(Line::Begins { passed_over })
    }

    pub(super) fn told(&self) -> Told {
        let spell = self.spell();
        Told {
            calls: self.calls.load(Relaxed),
            failures: self.failures.load(Relaxed),
            failing_since: spell.since.map(|(since, _)| seconds(since)),
            last_error: spell.last.clone(),
        }
    }
}

pub(super) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Failures that say something of the endpoint, not of the request.
pub(super) fn is_endpoints_own(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Internal
            | Code::Unknown
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_spell_of_failures_is_told_when_it_begins_and_when_it_is_over_and_seldom() {
        let trouble = Trouble::default();
        let failure = Failure::new(Code::Unavailable, "refused");
        assert_eq!(trouble.answered(false), None);
        assert_eq!(trouble.failed(&failure), None, "one is none");
        assert_eq!(trouble.answered(true), None);
        assert_eq!(trouble.failed(&failure), None, "and each begins anew");
        assert_eq!(trouble.failed(&failure), Some(Line::Begins { passed_over: 0 }));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(trouble.failed(&failure), None, "it is known");
        assert_eq!(trouble.answered(true), Some(Line::Over { failures: 3, after: Duration::from_secs(3) }));
        for _ in 0..5 {
            assert_eq!((trouble.failed(&failure), trouble.failed(&failure)), (None, None), "too soon");
            assert_eq!(trouble.answered(true), None, "and what did not begin does not end");
        }
        tokio::time::advance(SELDOM).await;
        assert_eq!(trouble.failed(&failure), None);
        assert_eq!(trouble.failed(&failure), Some(Line::Begins { passed_over: 5 }));
        let told = trouble.told();
        assert_eq!((told.calls, told.failures), (24, 16));
        assert_eq!(told.last_error.unwrap().message, "refused");
    }
}
