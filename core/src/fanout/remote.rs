//! The entity cache's second tier: how entries are written there, and what notes of other hosts do here.

use super::{
    call::{Key, Origin, Outcome},
    config::{CacheConfig, Tier},
    engine::{Engine, Loaded},
    flight::Flight,
    inbox::Post,
};
use crate::{
    artifact::Digest,
    model::{Code, Failure},
    store::{Invalidation, Note, Put, Shared, Wanted},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// First byte of an entry: the version of its form.
const VERSION: u8 = 2;
/// Version, kind, and two times.
const HEADER: usize = 18;

/// An entry of the second tier.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// NOT_FOUND is `None`.
    reply: Option<Bytes>,
    stored_at: SystemTime,
    fresh_for: Duration,
}

impl Entry {
    fn write(&self) -> Bytes {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let reply = self.reply.as_deref().unwrap_or_default();
        let mut out = BytesMut::with_capacity(HEADER + reply.len());
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.reply.is_some()));
        out.put_u64(millis(self.stored_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()));
        out.put_u64(millis(self.fresh_for));
        out.extend_from_slice(reply);
        out.freeze()
    }

    /// `None` for what another version has written, or anybody else.
    fn read(bytes: &Bytes) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let [VERSION, kind @ (0 | 1), times @ ..] = header else { return None };
        let (stored, fresh) = times.split_first_chunk::<8>()?;
        let stored_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_be_bytes(*stored)))?;
        let fresh_for = Duration::from_millis(u64::from_be_bytes(fresh.try_into().ok()?));
        Some(Self { reply: (*kind == 1).then(|| bytes.slice(HEADER..)), stored_at, fresh_for })
    }
}

/// The name of a key in the second tier: nothing of it can be read back, and other plans have other names.
fn name(flight: &Flight) -> String {
    let Key { scope, request, .. } = &flight.key;
    let mut parts = flight.plan.shape.bytes().to_vec();
    scope.write(&mut parts);
    parts.extend_from_slice(request);
    Digest::of(&parts).hex()
}

impl Engine {
    /// Ends those flights that the second tier has a fresh reply for; gives back the others.
    pub(super) async fn take_shared(&self, flights: Vec<Arc<Flight>>) -> Vec<Arc<Flight>> {
        let Some(shared) = self.shared.as_ref().filter(|shared| shared.is_up()) else { return flights };
        let is_pending = |flight: &Arc<Flight>| shared.is_pending(&flight.plan.tags.of(&flight.key.request));
        let (mut left, asked): (Vec<_>, Vec<_>) = flights.into_iter().partition(is_pending);
        if asked.is_empty() {
            return left;
        }
        let wanted = |flight: &Arc<Flight>| {
            let lifetime = flight.plan.cache.map_or(Duration::ZERO, |rule| rule.ttl.max(rule.negative_ttl));
            Wanted { key: name(flight), tags: flight.plan.tags.of(&flight.key.request), lifetime }
        };
        let found = shared.get(&asked.iter().map(wanted).collect::<Vec<_>>()).await;
        for (flight, found) in asked.into_iter().zip(found) {
            let value = found.and_then(|found| {
                let _ = flight.marks.set(found.marks);
                found.value
            });
            let taken = match (value.as_ref().and_then(Entry::read), flight.plan.cache) {
                (Some(entry), Some(rule)) => self.take_over(&flight, entry, rule),
                _ => false,
            };
            if !taken {
                left.push(flight);
            }
        }
        left
    }

    /// Ends the flight with an entry of the second tier, if that is still fresh.
    fn take_over(&self, flight: &Arc<Flight>, entry: Entry, rule: CacheConfig) -> bool {
        let age = SystemTime::now().duration_since(entry.stored_at).unwrap_or_default();
        let left = entry.fresh_for.saturating_sub(age);
        if left.is_zero() {
            return false;
        }
        let result =
            entry.reply.ok_or_else(|| Failure::new(Code::NotFound, format!("{}: no such item", flight.plan.name)));
        let result = result.map_err(Arc::new);
        // Fresh here for no longer than it is there.
        let rule = CacheConfig { ttl: left.min(rule.ttl), negative_ttl: left.min(rule.negative_ttl), ..rule };
        self.keep(flight, &result, rule);
        let outcome = Outcome::cached(result, Origin::Cache, age);
        self.flights.end(flight, &outcome, &mut Post::default());
        true
    }

    /// Puts what was loaded into the second tier, beside the request.
    pub(super) fn to_shared(&self, flight: &Arc<Flight>, loaded: &Loaded) {
        let (Some(shared), Some(rule)) = (self.shared.clone(), flight.plan.cache) else { return };
        // Who has not seen the marks can't tell what was invalidated since.
        let Some(marks) = flight.marks.get().cloned() else { return };
        let (reply, fresh_for) = match &loaded.result {
            Ok(bytes) => (Some(bytes.clone()), rule.ttl),
            Err(failure) if failure.code == Code::NotFound => (None, rule.negative_ttl),
            Err(_) => return,
        };
        let tags = flight.plan.tags.of(&flight.key.request);
        if fresh_for.is_zero() || !shared.is_up() || !self.is_true(flight, &tags) {
            return;
        }
        let stored_at = SystemTime::now();
        let until_expiry =
            flight.expires_at.map_or(Duration::MAX, |end| end.duration_since(stored_at).unwrap_or_default());
        let fresh_for = fresh_for.min(until_expiry);
        let value = Entry { reply, stored_at, fresh_for }.write();
        let put = Put { key: name(flight), value, lifetime: fresh_for, tags, marks };
        tokio::spawn(async move { shared.put(&put).await });
    }

    fn is_true(&self, flight: &Flight, tags: &[String]) -> bool {
        self.cache.generations.is_true(flight.generation, tags.iter().map(String::as_str))
    }

    /// What another host did. An entry that changed there is looked up here by its name.
    pub(super) fn heard(&self, note: Note) {
        match note {
            Note::Unknown => self.cache.generations.invalidate_all(),
            // Everybody removes what they hear of: whoever has stored it, it goes after it was stored.
            Note::Invalidated(what) => drop(self.forget(&what, false)),
            Note::Changed(name) => self.cache.forget_named(&name),
        }
    }

    /// Keeps the connection to the second tier until the future is dropped; without one, does nothing.
    pub async fn watch_shared(self: Arc<Self>) {
        let Some(shared) = self.shared.clone() else { return };
        let engine = self.clone();
        shared.run(move |note| engine.heard(note)).await;
    }

    /// Until everything that is true no more was removed from the second tier, and the other hosts were told.
    pub async fn told(&self) {
        if let Some(shared) = &self.shared {
            shared.settled().await;
        }
    }

    /// From now on `next` hears of all that is true no more here, and goes on with what has not come through yet.
    pub fn hand_over(&self, next: &Arc<Self>) {
        if std::ptr::eq(self, Arc::as_ptr(next)) || self.successor.set(next.clone()).is_err() {
            return;
        }
        if let Some((what, tell)) = self.shared.as_ref().and_then(|shared| shared.pending()) {
            next.forget(&what, false);
            if let Some(tell) = tell {
                next.forget(&tell, true);
            }
        }
    }

    /// Whether another one goes on with what this one has not told yet.
    pub fn has_successor(&self) -> bool {
        self.successor.get().is_some()
    }

    /// All that is true no more is passed on to the engines after this one.
    pub(super) fn pass_on(&self, what: &Invalidation, tell: bool) {
        if let Some(next) = self.successor.get() {
            next.forget(what, tell);
        }
    }

    /// Remembers under which name an entry stands in the second tier.
    pub(super) fn shared_name(&self, flight: &Flight) -> Option<String> {
        self.shared.as_ref().filter(|shared| shared.is_up()).map(|_| name(flight))
    }
}

/// Makes the connection that `[cache] shared` names.
pub(super) fn connect(tier: &Tier) -> Result<Arc<Shared>, String> {
    Shared::new(&tier.url, &tier.namespace, tier.timeout).map_err(|error| format!("[cache] shared: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back_as_they_were_written(reply in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100)), stored in 0..1u64 << 40, fresh in 0..1u64 << 40) {
            let entry = Entry {
                reply: reply.map(Bytes::from),
                stored_at: SystemTime::UNIX_EPOCH + Duration::from_millis(stored),
                fresh_for: Duration::from_millis(fresh),
            };
            prop_assert_eq!(Entry::read(&entry.write()), Some(entry));
        }

        #[test]
        fn anything_else_is_nobodys(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Entry::read(&Bytes::from(bytes));
        }
    }
}
