//! Bytes that the host holds for clients: requests until they are answered, answers until they are taken. How many, for whom, and who
//! gives way when there is no more room.
//!
//! A caller and a connection have their shares, and when one is used up it is this one's own affair: what has stood still gives way to
//! what is new, and else the new is refused. When all together have used up everything, nobody who is within their share is refused for
//! somebody who stands still or doesn't get on: what has stood still for longest gives way, and where nothing stands still, what is held
//! for the caller for whom most is held. So a client who reads, or sends, keeps what it has for as long as there is one who doesn't.
//! What the host itself works on stands for nobody's slowness: it gives way only where more is held for its caller than for who is new,
//! and where all there is has that excuse, who is new is told to come again.
//!
//! Bytes that several answers have in common, because a response is kept, count once in all, and for each of those who read them in the
//! shares: a share bounds what one can make the host keep, also after all others have gone.

mod books;
mod order;

use super::config::Shares;
use crate::{
    net::Subnet,
    sync::lock,
    telemetry::{CutLabels, Metrics},
};
use books::Books;
use bytes::Bytes;
use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// What a request takes beside its bytes, more or less.
const LEAST: usize = 16 << 10;
/// Whoever has not moved for so long stands still.
const STILL: Duration = Duration::from_secs(1);
/// Instead of a time: nothing of the client is awaited.
const WORKS: u64 = u64::MAX;

/// For whom bytes are held. A listed gateway is nobody: what is behind its connections counts for the callers that it names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) caller: Option<Subnet>,
    pub(super) connection: Option<u64>,
}

/// Whose share is used up, or that everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Caller,
    Connection,
    All,
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

#[derive(Debug)]
struct Entry {
    owner: Owner,
    /// As its owner's shares count it, and as all together do.
    bytes: usize,
    own: usize,
    place: Option<books::Place>,
    /// Milliseconds since `began`, and what of them the books know.
    moved: Arc<AtomicU64>,
    known: u64,
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
    _holding: Arc<Holding>,
    bytes: Bytes,
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
        lock(&self.books)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(WORKS - 1)
    }

    /// Takes room for so many bytes. Whoever else has to give way for it is told by its `end`, and counts no more.
    pub(super) fn hold(self: &Arc<Self>, owner: Owner, bytes: usize, end: Arc<Notify>) -> Result<Holding, Over> {
        self.take(owner, bytes, end, self.now())
    }

    /// As [`Held::hold`], for what the host itself works on: nothing of the client is awaited yet.
    pub(super) fn work(self: &Arc<Self>, owner: Owner, bytes: usize, end: Arc<Notify>) -> Result<Holding, Over> {
        self.take(owner, bytes, end, WORKS)
    }

    fn take(self: &Arc<Self>, owner: Owner, bytes: usize, end: Arc<Notify>, moved: u64) -> Result<Holding, Over> {
        let bytes = bytes.max(LEAST);
        let mut books = self.books();
        self.make_room(&mut books, 0, owner, bytes, bytes)?;
        Ok(self.enter(&mut books, owner, bytes, end, moved))
    }

    /// As [`Held::hold`], for these bytes, which others may hold as well.
    pub(super) fn hold_bytes(self: &Arc<Self>, owner: Owner, bytes: &Bytes, end: Arc<Notify>) -> Result<Holding, Over> {
        if bytes.is_unique() {
            return self.hold(owner, bytes.len(), end);
        }
        let place = books::place(bytes);
        let mut books = self.books();
        let own = LEAST + if books.shared.contains_key(&place) { 0 } else { bytes.len() };
        self.make_room(&mut books, 0, owner, bytes.len().max(LEAST), own)?;
        let holding = self.enter(&mut books, owner, 0, end, self.now());
        books.join(holding.id, place, LEAST);
        Ok(holding)
    }

    /// Whether there is room in the owner's shares for anything more at all, or would be if what stands still gave way.
    pub(super) fn has_room(&self, owner: Owner) -> Result<(), Over> {
        let now = self.now();
        self.books().within_shares(owner, 0, LEAST, self.shares, now).map(drop)
    }

    fn enter(self: &Arc<Self>, books: &mut Books, owner: Owner, bytes: usize, end: Arc<Notify>, known: u64) -> Holding {
        let moved = Arc::new(AtomicU64::new(known));
        let entry = Entry { owner, bytes, own: bytes, place: None, moved: moved.clone(), known, end };
        Holding { held: self.clone(), id: books.enter(entry), owner, moved }
    }

    /// Room for so many bytes more of the owner's shares, and of all. Nobody gives way for what is then refused.
    fn make_room(&self, books: &mut Books, id: u64, owner: Owner, more: usize, own: usize) -> Result<(), Over> {
        let now = self.now();
        for victim in books.within_shares(owner, id, more, self.shares, now)? {
            self.end(books, victim);
        }
        while books.all.saturating_add(own) > self.shares.all {
            let victim = books.stillest(id, now).or_else(|| books.heaviest(id, owner, own));
            match victim {
                Some(victim) => self.end(books, victim),
                // One alone is bounded by what a body or an answer may be.
                None if books.has_others(id) => return Err(Over::All),
                None => break,
            }
        }
        Ok(())
    }

    fn end(&self, books: &mut Books, id: u64) {
        if let Some(entry) = books.remove(id) {
            entry.end.notify_one();
            self.metrics.requests_cut.get_or_create(&CutLabels { reason: self.what.to_owned() }).inc();
        }
    }
}

impl Holding {
    /// It makes progress.
    pub(super) fn moved(&self) {
        self.moved.store(self.held.now(), Relaxed);
    }

    /// From here on it is the client who has to get on.
    pub(super) fn awaits(&self) {
        self.stands(self.held.now());
    }

    /// From here on nothing of the client is awaited.
    pub(super) fn works(&self) {
        self.stands(WORKS);
    }

    fn stands(&self, moved: u64) {
        self.moved.store(moved, Relaxed);
        self.held.books().place_anew(self.id, moved);
    }

    /// It is so many bytes by now.
    pub(super) fn is(&self, bytes: usize) -> Result<(), Over> {
        let bytes = bytes.max(LEAST);
        let mut books = self.held.books();
        let before = books.entries.get(&self.id).map_or(bytes, |entry| entry.bytes);
        if bytes > before {
            let more = bytes - before;
            self.held.make_room(&mut books, self.id, self.owner, more, more)?;
        }
        books.part(self.id);
        books.count(self.id, bytes, bytes);
        Ok(())
    }

    /// It has become other bytes, which nobody else has.
    pub(super) fn becomes(&self, bytes: usize) {
        let bytes = bytes.max(LEAST);
        let mut books = self.held.books();
        books.part(self.id);
        books.count(self.id, bytes, bytes);
    }

    /// These bytes are what is held, until the last of them is gone.
    pub(super) fn count(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { _holding: self.clone(), bytes })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        drop(self.held.books().remove(self.id));
    }
}

#[cfg(test)]
mod tests;
