//! Invalidation by tag, without a list of what carries the tag.
//!
//! A clock ticks with every invalidation, and each tag remembers when it was invalidated last. An entry remembers the clock at the time
//! when its load *began*: it is true while none of its tags was invalidated after that. So a load that was under way when a write came
//! through never fills a cache with what was true before.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

/// Tags remembered; beyond, everything is invalidated once and the list begins anew.
const MOST_TAGS: usize = 100_000;

/// The clock and the tags of one cache.
#[derive(Debug, Default)]
pub struct Generations {
    now: AtomicU64,
    tags: RwLock<Tags>,
}

#[derive(Debug, Default)]
struct Tags {
    all_before: u64,
    invalidated: HashMap<Arc<str>, u64>,
}

impl Generations {
    /// To be taken when a load begins.
    pub fn now(&self) -> u64 {
        self.now.load(SeqCst)
    }

    /// Entries with this tag whose loads have begun before are not true any more.
    pub fn invalidate(&self, tag: &str) {
        let mut tags = self.tags.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.now.fetch_add(1, SeqCst) + 1;
        if tags.invalidated.len() >= MOST_TAGS {
            tags.invalidated.clear();
            tags.all_before = now;
        }
        tags.invalidated.insert(tag.into(), now);
    }

    /// Nothing that was loaded before is true any more.
    pub fn invalidate_all(&self) {
        let mut tags = self.tags.write().unwrap_or_else(PoisonError::into_inner);
        tags.all_before = self.now.fetch_add(1, SeqCst) + 1;
        tags.invalidated.clear();
    }

    /// Whether what was loaded at `since` with these tags is still true.
    pub fn is_true<'a>(&self, since: u64, mut tags: impl Iterator<Item = &'a str>) -> bool {
        // Mostly nothing was invalidated since, and no lock is needed to know that.
        if self.now() == since {
            return true;
        }
        let known = self.tags.read().unwrap_or_else(PoisonError::into_inner);
        since >= known.all_before && tags.all(|tag| known.invalidated.get(tag).is_none_or(|at| *at <= since))
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

    #[test]
    fn memory_is_bounded_and_nothing_comes_back() {
        let generations = Generations::default();
        let before = generations.now();
        generations.invalidate("first");
        for tag in 0..=MOST_TAGS {
            generations.invalidate(&tag.to_string());
        }
        assert!(generations.tags.read().unwrap().invalidated.len() <= MOST_TAGS);
        assert!(!generations.is_true(before, ["first"].into_iter()));
    }
}
