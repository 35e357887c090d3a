//! The tiers that replies are cached in: the host's own, and one that hosts share, where one is configured; and what is invalidated in both.

mod entry;

use super::{
    cache::{Ended, EntityCache},
    call::{Key, Outcome},
    config::{CacheConfig, Config},
    flight::Flight,
};
use crate::{
    model::{Code, Digest, Failure},
    observe::Origin,
    store::{Invalidation, Note, Put, Shared, Wanted},
    telemetry::{Metrics, TierLabels},
};
use bytes::Bytes;
use entry::Entry;
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

#[derive(Debug)]
pub(super) struct Tiers {
    /// The host's own.
    pub(super) own: Arc<EntityCache>,
    shared: Option<Arc<Shared>>,
    /// What has taken their place.
    successor: OnceLock<Arc<Self>>,
}

/// The name of a key in the shared tier: nothing of it can be read back, and other plans have other names.
fn name(flight: &Flight) -> String {
    let Key { scope, request, .. } = &flight.key;
    let mut parts = flight.plan.shape.bytes().to_vec();
    scope.write(&mut parts);
    parts.extend_from_slice(request);
    Digest::of(&parts).hex()
}

impl Tiers {
    /// `own` is that of the engine before.
    pub(super) fn new(config: &Config, own: Option<Arc<EntityCache>>) -> Result<Arc<Self>, String> {
        let own = own.unwrap_or_else(|| Arc::new(EntityCache::new(config.cache_bytes.0, config.cache_entries)));
        let connect = |error| format!("[cache] shared: {error}");
        let shared = match &config.shared {
            Some(tier) => Some(Shared::new(&tier.url, &tier.namespace, tier.timeout).map_err(connect)?),
            None => None,
        };
        Ok(Arc::new(Self { own, shared, successor: OnceLock::new() }))
    }

    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// The newest line to where these keep their keys: once others have taken their place, nobody looks after their own.
    pub(super) fn newest_shared(&self) -> Option<&Arc<Shared>> {
        let own = self.shared.as_ref()?;
        let (mut newest, mut tiers) = (own, self);
        while let Some(next) = tiers.successor.get() {
            newest = next.shared.as_ref().filter(|shared| shared.is_at_one_place_with(own)).unwrap_or(newest);
            tiers = next;
        }
        Some(newest)
    }

    fn shared_if_up(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref().filter(|shared| shared.is_up())
    }

    /// Whether the shared tier is there; `None` where none is configured.
    pub(super) fn shared_is_up(&self) -> Option<bool> {
        self.shared.as_ref().map(|shared| shared.is_up())
    }

    pub(super) fn observe(&self, metrics: &Metrics) {
        let (entries, bytes) = self.own.size();
        metrics.cache_entries.set(entries.try_into().unwrap_or(i64::MAX));
        metrics.cache_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
        if let Some(is_up) = self.shared_is_up() {
            let labels = TierLabels { tier: "shared".to_owned() };
            metrics.cache_up.get_or_create(&labels).set(is_up.into());
        }
    }

    /// Those flights that the shared tier has a fresh reply for, with that; and the others.
    pub(super) async fn find_shared(
        &self,
        flights: Vec<Arc<Flight>>,
    ) -> (Vec<(Arc<Flight>, Outcome)>, Vec<Arc<Flight>>) {
        let mut taken = Vec::new();
        let Some(shared) = self.shared_if_up() else { return (taken, flights) };
        if self.own.is_doubted() {
            return (taken, flights);
        }
        let is_pending = |flight: &Arc<Flight>| shared.is_pending(&flight.tags());
        let (mut left, asked): (Vec<_>, Vec<_>) = flights.into_iter().partition(is_pending);
        if asked.is_empty() {
            return (taken, left);
        }
        let wanted = |flight: &Arc<Flight>| {
            let lifetime = flight.plan.cache.map_or(Duration::ZERO, |rule| rule.ttl.max(rule.negative_ttl));
            Wanted { key: name(flight), tags: flight.tags(), lifetime }
        };
        let found = shared.get(&asked.iter().map(wanted).collect::<Vec<_>>()).await;
        for (flight, found) in asked.into_iter().zip(found) {
            let value = found.and_then(|found| {
                let _ = flight.marks.set(found.marks);
                found.value
            });
            let entry = value.as_ref().and_then(Entry::read).zip(flight.plan.cache);
            match entry.and_then(|(entry, rule)| self.take_over(&flight, entry, rule)) {
                Some(outcome) => taken.push((flight, outcome)),
                None => left.push(flight),
            }
        }
        (taken, left)
    }

    /// Keeps an entry of the shared tier here as well, if that is still fresh.
    fn take_over(&self, flight: &Flight, entry: Entry, rule: CacheConfig) -> Option<Outcome> {
        let age = SystemTime::now().duration_since(entry.stored_at).unwrap_or_default();
        let left = entry.fresh_for.saturating_sub(age);
        if left.is_zero() {
            return None;
        }
        let result =
            entry.reply.ok_or_else(|| Failure::new(Code::NotFound, format!("{}: no such item", flight.plan.name)));
        let result = result.map_err(Arc::new);
        // Fresh here for no longer than it is there.
        let rule = CacheConfig { ttl: left.min(rule.ttl), negative_ttl: left.min(rule.negative_ttl), ..rule };
        self.keep(flight, &result, rule);
        Some(Outcome::cached(result, Origin::Cache, age))
    }

    /// Puts what was loaded into the shared tier, beside the request.
    pub(super) fn put_shared(&self, flight: &Flight, result: &Result<Bytes, Failure>) {
        let (Some(shared), Some(rule)) = (self.shared_if_up(), flight.plan.cache) else { return };
        // Who has not seen the marks can't tell what was invalidated since.
        let Some(marks) = flight.marks.get().cloned() else { return };
        let (reply, fresh_for) = match result {
            Ok(bytes) => (Some(bytes.clone()), rule.ttl),
            Err(failure) if failure.code == Code::NotFound => (None, rule.negative_ttl),
            Err(_) => return,
        };
        let tags = flight.tags();
        let is_true = self.own.generations.is_true(flight.generation, tags.iter().map(String::as_str));
        if fresh_for.is_zero() || !is_true {
            return;
        }
        let stored_at = SystemTime::now();
        let until_expiry =
            flight.expires_at.map_or(Duration::MAX, |end| end.duration_since(stored_at).unwrap_or_default());
        let fresh_for = fresh_for.min(until_expiry);
        let value = Entry { reply, stored_at, fresh_for }.write();
        let put = Put { key: name(flight), value, lifetime: fresh_for, tags, marks };
        let shared = shared.clone();
        tokio::spawn(async move { shared.put(&put).await });
    }

    /// Keeps what a flight has brought in the host's own tier.
    pub(super) fn keep(&self, flight: &Flight, result: &Result<Bytes, Arc<Failure>>, rule: CacheConfig) {
        if self.shared_if_up().is_some() {
            self.own.name(name(flight), &flight.key, rule.ttl.saturating_add(rule.retention()));
        }
        self.own.keep(Ended {
            key: &flight.key,
            result,
            rule,
            tags: flight.tags(),
            generation: flight.generation,
            cost: flight.started.elapsed(),
            expires_at: flight.expires_at,
        });
    }

    /// Cached replies are true no more, here and on all hosts that share a tier with this one, which are told as soon as can be.
    /// Gives back what [`Shared::removed`] waits for.
    pub(super) fn invalidate(&self, what: &Invalidation) -> Option<u64> {
        self.forget(what, true)
    }

    /// As [`Tiers::invalidate`]; when it returns the others have been told, unless the shared tier is away or slow.
    pub(super) async fn invalidate_everywhere(&self, what: &Invalidation) {
        if let (Some(number), Some(shared)) = (self.invalidate(what), &self.shared) {
            shared.removed(number).await;
        }
    }

    /// In the shared tier it is pending before it is done in the host's own: a load that begins in between finds the old reply in
    /// neither. All is passed on to what has taken this one's place.
    fn forget(&self, what: &Invalidation, tell: bool) -> Option<u64> {
        let number = self.shared.as_ref().map(|shared| shared.invalidate(what, tell));
        match what {
            Invalidation::Tags(tags) => tags.iter().for_each(|tag| self.own.generations.invalidate(tag)),
            Invalidation::All => self.own.generations.invalidate_all(),
        }
        if let Some(next) = self.successor.get() {
            next.forget(what, tell);
        }
        number
    }

    /// What another host did. An entry that changed there is looked up here by its name.
    fn heard(&self, note: Note) {
        match note {
            Note::Unknown => self.own.generations.invalidate_all(),
            // Everybody removes what they hear of: whoever has stored it, it goes after it was stored.
            Note::Invalidated(what) => drop(self.forget(&what, false)),
            Note::Changed(name) => self.own.forget_named(&name),
        }
    }

    /// Keeps the connection to the shared tier until the future is dropped; without one, does nothing.
    pub(super) async fn watch(self: Arc<Self>) {
        let Some(shared) = self.shared.clone() else { return };
        let tiers = self.clone();
        shared.run(move |note| tiers.heard(note)).await;
    }

    /// Until everything that is true no more was removed from the shared tier, and the other hosts were told.
    pub(super) async fn told(&self) {
        if let Some(shared) = &self.shared {
            shared.settled().await;
        }
    }

    /// From now on `next` hears of all that is true no more here, and goes on with what has not come through yet.
    pub(super) fn hand_over(&self, next: &Arc<Self>) {
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

    /// Whether others go on with what these have not told yet.
    pub(super) fn has_successor(&self) -> bool {
        self.successor.get().is_some()
    }
}
