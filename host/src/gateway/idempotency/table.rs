//! The table of answers: bounded in all and for each caller, and nothing in it gives way to anything else. What is full says so, because
//! a key that is forgotten is a write that is done twice.

use crate::artifact::Digest;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The part of the table that one caller may take: one in so many.
const SHARES: u64 = 8;

/// Values by key, until their time is over.
#[derive(Debug)]
pub(super) struct Table<V> {
    most: u64,
    state: Mutex<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    entries: HashMap<Digest, Entry<V>>,
    /// What each caller takes.
    taken: HashMap<Digest, u64>,
    all: u64,
    /// Those that end, the first one first.
    ends: BTreeMap<(Instant, Digest), ()>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    owner: Digest,
    weight: u64,
    /// `None`: under way, which has no end of its own here.
    ends: Option<Instant>,
}

/// What became of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim<V> {
    /// It is the caller's now.
    First,
    /// It was there.
    Known(V),
    /// The caller has taken its share.
    ShareFull,
    Full,
}

impl<V: Clone> Table<V> {
    pub(super) fn new(most: u64) -> Self {
        let state = State { entries: HashMap::new(), taken: HashMap::new(), all: 0, ends: BTreeMap::new() };
        Self { most, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn share(&self) -> u64 {
        self.most / SHARES
    }

    /// Takes the key for one that is under way from now on.
    pub(super) fn claim(&self, key: Digest, owner: Digest, value: V, weight: u64) -> Claim<V> {
        let mut state = self.state();
        state.end(Instant::now());
        if let Some(entry) = state.entries.get(&key) {
            return Claim::Known(entry.value.clone());
        }
        let taken = state.taken.get(&owner).copied().unwrap_or_default();
        if state.all.saturating_add(weight) > self.most {
            return Claim::Full;
        }
        if taken.saturating_add(weight) > self.share() {
            return Claim::ShareFull;
        }
        state.add(key, Entry { value, owner, weight, ends: None });
        Claim::First
    }

    /// Puts the answer where the key was claimed, for so long. `false`: there is no room for so much, and nothing was changed.
    pub(super) fn keep(&self, key: &Digest, value: V, weight: u64, lifetime: Duration) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        state.end(now);
        let Some(old) = state.entries.get(key) else { return false };
        let (owner, more) = (old.owner, weight.saturating_sub(old.weight));
        let taken = state.taken.get(&owner).copied().unwrap_or_default();
        if state.all.saturating_add(more) > self.most || taken.saturating_add(more) > self.share() {
            return false;
        }
        state.remove(key);
        state.add(*key, Entry { value, owner, weight, ends: Some(now + lifetime) });
        true
    }

    /// Lets a key go as if it had never been claimed.
    pub(super) fn release(&self, key: &Digest) {
        self.state().remove(key);
    }
}

impl<V> State<V> {
    fn add(&mut self, key: Digest, entry: Entry<V>) {
        self.all += entry.weight;
        *self.taken.entry(entry.owner).or_default() += entry.weight;
        if let Some(ends) = entry.ends {
            self.ends.insert((ends, key), ());
        }
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Digest) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.all -= entry.weight;
        if let Some(taken) = self.taken.get_mut(&entry.owner) {
            *taken -= entry.weight;
            if *taken == 0 {
                self.taken.remove(&entry.owner);
            }
        }
        if let Some(ends) = entry.ends {
            self.ends.remove(&(ends, *key));
        }
    }

    /// Removes what has ended by now.
    fn end(&mut self, now: Instant) {
        while let Some((&(ends, key), ())) = self.ends.first_key_value() {
            if ends > now {
                return;
            }
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(5);

    fn digest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_never_ends_and_what_is_kept_ends_in_time() {
        let table = Table::new(1000);
        let claim = |key, owner| table.claim(digest(key), digest(owner), key, 10);
        assert_eq!((claim(1, 1), claim(2, 1)), (Claim::First, Claim::First));
        assert!(table.keep(&digest(2), 20, 10, LIFE));
        tokio::time::advance(LIFE - Duration::from_millis(1)).await;
        assert_eq!((claim(1, 1), claim(2, 1)), (Claim::Known(1), Claim::Known(20)));
        tokio::time::advance(LIFE).await;
        assert_eq!((claim(1, 1), claim(2, 1)), (Claim::Known(1), Claim::First));
        table.release(&digest(1));
        assert_eq!(claim(1, 1), Claim::First);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_refuses_and_forgets_nothing_and_one_caller_does_not_fill_it() {
        let table = Table::new(80 * SHARES);
        let claim = |key, owner| table.claim(digest(key), digest(owner), key, 10);
        for key in 0..8 {
            assert_eq!(claim(key, 0), Claim::First);
        }
        assert_eq!(claim(8, 0), Claim::ShareFull);
        assert!(!table.keep(&digest(0), 0, 11, LIFE), "an answer takes no more than the share either");
        assert_eq!(claim(8, 1), Claim::First, "another caller has its own");
        for owner in 2..9 {
            for key in 0..8 {
                let _ = claim(owner * 8 + key, owner);
            }
        }
        assert_eq!(claim(255, 255), Claim::Full);
        assert_eq!(claim(0, 0), Claim::Known(0));
    }

    /// Whatever is done, the sums are those of what is there, and within their bounds.
    #[tokio::test(start_paused = true)]
    async fn sums_are_right() {
        let table = Table::new(800);
        let mut random = 1_u64;
        let mut below = |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % most
        };
        for _ in 0..5_000 {
            let (step, key, owner, size) = (below(7), digest(below(20) as u8), digest(below(3) as u8), below(60));
            match step {
                0..3 => drop(table.claim(key, owner, 0, size)),
                3 | 4 => drop(table.keep(&key, 1, size, LIFE)),
                5 => table.release(&key),
                _ => tokio::time::advance(Duration::from_secs(1)).await,
            }
            let state = table.state();
            assert_eq!(state.all, state.entries.values().map(|entry| entry.weight).sum::<u64>());
            assert_eq!(state.all, state.taken.values().sum::<u64>());
            assert!(state.all <= 800 && state.taken.values().all(|taken| *taken <= 100));
            assert_eq!(state.ends.len(), state.entries.values().filter(|entry| entry.ends.is_some()).count());
        }
    }
}
