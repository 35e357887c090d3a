//! The table of answers: bounded in all and for each caller, and nothing in it gives way to anything else. What is full says so, because
//! a key that is forgotten is a write that is done twice.
//!
//! Nothing that is there can be taken back from whoever was first, so callers get less the less there is: an eighth of the table where
//! nobody else has anything, and of that the square of the part that others have left. Fixed shares of an eighth would be all gone with
//! eight callers, and shares in proportion to what is left with some seventy; by the square it takes a thousand until whoever is next (in
//! 64 MiB) gets a single key. And whoever has nothing may have that one while there is room at all.

use crate::{model::Digest, sync::lock};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// The part of an empty table that one caller may take: one in so many.
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
        lock(&self.state)
    }

    /// What a caller may take who has taken so much of all that is taken.
    fn share(&self, taken: u64, all: u64) -> u64 {
        let (most, left) = (u128::from(self.most), u128::from(self.most.saturating_sub(all - taken.min(all))));
        let share = left * left / most.max(1) / u128::from(SHARES);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Whether there is room for so much more of a caller's.
    fn room(&self, state: &State<V>, owner: &Digest, more: u64) -> Result<(), Claim<V>> {
        let taken = state.taken.get(owner).copied().unwrap_or_default();
        if state.all.saturating_add(more) > self.most {
            return Err(Claim::Full);
        }
        if taken > 0 && taken.saturating_add(more) > self.share(taken, state.all) {
            return Err(Claim::ShareFull);
        }
        Ok(())
    }

    /// Takes the key for one that is under way from now on.
    pub(super) fn claim(&self, key: Digest, owner: Digest, value: V, weight: u64) -> Claim<V> {
        let mut state = self.state();
        state.end(Instant::now());
        if let Some(entry) = state.entries.get(&key) {
            return Claim::Known(entry.value.clone());
        }
        if let Err(refused) = self.room(&state, &owner, weight) {
            return refused;
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
        if more > 0 && self.room(&state, &owner, more).is_err() {
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

    fn numbered(number: usize) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    /// Claims keys for a caller until one is refused; how many it got, and why no more.
    fn fill(table: &Table<usize>, owner: usize, weight: u64) -> (usize, Claim<usize>) {
        for count in 0.. {
            match table.claim(numbered(owner * 100_000 + count), numbered(owner), count, weight) {
                Claim::First => {}
                refused => return (count, refused),
            }
        }
        unreachable!()
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_take_all_they_can_leave_room_for_whoever_comes_next() {
        let table = Table::new(10_000 * SHARES);
        let (alone, refused) = fill(&table, 0, 10);
        assert_eq!((alone, refused), (1_000, Claim::ShareFull), "an eighth of a table that is empty otherwise");
        for owner in 1..8 {
            assert!(fill(&table, owner, 10).0 > 100);
        }
        let (ninth, refused) = fill(&table, 8, 10);
        assert!(ninth > 100, "eight callers leave more than a hundred keys to the ninth: {ninth}");
        assert_eq!(refused, Claim::ShareFull);
        for owner in 9..300 {
            assert!(fill(&table, owner, 10).0 >= 1, "caller {owner} has nothing");
        }
        assert_eq!(table.claim(numbered(0), numbered(0), 7, 10), Claim::Known(0), "nothing was forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_refuses_and_forgets_nothing_until_it_ends() {
        let table = Table::new(80 * SHARES);
        let claim = |key: u8, owner: u8| table.claim(digest(key), digest(owner), key, 10);
        for key in 0..8 {
            assert_eq!(claim(key, 0), Claim::First);
        }
        assert_eq!(claim(8, 0), Claim::ShareFull);
        assert!(!table.keep(&digest(0), 0, 11, LIFE), "an answer takes no more than the share either");
        assert!(table.keep(&digest(0), 0, 10, LIFE), "but what was claimed for it");
        let room = 56_u8;
        for owner in 1..=room {
            assert_eq!(claim(100 + owner, owner), Claim::First, "one key for everybody");
        }
        assert_eq!(claim(255, 255), Claim::Full);
        assert!(matches!(claim(1, 0), Claim::Known(1)));
        tokio::time::advance(LIFE).await;
        assert_eq!(claim(255, 255), Claim::First, "what has ended makes room");
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
