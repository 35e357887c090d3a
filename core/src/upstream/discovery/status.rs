//! How it goes with finding a backend's instances: for the log, the metrics and who asks.

use super::{Found, Nonsense, Skipped};
use crate::{sync::lock, telemetry::SourceStates, upstream::trouble::Seldom};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::Instant};

/// Of a message that somebody else wrote, in characters.
const LONGEST: usize = 300;

/// What is known of one source.
#[derive(Debug)]
pub(in crate::upstream) struct Status {
    scheme: &'static str,
    url: String,
    state: Mutex<State>,
    /// Whether a set was told.
    told: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// When the newest set came, or was last found to be the same still.
    set_at: Option<(SystemTime, Instant)>,
    /// Since when it can't be asked.
    failing: Option<(SystemTime, Instant)>,
    last_error: Option<DiscoveryError>,
    failures: u64,
    skipped: Vec<Skipped>,
    lines: Seldom,
    /// Whether the log has said that it fails.
    is_failure_told: bool,
    nonsense: BTreeMap<Nonsense, Seldom>,
}

/// The last reason why a source could not be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiscoveryError {
    /// Seconds since 1970.
    pub at: u64,
    pub message: String,
}

/// A source as the admin interface shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiscoveryState {
    pub source: String,
    /// When the newest set came, in seconds since 1970; none: never.
    pub set_at: Option<u64>,
    /// How old it is, in seconds.
    pub set_age: Option<u64>,
    /// Seconds since 1970; none while it can be asked.
    pub failing_since: Option<u64>,
    pub failures: u64,
    pub last_error: Option<DiscoveryError>,
    /// Entries of the newest set that can't be used, by what is wrong with them.
    pub skipped: BTreeMap<String, usize>,
}

/// What the log should say of a failure, or of its end.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Line {
    Begins { passed_over: u64 },
    Over { after: Duration },
}

impl Status {
    pub(super) fn new(scheme: &'static str, url: &str) -> Self {
        Self { scheme, url: url.to_owned(), state: Mutex::default(), told: watch::Sender::new(false) }
    }

    pub(in crate::upstream) fn url(&self) -> &str {
        &self.url
    }

    /// Until a set was told.
    pub(super) async fn told(&self) {
        // The sender is here, so it can't end.
        let _ = self.told.subscribe().wait_for(|told| *told).await;
    }

    pub(in crate::upstream) fn has_told(&self) -> bool {
        *self.told.borrow()
    }

    /// A set came. With what the log should say: of failures that are over, and of kinds of nonsense that were not there before.
    pub(in crate::upstream) fn came(&self, found: &Found) -> (Option<Line>, Vec<Skipped>) {
        let mut state = lock(&self.state);
        state.set_at = Some((SystemTime::now(), Instant::now()));
        let failing = state.failing.take();
        let is_told = std::mem::take(&mut state.is_failure_told);
        let line = failing.filter(|_| is_told).map(|(_, since)| Line::Over { after: since.elapsed() });
        let before = std::mem::replace(&mut state.skipped, found.skipped.clone());
        let is_new = |skipped: &&Skipped| !before.iter().any(|old| old.reason == skipped.reason);
        let mut new: Vec<Skipped> = found.skipped.iter().filter(is_new).cloned().collect();
        new.retain(|skipped| state.nonsense.entry(skipped.reason).or_default().now().is_some());
        drop(state);
        self.told.send_replace(true);
        (line, new)
    }

    /// It can't be asked, or no longer.
    pub(in crate::upstream) fn failed(&self, reason: &str) -> Option<Line> {
        let mut state = lock(&self.state);
        state.failures += 1;
        let message = reason.chars().take(LONGEST).collect();
        state.last_error = Some(DiscoveryError { at: seconds(SystemTime::now()), message });
        state.failing.get_or_insert_with(|| (SystemTime::now(), Instant::now()));
        if state.is_failure_told {
            return None;
        }
        let passed_over = state.lines.now()?;
        state.is_failure_told = true;
        Some(Line::Begins { passed_over })
    }

    pub(in crate::upstream) fn last_error(&self) -> Option<String> {
        let state = lock(&self.state);
        state.failing.and_then(|_| state.last_error.as_ref().map(|error| error.message.clone()))
    }

    pub(in crate::upstream) fn state(&self) -> DiscoveryState {
        let state = lock(&self.state);
        DiscoveryState {
            source: self.url.clone(),
            set_at: state.set_at.map(|(at, _)| seconds(at)),
            set_age: state.set_at.map(|(_, at)| at.elapsed().as_secs()),
            failing_since: state.failing.map(|(since, _)| seconds(since)),
            failures: state.failures,
            last_error: state.last_error.clone(),
            skipped: state.skipped.iter().map(|s| (s.reason.as_str().to_owned(), s.count)).collect(),
        }
    }
}

impl SourceStates for Status {
    fn scheme(&self) -> &'static str {
        self.scheme
    }

    fn is_up(&self) -> bool {
        let state = lock(&self.state);
        state.failing.is_none() && state.set_at.is_some()
    }

    fn set_at(&self) -> Option<u64> {
        lock(&self.state).set_at.map(|(at, _)| seconds(at))
    }

    fn failures(&self) -> u64 {
        lock(&self.state).failures
    }

    fn skipped(&self) -> Vec<(&'static str, usize)> {
        lock(&self.state).skipped.iter().map(|s| (s.reason.as_str(), s.count)).collect()
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
