//! The books of what is held: how much, for whom, and who would give way first.
//!
//! All that is asked of them costs the logarithm of what is in them. What moves only leaves a mark; where it stands in the orders by
//! time is put right when somebody comes across it there, which happens about once a second at most.

use super::{Entry, Over, Owner, STILL, WORKS, order::Order};
use crate::{edge::config::Shares, net::Subnet};
use bytes::Bytes;
use hashbrown::HashMap;
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hash, RandomState},
    ops::Bound::{Excluded, Unbounded},
    sync::atomic::Ordering::Relaxed,
};

/// When it moved last, as far as this is known here, and its number.
type Mark = (u64, u64);

#[derive(Debug, Default)]
pub(super) struct Books {
    last: u64,
    /// Bytes of all entries; what several of them hold in common once.
    pub(super) all: usize,
    pub(super) entries: HashMap<u64, Entry>,
    /// Whose keys others choose: hashed so that nobody can make them collide.
    pub(super) callers: HashMap<Subnet, Account, RandomState>,
    pub(super) connections: HashMap<u64, Account>,
    order: BTreeSet<Mark>,
    /// How much of `all` is whose.
    weights: BTreeSet<(usize, Holder)>,
    pub(super) shared: HashMap<Place, Common>,
}

/// What is held for a caller or on a connection.
#[derive(Debug, Default)]
pub(super) struct Account {
    bytes: usize,
    /// Its part of `all`.
    own: usize,
    order: Order<Mark>,
}

/// Those of whom a gateway says nothing are callers each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Caller(Subnet),
    Alone(u64),
}

/// Where bytes lie that several answers may have in common, and how many they are.
pub(super) type Place = (usize, usize);

/// Bytes that several answers have in common. They count for the first of those who still have them.
#[derive(Debug, Default)]
pub(super) struct Common {
    readers: BTreeSet<u64>,
}

/// Among whose entries.
#[derive(Debug, Clone, Copy)]
enum Of {
    All,
    Caller(Subnet),
    Connection(u64),
}

pub(super) fn place(bytes: &Bytes) -> Place {
    (bytes.as_ptr().addr(), bytes.len())
}

impl Books {
    /// A new entry, with the bytes that it says.
    pub(super) fn enter(&mut self, entry: Entry) -> u64 {
        self.last += 1;
        let (id, owner, mark) = (self.last, entry.owner, (entry.known, self.last));
        self.all = self.all.saturating_add(entry.own);
        self.order.insert(mark);
        if let Some(connection) = owner.connection {
            self.connections.entry(connection).or_default().enter(&entry, mark);
        }
        let (holder, before, after) = match owner.caller {
            Some(caller) => {
                let account = self.callers.entry(caller).or_default();
                let before = account.own;
                account.enter(&entry, mark);
                (Holder::Caller(caller), before, account.own)
            }
            None => (Holder::Alone(id), 0, entry.own),
        };
        self.weigh(holder, before, after);
        self.entries.insert(id, entry);
        id
    }

    /// Where a holder stands among all.
    fn weigh(&mut self, holder: Holder, before: usize, after: usize) {
        if before == after {
            return;
        }
        self.weights.remove(&(before, holder));
        if after > 0 {
            self.weights.insert((after, holder));
        }
    }

    /// From now on it is `bytes` for its owner and `own` of all.
    pub(super) fn count(&mut self, id: u64, bytes: usize, own: usize) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let owner = entry.owner;
        let (bytes_before, own_before) = (entry.bytes, entry.own);
        (entry.bytes, entry.own) = (bytes, own);
        self.all = self.all.saturating_sub(own_before).saturating_add(own);
        if let Some(account) = owner.connection.and_then(|connection| self.connections.get_mut(&connection)) {
            account.bytes = account.bytes.saturating_sub(bytes_before).saturating_add(bytes);
        }
        let (holder, weight_before, weight) = match owner.caller {
            Some(caller) => {
                let Some(account) = self.callers.get_mut(&caller) else { return };
                account.bytes = account.bytes.saturating_sub(bytes_before).saturating_add(bytes);
                let before = account.own;
                account.own = before.saturating_sub(own_before).saturating_add(own);
                (Holder::Caller(caller), before, account.own)
            }
            None => (Holder::Alone(id), own_before, own),
        };
        self.weigh(holder, weight_before, weight);
    }

    /// It has these bytes in common with all who have them.
    pub(super) fn join(&mut self, id: u64, place: Place, least: usize) {
        let common = self.shared.entry(place).or_default();
        common.readers.insert(id);
        let is_first = common.readers.first() == Some(&id);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.place = Some(place);
        }
        self.count(id, place.1.max(least), least + if is_first { place.1 } else { 0 });
    }

    /// What it had in common counts for the next one who has it.
    pub(super) fn part(&mut self, id: u64) {
        let Some(place) = self.entries.get_mut(&id).and_then(|entry| entry.place.take()) else { return };
        let Some(common) = self.shared.get_mut(&place) else { return };
        let was_first = common.readers.first() == Some(&id);
        common.readers.remove(&id);
        match common.readers.first() {
            None => drop(self.shared.remove(&place)),
            Some(&next) if was_first => {
                if let Some((bytes, own)) = self.entries.get(&next).map(|entry| (entry.bytes, entry.own)) {
                    self.count(next, bytes, own + place.1);
                }
            }
            Some(_) => {}
        }
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
        if self.entries.get(&id)?.place.is_some() {
            self.part(id);
        }
        let entry = self.entries.remove(&id)?;
        let mark = (entry.known, id);
        self.all = self.all.saturating_sub(entry.own);
        self.order.remove(&mark);
        if let Some(connection) = entry.owner.connection {
            leave(&mut self.connections, connection, &entry, mark);
        }
        let (holder, before, after) = match entry.owner.caller {
            Some(caller) => {
                let (before, after) = leave(&mut self.callers, caller, &entry, mark);
                (Holder::Caller(caller), before, after)
            }
            None => (Holder::Alone(id), entry.own, 0),
        };
        self.weigh(holder, before, after);
        Some(entry)
    }

    /// Whether there is any entry but this one.
    pub(super) fn has_others(&self, id: u64) -> bool {
        self.entries.len() > usize::from(self.entries.contains_key(&id))
    }

    /// Which entries give way so that `owner` stays within its shares with so many bytes more; `but` stays. Nothing is changed: the
    /// decision may be that the new one is refused, and then nobody is to have given way for it.
    pub(super) fn within_shares(
        &mut self,
        owner: Owner,
        but: u64,
        more: usize,
        shares: Shares,
        now: u64,
    ) -> Result<BTreeSet<u64>, Over> {
        let mine = self.entries.get(&but).map_or(0, |entry| entry.bytes);
        // One alone is bounded by what a body or an answer may be.
        let excess = |used: usize, share: usize| {
            if used > mine { used.saturating_add(more).saturating_sub(share) } else { 0 }
        };
        let mut victims = BTreeSet::new();
        if let Some(connection) = owner.connection {
            let used = self.connections.get(&connection).map_or(0, |account| account.bytes);
            let needed = excess(used, shares.per_connection);
            self.choose(&mut victims, Of::Connection(connection), but, needed, now).ok_or(Over::Connection)?;
        }
        if let Some(caller) = owner.caller {
            let used = self.callers.get(&caller).map_or(0, |account| account.bytes);
            let theirs = victims.iter().filter_map(|id| self.entries.get(id));
            let freed: usize = theirs.filter(|entry| entry.owner.caller == owner.caller).map(|entry| entry.bytes).sum();
            let needed = excess(used, shares.per_ip).saturating_sub(freed);
            self.choose(&mut victims, Of::Caller(caller), but, needed, now).ok_or(Over::Caller)?;
        }
        Ok(victims)
    }

    /// What stands still, the longest first, until so many bytes would be free; `None`: there is not so much of it.
    fn choose(&mut self, victims: &mut BTreeSet<u64>, of: Of, but: u64, needed: usize, now: u64) -> Option<()> {
        let (mut freed, mut after) = (0, None);
        while freed < needed {
            let mark = self.still(of, after, but, now)?;
            after = Some(mark);
            if victims.insert(mark.1) {
                freed += self.entries.get(&mark.1).map_or(0, |entry| entry.bytes);
            }
        }
        Some(())
    }

    /// What has stood still for longest of all.
    pub(super) fn stillest(&mut self, but: u64, now: u64) -> Option<u64> {
        self.still(Of::All, None, but, now).map(|(_, id)| id)
    }

    fn still(&mut self, of: Of, mut after: Option<Mark>, but: u64, now: u64) -> Option<Mark> {
        loop {
            let next = match of {
                Of::All => self.order.range((after.map_or(Unbounded, Excluded), Unbounded)).next().copied(),
                Of::Caller(caller) => self.callers.get(&caller)?.order.next(after),
                Of::Connection(connection) => self.connections.get(&connection)?.order.next(after),
            };
            let mark @ (known, id) = next?;
            if u128::from(now.saturating_sub(known)) < STILL.as_millis() {
                return None;
            }
            let moved = self.entries.get(&id)?.moved.load(Relaxed);
            if moved != known {
                self.place_anew(id, moved);
            } else if id == but {
                after = Some(mark);
            } else {
                return Some(mark);
            }
        }
    }

    /// Where it stands in the orders by time.
    pub(super) fn place_anew(&mut self, id: u64, moved: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (owner, before) = (entry.owner, std::mem::replace(&mut entry.known, moved));
        self.order.remove(&(before, id));
        self.order.insert((moved, id));
        let of_caller = owner.caller.and_then(|caller| self.callers.get_mut(&caller));
        let of_connection = owner.connection.and_then(|connection| self.connections.get_mut(&connection));
        for account in [of_caller, of_connection].into_iter().flatten() {
            account.order.remove(&(before, id));
            account.order.insert((moved, id));
        }
    }

    /// Something of the one for whom most is held. What is being worked on is ended only for somebody for whom less is held: anything
    /// else would take from one to give to another. `None`: nothing may be ended.
    pub(super) fn heaviest(&self, but: u64, owner: Owner, more: usize) -> Option<u64> {
        let of_owner = owner.caller.and_then(|caller| self.callers.get(&caller)).map_or(0, |account| account.own);
        let works = |id: &u64| self.entries.get(id).is_none_or(|entry| entry.moved.load(Relaxed) == WORKS);
        let others = |(_, id): Mark| Some(id).filter(|id| *id != but);
        let of_holder = |holder| match holder {
            Holder::Alone(id) => Some(id).filter(|id| *id != but),
            Holder::Caller(caller) => self.callers.get(&caller)?.order.iter().find_map(others),
        };
        let (weight, id) =
            self.weights.iter().rev().find_map(|&(weight, holder)| Some((weight, of_holder(holder)?)))?;
        if !works(&id) || weight > of_owner.saturating_add(more) {
            return Some(id);
        }
        self.order.iter().copied().find_map(others).filter(|id| !works(id))
    }
}

impl Account {
    fn enter(&mut self, entry: &Entry, mark: Mark) {
        self.bytes = self.bytes.saturating_add(entry.bytes);
        self.own = self.own.saturating_add(entry.own);
        self.order.insert(mark);
    }
}

/// Takes an entry out of its owner's account, and the account away with its last one. What the account had of all before and has now.
fn leave<K: Hash + Eq, S: BuildHasher>(
    accounts: &mut HashMap<K, Account, S>,
    key: K,
    entry: &Entry,
    mark: Mark,
) -> (usize, usize) {
    let Some(account) = accounts.get_mut(&key) else { return (0, 0) };
    let before = account.own;
    account.order.remove(&mark);
    account.bytes = account.bytes.saturating_sub(entry.bytes);
    account.own = account.own.saturating_sub(entry.own);
    let after = account.own;
    if account.order.is_empty() {
        accounts.remove(&key);
    }
    (before, after)
}

#[cfg(test)]
impl Books {
    /// All that can be said in two ways is the same in both.
    pub(super) fn audit(&self) {
        let sum = |of: &dyn Fn(&Entry) -> bool| {
            let found = self.entries.values().filter(|entry| of(entry));
            found.fold((0, 0, 0), |(count, bytes, own), entry| (count + 1, bytes + entry.bytes, own + entry.own))
        };
        assert_eq!((self.order.len(), self.all), (self.entries.len(), sum(&|_| true).2));
        for (caller, account) in &self.callers {
            assert_eq!((account.order.len(), account.bytes, account.own), sum(&|e| e.owner.caller == Some(*caller)));
        }
        for (connection, account) in &self.connections {
            let (count, bytes, _) = sum(&|e| e.owner.connection == Some(*connection));
            assert_eq!((account.order.len(), account.bytes), (count, bytes));
        }
        assert_eq!(self.weights.iter().map(|(weight, _)| weight).sum::<usize>(), self.all);
        let common: usize = self.shared.keys().map(|place| place.1).sum();
        let readers: usize = self.shared.values().map(|common| common.readers.len()).sum();
        assert_eq!(self.entries.values().filter(|entry| entry.place.is_some()).count(), readers);
        let alone: usize = self.entries.values().map(|e| if e.place.is_some() { super::LEAST } else { e.own }).sum();
        assert_eq!(self.all, common + alone);
        assert!(self.entries.iter().all(|(id, entry)| self.order.contains(&(entry.known, *id))));
    }
}
