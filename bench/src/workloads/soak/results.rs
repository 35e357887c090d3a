//! What became of the requests, and what of it counts as lost.
//!
//! Lost is what got no answer (a broken connection, none in time), a wrong body, or a status that nobody asked for. While a backend
//! fails, a problem document with 502, 503 or 504 is an answer; otherwise only the right body is. What admission refuses is counted by
//! itself, whatever the faults.

use super::faults::Faults;
use crate::{load::Tally, say};
use std::{collections::BTreeMap, fmt};

pub(super) struct Results {
    /// Of times in which every answer has to be the right one.
    pub(super) strict: Tally,
    /// Of times in which a backend fails.
    pub(super) lenient: Tally,
    /// What admission refused, by faults: a machine that is too busy to let the host fire its timers.
    refused: BTreeMap<Faults, u64>,
}

impl Default for Results {
    fn default() -> Self {
        Self { strict: Tally::new(), lenient: Tally::new(), refused: BTreeMap::new() }
    }
}

/// An answer that is not a good one, as the driver tells it: `status 503 busy, retry-after`.
struct Refusal<'a> {
    status: u16,
    /// The kind of its problem document.
    kind: Option<&'a str>,
    says_when: bool,
}

impl<'a> Refusal<'a> {
    fn read(reason: &'a str) -> Option<Self> {
        let (reason, says_when) = match reason.strip_suffix(", retry-after") {
            Some(reason) => (reason, true),
            None => (reason, false),
        };
        let rest = reason.strip_prefix("status ")?;
        let (status, kind) = rest.split_once(' ').map_or((rest, None), |(status, kind)| (status, Some(kind)));
        Some(Self { status: status.parse().ok()?, kind, says_when })
    }

    fn is_by_admission(&self) -> bool {
        self.status == 503 && self.says_when && matches!(self.kind, Some("busy" | "overloaded"))
    }

    fn is_an_answer(&self) -> bool {
        matches!(self.status, 502..=504) && self.kind.is_some()
    }
}

fn is_refused(reason: &str) -> bool {
    Refusal::read(reason).is_some_and(|refusal| refusal.is_by_admission())
}

fn is_excused(reason: &str) -> bool {
    Refusal::read(reason).is_some_and(|refusal| refusal.is_an_answer())
}

fn count<'a>(tallies: impl IntoIterator<Item = &'a Tally>, counts: impl Fn(&str) -> bool) -> BTreeMap<&'a str, u64> {
    let mut found = BTreeMap::new();
    for (reason, count) in tallies.into_iter().flat_map(|tally| &tally.failed).filter(|(reason, _)| counts(reason)) {
        *found.entry(reason.as_str()).or_default() += count;
    }
    found
}

fn lost_of(tally: &Tally, excuses: bool) -> BTreeMap<&str, u64> {
    count([tally], |reason| !(is_refused(reason) || excuses && is_excused(reason)))
}

impl Results {
    pub(super) fn add(&mut self, faults: Faults, tally: &Tally) {
        let lost = lost_of(tally, faults.excuses());
        if !lost.is_empty() {
            say(format_args!("    LOST, {faults:?}: {lost:?}"));
        }
        let refused: u64 = count([tally], is_refused).values().sum();
        if refused > 0 {
            *self.refused.entry(faults).or_default() += refused;
        }
        if faults.excuses() { self.lenient.add(tally) } else { self.strict.add(tally) }
    }

    pub(super) fn lost_count(&self) -> u64 {
        lost_of(&self.strict, false).values().chain(lost_of(&self.lenient, true).values()).sum()
    }

    /// Answered with a problem because a backend failed.
    fn excused(&self) -> u64 {
        count([&self.lenient], |reason| is_excused(reason) && !is_refused(reason)).values().sum()
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} lost, {} refused by admission {:?}, {} answered with a problem while a backend failed, \
             p50 {:.2} ms, p99 {:.2} ms",
            self.strict.done + self.lenient.done,
            self.lost_count(),
            self.refused.values().sum::<u64>(),
            self.refused,
            self.excused(),
            self.strict.quantile(0.5),
            self.strict.quantile(0.99),
        )
    }
}

/// Hostile requests that got no answer of the kind that they deserve.
pub(super) fn unanswered(tally: &Tally) -> u64 {
    let wrong: u64 = count([tally], |reason| !is_excused(reason)).values().sum();
    // None of them can go well.
    wrong + tally.done - tally.failures()
}
