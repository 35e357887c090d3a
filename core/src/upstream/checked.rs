//! What the checks of an instance have found: whether it gets calls, and what is told of it. Pure: who asks is in `checks`.

use super::trouble::{Seldom, seconds};
use crate::sync::lock;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::SystemTime,
};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Serving,
    /// It says itself that it should get no calls, in these words.
    NotServing(String),
    /// It does not say: not in time, not in sound gRPC, or not at all.
    Silent(String),
    /// It knows no checks.
    Unimplemented,
}

/// How it stands with an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// It is not checked, or knows no checks.
    #[default]
    Unchecked,
    /// No check has ended.
    Pending,
    In,
    Out,
}

/// What the log should say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Out { said: String, passed_over: u64 },
    In,
    Off,
}

/// What is known of an instance by its checks.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Read for every call.
    out: AtomicBool,
    /// Read where it is out.
    pending: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    standing: Standing,
    /// Since when, and by which words.
    told: Option<CheckTold>,
    /// Checks in a row that found nothing.
    silent: u32,
    lines: Seldom,
    /// Whether the log has said that it is out.
    is_out_told: bool,
}

/// The last check of an endpoint that changed something, as the admin interface shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTold {
    /// What was found.
    pub found: String,
    /// Seconds since 1970.
    pub since: u64,
}

impl Checked {
    /// Its checks begin: until the first has passed it gets no calls that others can take.
    pub(super) fn begin(&self) {
        *lock(&self.state) = State { standing: Standing::Pending, ..State::default() };
        self.pending.store(true, Relaxed);
        self.out.store(true, Relaxed);
    }

    pub(super) fn is_out(&self) -> bool {
        self.out.load(Relaxed)
    }

    /// No check has ended.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Relaxed)
    }

    pub(super) fn told(&self) -> Option<CheckTold> {
        lock(&self.state).told.clone()
    }

    /// A check has ended. `silent`: so many in a row that find nothing take it out. With how it stood before.
    pub(super) fn found(&self, found: &Found, silent: u32) -> (Standing, Option<Line>) {
        let mut state = lock(&self.state);
        let before = state.standing;
        state.silent = if matches!(found, Found::Silent(_)) { state.silent.saturating_add(1) } else { 0 };
        let (standing, said) = match found {
            Found::Serving => (Standing::In, "it serves"),
            Found::NotServing(said) => (Standing::Out, said.as_str()),
            Found::Silent(said) if state.silent >= silent => (Standing::Out, said.as_str()),
            Found::Silent(_) => return (before, None),
            Found::Unimplemented => (Standing::Unchecked, "it knows no checks"),
        };
        state.standing = standing;
        self.pending.store(false, Relaxed);
        self.out.store(standing == Standing::Out, Relaxed);
        if standing != before || state.told.as_ref().is_none_or(|told| told.found != said) {
            state.told = Some(CheckTold { found: said.to_owned(), since: seconds(SystemTime::now()) });
        }
        (before, state.line(before, said))
    }
}

impl State {
    /// One line when it is out and one when it is in again, seldom; what was not told when it began is told while it lasts.
    fn line(&mut self, before: Standing, said: &str) -> Option<Line> {
        match self.standing {
            Standing::Out if !self.is_out_told => {
                let passed_over = self.lines.now()?;
                self.is_out_told = true;
                Some(Line::Out { said: said.to_owned(), passed_over })
            }
            Standing::In => std::mem::take(&mut self.is_out_told).then_some(Line::In),
            Standing::Unchecked if before != Standing::Unchecked => {
                self.is_out_told = false;
                Some(Line::Off)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn not_serving() -> Found {
        Found::NotServing("NOT_SERVING".to_owned())
    }

    fn silent() -> Found {
        Found::Silent("no answer within 1s".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_out_at_once_by_its_own_word_and_after_some_silence_without_one() {
        let checked = Checked::default();
        assert!(!checked.is_out(), "not checked");
        checked.begin();
        assert!(checked.is_out(), "until the first check has passed");
        assert_eq!(checked.found(&silent(), 2), (Standing::Pending, None));
        assert_eq!(checked.found(&Found::Serving, 2), (Standing::Pending, None), "a beginning is no news");
        assert!(!checked.is_out());
        assert_eq!(checked.found(&silent(), 2), (Standing::In, None));
        assert!(!checked.is_out(), "one is none");
        assert_eq!(checked.found(&Found::Serving, 2), (Standing::In, None));
        assert_eq!(checked.found(&silent(), 2), (Standing::In, None), "and each begins anew");
        let out = Line::Out { said: "no answer within 1s".to_owned(), passed_over: 0 };
        assert_eq!(checked.found(&silent(), 2), (Standing::In, Some(out)));
        assert!(checked.is_out());
        assert_eq!(checked.told().unwrap().found, "no answer within 1s");
        assert_eq!(checked.found(&Found::Serving, 2), (Standing::Out, Some(Line::In)));
        assert_eq!(checked.found(&not_serving(), 2), (Standing::In, None), "told seldom");
        assert!(checked.is_out(), "and out at once");
        tokio::time::advance(Duration::from_secs(10)).await;
        let out = Line::Out { said: "NOT_SERVING".to_owned(), passed_over: 1 };
        assert_eq!(checked.found(&not_serving(), 2), (Standing::Out, Some(out)), "told while it lasts");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_knows_no_checks_is_in_and_the_log_says_so_once() {
        let checked = Checked::default();
        checked.begin();
        assert_eq!(checked.found(&Found::Unimplemented, 2), (Standing::Pending, Some(Line::Off)));
        assert!(!checked.is_out());
        assert_eq!(checked.found(&Found::Unimplemented, 2), (Standing::Unchecked, None));
        let (_, line) = checked.found(&not_serving(), 2);
        assert!(matches!(line, Some(Line::Out { .. })), "it has learnt them");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_flaps_is_told_seldom_and_heeded_always() {
        let checked = Checked::default();
        checked.begin();
        let mut lines = 0;
        for _ in 0..100 {
            for found in [not_serving(), Found::Serving] {
                lines += usize::from(checked.found(&found, 2).1.is_some());
                assert_eq!(checked.is_out(), found != Found::Serving);
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(lines, 2, "one pair in ten seconds");
    }
}
