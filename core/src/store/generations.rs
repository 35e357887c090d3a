//! Invalidation by tag, without a list of what carries the tag.
//!
//! A clock ticks with every invalidation, and each tag remembers when it was invalidated last. An entry remembers the clock at the time
//! when its load *began*: it is true while none of its tags was invalidated after that. So a load that was under way when a write came
//! through never fills a cache with what was true before.
//!
//! What is remembered is bounded. Tags are remembered by their hashes (two tags with one hash are invalidated together, which makes an
//! entry load again and nothing else), and when there are too many, the largest group of them (`film:1` and `film:2` are one group) is
//! invalidated as a whole and forgotten: whoever floods loses what is theirs, and nobody else loses anything.

use crate::sync::{read, write};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    tags: usize,
    /// Groups that were invalidated as a whole.
    groups: usize,
    /// A group with fewer tags is not worth the search: then everything is invalidated, and all begins anew.
    least_group: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { tags: 100_000, groups: 1_000, least_group: 100 }
    }
}

/// The clock and the tags of one cache.
#[derive(Debug, Default)]
pub struct Generations {
    now: AtomicU64,
    hasher: RandomState,
    tags: RwLock<Tags>,
}

#[derive(Debug, Default)]
struct Tags {
    bounds: Bounds,
    all_before: u64,
    /// When groups were invalidated as a whole.
    groups: HashMap<u64, u64>,
    invalidated: HashMap<u64, Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: u64,
    group: u64,
}

/// The beginning that the tag has in common with others: `film:` of `film:7`, `pkg.Service/` of `pkg.Service/Method`.
fn group(tag: &str) -> &str {
    tag.find([':', '/']).map_or(tag, |end| tag.get(..=end).unwrap_or(tag))
}

impl Generations {
    /// To be taken when a load begins.
    pub fn now(&self) -> u64 {
        self.now.load(SeqCst)
    }

    fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    /// Entries with this tag whose loads have begun before are not true any more.
    pub fn invalidate(&self, tag: &str) {
        let (tag, group) = (self.hash(tag), self.hash(group(tag)));
        let mut tags = write(&self.tags);
        let at = self.now.fetch_add(1, SeqCst) + 1;
        if tags.invalidated.len() >= tags.bounds.tags && !tags.invalidated.contains_key(&tag) {
            tags.make_room(at);
        }
        tags.invalidated.insert(tag, Mark { at, group });
    }

    /// Nothing that was loaded before is true any more.
    pub fn invalidate_all(&self) {
        let mut tags = write(&self.tags);
        let at = self.now.fetch_add(1, SeqCst) + 1;
        tags.invalidate_all(at);
    }

    /// Whether what was loaded at `since` with these tags is still true.
    pub fn is_true<'a>(&self, since: u64, mut tags: impl Iterator<Item = &'a str>) -> bool {
        // Mostly nothing was invalidated since, and no lock is needed to know that.
        if self.now() == since {
            return true;
        }
        let known = read(&self.tags);
        let is_true = |tag: &str| {
            known.invalidated.get(&self.hash(tag)).is_none_or(|mark| mark.at <= since)
                && (known.groups.is_empty() || known.groups.get(&self.hash(group(tag))).is_none_or(|at| *at <= since))
        };
        since >= known.all_before && tags.all(is_true)
    }
}

impl Tags {
    fn invalidate_all(&mut self, at: u64) {
        self.all_before = at;
        self.groups.clear();
        self.invalidated.clear();
    }

    /// Invalidates the largest group as a whole, and forgets its tags.
    fn make_room(&mut self, at: u64) {
        let mut sizes: HashMap<u64, usize> = HashMap::new();
        for mark in self.invalidated.values() {
            *sizes.entry(mark.group).or_default() += 1;
        }
        let largest =
            sizes.into_iter().max_by_key(|(_, size)| *size).filter(|(_, size)| *size >= self.bounds.least_group);
        match largest {
            Some((group, _)) if self.groups.len() < self.bounds.groups => {
                self.invalidated.retain(|_, mark| mark.group != group);
                self.groups.insert(group, at);
            }
            _ => self.invalidate_all(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_before_is_not_true_and_what_began_after_is() {
        let generations = Generations::default();
        let before = generations.now();
        generations.invalidate("film:7");
        let after = generations.now();
        assert!(!generations.is_true(before, ["film", "film:7"].into_iter()));
        assert!(generations.is_true(before, ["film:8"].into_iter()));
        assert!(generations.is_true(after, ["film:7"].into_iter()));
        generations.invalidate_all();
        assert!(!generations.is_true(after, ["film:8"].into_iter()));
    }

    fn bounded(tags: usize, groups: usize, least_group: usize) -> Generations {
        let generations = Generations::default();
        generations.tags.write().unwrap().bounds = Bounds { tags, groups, least_group };
        generations
    }

    /// Invalidates so many tags with this beginning; what is remembered stays within its bounds all the time.
    fn flood(generations: &Generations, group: &str, count: usize) {
        for number in 0..count {
            generations.invalidate(&format!("{group}{number}"));
            let Tags { bounds, groups, invalidated, .. } = &*generations.tags.read().unwrap();
            let sizes = (invalidated.len(), groups.len());
            assert!(sizes.0 <= bounds.tags && sizes.1 <= bounds.groups, "{sizes:?}");
        }
    }

    #[test]
    fn whoever_floods_loses_what_is_theirs_and_nobody_else_loses_anything() {
        let generations = bounded(1_000, 10, 10);
        let before = generations.now();
        flood(&generations, "person:", 400);
        generations.invalidate("film:first");
        flood(&generations, "film:", 10_000);
        let is_true = |tag: &str| generations.is_true(before, ["home", tag].into_iter());
        assert_eq!((is_true("film:first"), is_true("film:never heard of")), (false, false), "nothing comes back");
        assert_eq!((is_true("person:1"), is_true("person:401"), is_true("film")), (false, true, true));
        let after = generations.now();
        assert!(generations.is_true(after, ["film:7"].into_iter()), "what is loaded after the flood is true");
        generations.invalidate("film:7");
        assert!(!generations.is_true(after, ["film:7"].into_iter()));
    }

    #[test]
    fn memory_is_bounded_however_many_groups_there_are_and_nothing_comes_back() {
        let generations = bounded(1_000, 10, 10);
        let before = generations.now();
        generations.invalidate("first");
        // Groups of one: no room is made by forgetting one of them.
        (0..2_000).for_each(|number| flood(&generations, &format!("small {number}:"), 1));
        assert!(!generations.is_true(before, ["first"].into_iter()));
        let before = generations.now();
        for number in 0..200 {
            flood(&generations, &format!("large {number}:"), 50);
            assert!(!generations.is_true(before, ["large 0:1"].into_iter()));
        }
    }
}
