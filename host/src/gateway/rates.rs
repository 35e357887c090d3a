//! How often clients, endpoints and callers may ask, and how often an address may fail to prove who it is.
//!
//! A caller's own limits go before those that many share, and a request that is refused by one takes nothing of any: whoever asks too
//! often takes nothing away from others.

use super::{faults, parts::Parts};
use crate::{
    artifact::Digest,
    model::{Fault, ShareKey},
    net::Subnet,
    release::Endpoint,
    routing::Client,
    settings::Rate,
    store::Store,
};
use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Callers whose rates are remembered, and for how long after their last request.
const MOST_CALLERS: u64 = 100_000;
const REMEMBERED: Duration = Duration::from_mins(10);

/// Who is counted as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    Caller(ShareKey),
    /// Somebody without a name.
    At(Subnet),
}

/// Apart from one another, so that a crowd of callers makes nobody forget what all of them share; by digest, so that long names take no
/// more than short ones.
#[derive(Debug)]
pub struct Rates {
    shared: Store<Digest, Arc<Bucket>>,
    own: Store<Digest, Arc<Bucket>>,
    failures: Store<Subnet, Arc<Bucket>>,
}

/// When it will be full again, had nobody taken more (the generic cell rate algorithm).
#[derive(Debug)]
struct Bucket(Mutex<Instant>);

/// One turn, taken.
#[derive(Debug)]
#[must_use]
pub(super) struct Taken {
    bucket: Arc<Bucket>,
    rate: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self { shared: Store::new(MOST_CALLERS), own: Store::new(MOST_CALLERS), failures: Store::new(MOST_CALLERS) }
    }
}

impl Rates {
    /// Counts a request against all limits that are set for it. `who`: none where only a listed peer is known, which is no caller.
    pub(super) fn check(&self, client: &Client, endpoint: &Endpoint, who: Option<Payer>) -> Result<(), Fault> {
        let policy = &endpoint.policy;
        let (of_client, of_endpoint) = ([client.name.as_str(), ""], [client.name.as_str(), endpoint.name.as_str()]);
        let own = |rate: Option<Rate>, place, what: &'static str| {
            let (rate, who) = (rate?, who.as_ref()?);
            Some((bucket(&self.own, key(place, Some(who)), rate), rate, what))
        };
        let shared = |rate: Option<Rate>, place, what: &'static str| {
            rate.map(|rate| (bucket(&self.shared, key(place, None), rate), rate, what))
        };
        // The narrower before the wider.
        let limits = [
            own(policy.principal_rate, of_endpoint, "of one caller to this endpoint"),
            own(client.principal_rate, of_client, "of one caller"),
            shared(policy.rate, of_endpoint, "to this endpoint"),
            shared(client.rate, of_client, "of this client"),
        ];
        take_all(limits.into_iter().flatten())
    }

    /// A failure of whoever is at this address, to be given back if it is none. 429 where there were too many.
    pub(super) fn failure(&self, address: Option<Subnet>, rate: Rate) -> Result<Option<Taken>, Fault> {
        let Some(address) = address else { return Ok(None) };
        let bucket = bucket(&self.failures, address, rate);
        match bucket.take(rate) {
            Ok(taken) => Ok(Some(taken)),
            Err(wait) => Err(faults::too_many(rate, "with a credential that is not good", wait)),
        }
    }
}

/// `place`: a client, and one of its endpoints or none.
fn key(place: [&str; 2], who: Option<&Payer>) -> Digest {
    let mut parts = Parts::default();
    place.into_iter().for_each(|part| parts.add(part.as_bytes()));
    match who {
        None => parts.add(b"all"),
        Some(Payer::Caller(caller)) => {
            parts.add(b"caller");
            parts.with(|out| caller.write(out));
        }
        Some(Payer::At(subnet)) => {
            parts.add(b"at");
            parts.add(subnet.to_string().as_bytes());
        }
    }
    parts.digest()
}

fn bucket<K: Hash + Eq + Clone + Send + Sync + 'static>(
    store: &Store<K, Arc<Bucket>>,
    key: K,
    rate: Rate,
) -> Arc<Bucket> {
    let life = REMEMBERED.max(rate.period);
    let found = store.get(&key);
    let bucket = found.unwrap_or_else(|| store.get_or_insert(key.clone(), Arc::default(), 1, life).0);
    // Stored anew each time, so that it lives on after the last request of its caller.
    store.insert(key, bucket.clone(), 1, life);
    bucket
}

/// A turn of each, or of none.
fn take_all(limits: impl Iterator<Item = (Arc<Bucket>, Rate, &'static str)>) -> Result<(), Fault> {
    let mut all = Vec::new();
    for (bucket, rate, what) in limits {
        match bucket.take(rate) {
            Ok(taken) => all.push(taken),
            Err(wait) => {
                all.into_iter().for_each(Taken::give_back);
                return Err(faults::too_many(rate, what, wait));
            }
        }
    }
    Ok(())
}

impl Default for Bucket {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Bucket {
    fn full_at(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait, where it is empty.
    fn take(self: &Arc<Self>, rate: Rate) -> Result<Taken, Duration> {
        let now = Instant::now();
        let mut full_at = self.full_at();
        // The rate may have been another one when it was last taken from.
        *full_at = (*full_at).clamp(now, now + rate.period);
        let next = *full_at + each(rate);
        let over = next.saturating_duration_since(now + rate.period);
        if !over.is_zero() {
            return Err(over);
        }
        *full_at = next;
        drop(full_at);
        Ok(Taken { bucket: self.clone(), rate })
    }
}

fn each(rate: Rate) -> Duration {
    rate.period / rate.count.get()
}

impl Taken {
    /// As if it had not been taken.
    pub(super) fn give_back(self) {
        let mut full_at = self.bucket.full_at();
        *full_at = full_at.checked_sub(each(self.rate)).unwrap_or(*full_at);
    }
}

#[cfg(test)]
mod tests;
