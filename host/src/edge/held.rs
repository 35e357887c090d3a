//! Bytes that the host holds for clients: request bodies until they are whole, answers until they are taken. How many, for whom, and who
//! gives way when there is no more room.
//!
//! A caller and a connection have their shares, and when one is used up it is this one's own affair: what has stood still gives way to
//! what is new, and else the new is refused. When all together have used up everything, nobody who is within their share is refused: what
//! has stood still for longest gives way, and where nothing stands still, what is held for the caller for whom most is held. So a client
//! who reads, or sends, keeps what it has for as long as there is one who doesn't.

use crate::{
    config::http::Shares,
    net::Subnet,
    telemetry::{CutLabels, Metrics},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// What a request takes beside its bytes, more or less.
const LEAST: usize = 16 << 10;
/// Whoever has not moved for so long stands still.
const STILL: Duration = Duration::from_secs(1);

/// For whom bytes are held. A listed gateway is nobody: what is behind its connections counts for the callers that it names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) caller: Option<Subnet>,
    pub(super) connection: Option<u64>,
}

/// Whose share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Caller,
    Connection,
}

/// Everything that is held of one kind.
#[derive(Debug)]
pub(super) struct Held {
    what: &'static str,
    shares: Shares,
    began: Instant,
    metrics: Metrics,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    last: u64,
    all: usize,
    callers: HashMap<Subnet, usize>,
    connections: HashMap<u64, usize>,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    owner: Owner,
    bytes: usize,
    /// Milliseconds since `began`.
    moved: Arc<AtomicU64>,
    end: Arc<Notify>,
}

/// Bytes that are held; not any more when it is dropped.
#[derive(Debug)]
pub(super) struct Holding {
    held: Arc<Held>,
    id: u64,
    owner: Owner,
    moved: Arc<AtomicU64>,
}

/// Bytes that count for as long as one of them is anywhere.
struct Counted {
    bytes: Bytes,
    _holding: Arc<Holding>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Held {
    pub(super) fn new(what: &'static str, shares: Shares, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self { what, shares, began: Instant::now(), metrics: metrics.clone(), books: Mutex::default() })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes room for so many bytes. Whoever else has to give way for it is told by its `end`, and counts no more.
    pub(super) fn hold(self: &Arc<Self>, owner: Owner, bytes: usize, end: Arc<Notify>) -> Result<Holding, Over> {
        let bytes = bytes.max(LEAST);
        let now = self.now();
        let mut books = self.books();
        books.last += 1;
        let id = books.last;
        self.make_room(&mut books, id, owner, bytes, now)?;
        let moved = Arc::new(AtomicU64::new(now));
        books.entries.insert(id, Entry { owner, bytes: 0, moved: moved.clone(), end });
        books.resize(id, bytes);
        drop(books);
        Ok(Holding { held: self.clone(), id, owner, moved })
    }

    fn make_room(&self, books: &mut Books, id: u64, owner: Owner, more: usize, now: u64) -> Result<(), Over> {
        let Shares { all, per_ip, per_connection } = self.shares;
        let of_connection =
            |books: &Books| owner.connection.and_then(|connection| books.connections.get(&connection)).copied();
        let of_caller = |books: &Books| owner.caller.and_then(|caller| books.callers.get(&caller)).copied();
        let mine = books.entries.get(&id).map_or(0, |entry| entry.bytes);
        let is_over = |used: Option<usize>, share: usize| {
            // One alone is bounded by what a body or an answer may be.
            used.is_some_and(|used| used > mine && used.saturating_add(more) > share)
        };
        if is_over(of_connection(books), per_connection) {
            self.end_still(books, id, now, |entry| entry.owner.connection == owner.connection, &|books: &Books| {
                !is_over(of_connection(books), per_connection)
            });
            if is_over(of_connection(books), per_connection) {
                return Err(Over::Connection);
            }
        }
        if is_over(of_caller(books), per_ip) {
            self.end_still(books, id, now, |entry| entry.owner.caller == owner.caller, &|books: &Books| {
                !is_over(of_caller(books), per_ip)
            });
            if is_over(of_caller(books), per_ip) {
                return Err(Over::Caller);
            }
        }
        if books.all.saturating_add(more) > all {
            // Somewhat more than is needed, so that not each of those who come next has to look for it.
            let enough = |books: &Books| books.all.saturating_add(more) <= all - all / 16;
            self.end_still(books, id, now, |_| true, &enough);
            while books.all.saturating_add(more) > all {
                let Some(largest) = books.largest(id) else { break };
                self.end(books, largest);
            }
        }
        Ok(())
    }

    /// Ends what stands still, the longest first, until there is enough.
    fn end_still(
        &self,
        books: &mut Books,
        but: u64,
        now: u64,
        which: impl Fn(&Entry) -> bool,
        enough: &dyn Fn(&Books) -> bool,
    ) {
        let of = |(id, entry): (&u64, &Entry)| (entry.moved.load(Relaxed), *id);
        let mut still: Vec<_> =
            books.entries.iter().filter(|(id, entry)| **id != but && which(entry)).map(of).collect();
        still.retain(|(moved, _)| u128::from(now.saturating_sub(*moved)) >= STILL.as_millis());
        still.sort_unstable();
        for (_, id) in still {
            if enough(books) {
                break;
            }
            self.end(books, id);
        }
    }

    fn end(&self, books: &mut Books, id: u64) {
        if let Some(entry) = books.remove(id) {
            entry.end.notify_one();
            self.metrics.requests_cut.get_or_create(&CutLabels { reason: self.what.to_owned() }).inc();
        }
    }
}

impl Books {
    /// Changes how many bytes of an entry count, if it still does.
    fn resize(&mut self, id: u64, bytes: usize) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (owner, before) = (entry.owner, std::mem::replace(&mut entry.bytes, bytes));
        self.all = self.all.saturating_sub(before).saturating_add(bytes);
        recount(&mut self.callers, owner.caller, before, bytes);
        recount(&mut self.connections, owner.connection, before, bytes);
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        self.resize(id, 0);
        self.entries.remove(&id)
    }

    /// What has moved least lately of the caller for whom most is held. Those of whom a gateway says nothing are callers each.
    fn largest(&self, but: u64) -> Option<u64> {
        let weight = |entry: &Entry| {
            let of_caller = entry.owner.caller.and_then(|caller| self.callers.get(&caller));
            of_caller.copied().unwrap_or(entry.bytes)
        };
        let others = self.entries.iter().filter(|(id, _)| **id != but);
        others.max_by_key(|(_, entry)| (weight(entry), std::cmp::Reverse(entry.moved.load(Relaxed)))).map(|(id, _)| *id)
    }
}

fn recount<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: Option<K>, before: usize, after: usize) {
    let Some(key) = key else { return };
    match counts.entry(key) {
        std::collections::hash_map::Entry::Occupied(mut found) => {
            let count = found.get().saturating_sub(before).saturating_add(after);
            if count == 0 {
                found.remove();
            } else {
                found.insert(count);
            }
        }
        std::collections::hash_map::Entry::Vacant(place) if after > 0 => drop(place.insert(after)),
        std::collections::hash_map::Entry::Vacant(_) => {}
    }
}

impl Holding {
    /// It makes progress.
    pub(super) fn moved(&self) {
        self.moved.store(self.held.now(), Relaxed);
    }

    /// It is so many bytes by now.
    pub(super) fn is(&self, bytes: usize) -> Result<(), Over> {
        let bytes = bytes.max(LEAST);
        let now = self.held.now();
        let mut books = self.held.books();
        let before = books.entries.get(&self.id).map_or(bytes, |entry| entry.bytes);
        if bytes > before {
            self.held.make_room(&mut books, self.id, self.owner, bytes - before, now)?;
        }
        books.resize(self.id, bytes);
        Ok(())
    }

    /// These bytes are what is held, until the last of them is gone.
    pub(super) fn count(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { bytes, _holding: self.clone() })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        drop(self.held.books().remove(self.id));
    }
}

#[cfg(test)]
mod tests;
