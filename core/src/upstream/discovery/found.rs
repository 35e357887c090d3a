//! A whole set as a provider tells it, and what it had to leave out.

use super::InstanceSpec;
use crate::settings::visible;
use std::fmt::Display;

/// More instances than that are in no set.
const MOST: usize = 10_000;
/// Of what stands for a kind of nonsense in the log, in characters.
const SHOWN: usize = 200;

/// A set, and what was no part of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    pub specs: Vec<InstanceSpec>,
    pub skipped: Vec<Skipped>,
}

/// What can be wrong with an entry of a registry. The words are those of metrics and log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nonsense {
    /// Not in the format that entries have.
    Unreadable,
    /// Larger than any entry is.
    TooLarge,
    /// No host and port that could be called.
    Address,
    /// Of another service.
    OtherService,
    /// It speaks something else than this backend does.
    OtherProtocol,
    /// No weight that could be one.
    Weight,
    /// An address that another entry has as well.
    Doubled,
    /// A name that no address is known of.
    Unresolved,
    /// There are too many already.
    TooMany,
}

impl Nonsense {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::Address => "address",
            Self::OtherService => "other-service",
            Self::OtherProtocol => "other-protocol",
            Self::Weight => "weight",
            Self::Doubled => "doubled",
            Self::Unresolved => "unresolved",
            Self::TooMany => "too-many",
        }
    }
}

/// Entries that were left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub reason: Nonsense,
    /// The first of them, and what is wrong with it.
    pub first: String,
    pub count: usize,
}

impl Found {
    /// One more, if there is room.
    pub(in crate::upstream) fn add(&mut self, spec: InstanceSpec) {
        if self.specs.len() < MOST {
            self.specs.push(spec);
        } else {
            self.skip(Nonsense::TooMany, &format_args!("{}: there are {MOST} already", spec.uri));
        }
    }

    /// So many more stand there, at which nobody looks.
    pub(in crate::upstream) fn skip_rest(&mut self, more: usize) {
        if more > 0 {
            self.skip(Nonsense::TooMany, &format_args!("{more} more entries, which are not looked at"));
        }
    }

    pub(in crate::upstream) fn skip(&mut self, reason: Nonsense, what: &dyn Display) {
        self.skip_several(reason, what, 1);
    }

    /// So many for the same reason, of which this is the first.
    pub(super) fn skip_several(&mut self, reason: Nonsense, what: &dyn Display, count: usize) {
        match self.skipped.iter_mut().find(|skipped| skipped.reason == reason) {
            Some(skipped) => skipped.count += count,
            None => {
                let first = visible(what.to_string()).chars().take(SHOWN).collect();
                self.skipped.push(Skipped { reason, first, count });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn there_is_an_end_to_a_set_and_to_what_is_told_of_nonsense() {
        let mut found = Found::default();
        for number in 0..MOST + 7 {
            let uri = format!("http://h{number}:1").parse().unwrap();
            found.add(InstanceSpec { uri, weight: 1.0, metadata: BTreeMap::new() });
        }
        found.skip(Nonsense::Unreadable, &format!("\u{1b}[2J{}", "x".repeat(100_000)));
        assert_eq!(found.specs.len(), MOST);
        let counts: Vec<_> = found.skipped.iter().map(|s| (s.reason.as_str(), s.count)).collect();
        assert_eq!(counts, [("too-many", 7), ("unreadable", 1)]);
        assert!(found.skipped[1].first.starts_with("\\u{1b}[2J") && found.skipped[1].first.len() <= SHOWN);
    }
}
