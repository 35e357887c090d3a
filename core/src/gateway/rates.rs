//! How often clients, endpoints and callers may ask, and how often an address may fail to prove who it is.
//!
//! A caller's own limits go before those that many share, and a request that is refused by one takes nothing of any: whoever asks too
//! often takes nothing away from others.

use super::{faults, parts::Parts};
use crate::{
    model::{Digest, Fault, ShareKey},
    net::Subnet,
    release::Endpoint,
    routing::Client,
    settings::Rate,
    store::Store,
    sync::lock,
};
use http::HeaderName;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// Callers whose rates are remembered, and for how long after their last request.
const MOST_CALLERS: u64 = 100_000;
/// Addresses with failures in one of the two tables.
const MOST_FAILING: usize = 50_000;
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
    failures: Mutex<Failures>,
}

/// When it will be full again, had nobody taken more (the generic cell rate algorithm).
#[derive(Debug)]
struct Bucket(Mutex<Instant>);

/// Where a request to an endpoint is counted against the limits of its client.
pub(super) enum Counted {
    Here,
    /// It is made by another request, which was, and of whose limits so much is left.
    Before(Option<Left>),
}

/// One turn, taken.
#[derive(Debug)]
#[must_use]
struct Taken {
    bucket: Arc<Bucket>,
    rate: Rate,
    left: Left,
}

/// What is left of the limit that has least of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    rate: Rate,
    requests: u32,
    /// Until nothing of it is used.
    full_in: Duration,
}

impl Left {
    /// `ratelimit-policy` and `ratelimit` (draft-ietf-httpapi-ratelimit-headers-10).
    pub fn headers(&self) -> [(HeaderName, String); 2] {
        faults::rate_fields(self.rate, self.requests, self.full_in)
    }
}

/// When each address's bucket will be full again; who is in neither table has a full one. Most who prove themselves do so at once, and
/// leave nothing here. When the newer table is full, it becomes the older one, and whoever has not failed since is forgotten.
#[derive(Debug, Default)]
struct Failures {
    newer: HashMap<Subnet, Instant>,
    older: HashMap<Subnet, Instant>,
}

/// A failure, counted before it is one.
#[derive(Debug)]
#[must_use]
pub(super) struct Failure<'a> {
    rates: &'a Rates,
    address: Subnet,
    rate: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self { shared: Store::new(MOST_CALLERS), own: Store::new(MOST_CALLERS), failures: Mutex::default() }
    }
}

impl Rates {
    /// Counts a request against all limits that are set for it. `who`: none where only a listed peer is known, which is no caller. What
    /// the host itself answers for a client has no endpoint.
    pub(super) fn check(
        &self,
        client: &Client,
        endpoint: Option<&Endpoint>,
        who: Option<Payer>,
    ) -> Result<Option<Left>, Fault> {
        let [own, shared] =
            endpoint.map(|endpoint| self.of_endpoint(client, endpoint, who.as_ref())).unwrap_or_default();
        let place = [client.name.as_str(), ""];
        // The narrower before the wider.
        let limits = [
            own,
            self.own(client.principal_rate, place, who.as_ref(), "of one caller"),
            shared,
            self.shared(client.rate, place, "of this client"),
        ];
        take_all(limits.into_iter().flatten())
    }

    /// Counts a request to an endpoint; as far as it has not been counted already.
    pub(super) fn check_call(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        who: Option<Payer>,
        counted: Counted,
    ) -> Result<Option<Left>, Fault> {
        let Counted::Before(left) = counted else { return self.check(client, Some(endpoint), who) };
        let here = take_all(self.of_endpoint(client, endpoint, who.as_ref()).into_iter().flatten())?;
        Ok(left.into_iter().chain(here).min_by_key(|left| left.requests))
    }

    /// A caller's own limit at an endpoint, and the one of all.
    fn of_endpoint(&self, client: &Client, endpoint: &Endpoint, who: Option<&Payer>) -> [Option<Limit>; 2] {
        let (policy, place) = (&endpoint.policy, [client.name.as_str(), endpoint.name.as_str()]);
        let own = self.own(policy.principal_rate, place, who, "of one caller to this endpoint");
        [own, self.shared(policy.rate, place, "to this endpoint")]
    }

    fn own(&self, rate: Option<Rate>, place: [&str; 2], who: Option<&Payer>, what: &'static str) -> Option<Limit> {
        let (rate, who) = (rate?, who?);
        Some((bucket(&self.own, key(place, Some(who)), rate), rate, what))
    }

    fn shared(&self, rate: Option<Rate>, place: [&str; 2], what: &'static str) -> Option<Limit> {
        rate.map(|rate| (bucket(&self.shared, key(place, None), rate), rate, what))
    }

    /// A failure of whoever is at this address, to be given back if it is none. 429 where there were too many.
    pub(super) fn failure(&self, address: Option<Subnet>, rate: Rate) -> Result<Option<Failure<'_>>, Fault> {
        let Some(address) = address else { return Ok(None) };
        match self.failures().take(address, rate) {
            Ok(()) => Ok(Some(Failure { rates: self, address, rate })),
            Err(wait) => Err(faults::too_many(rate, "with a credential that is not good", wait)),
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        lock(&self.failures)
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

fn bucket(store: &Store<Digest, Arc<Bucket>>, key: Digest, rate: Rate) -> Arc<Bucket> {
    let life = REMEMBERED.max(rate.period);
    let found = store.get(&key);
    let bucket = found.unwrap_or_else(|| store.get_or_insert(key, Arc::default(), 1, life).0);
    // Stored anew each time, so that it lives on after the last request of its caller.
    store.insert(key, bucket.clone(), 1, life);
    bucket
}

/// A bucket, how it fills, and what it is said to be for.
type Limit = (Arc<Bucket>, Rate, &'static str);

/// A turn of each, or of none.
fn take_all(limits: impl Iterator<Item = Limit>) -> Result<Option<Left>, Fault> {
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
    Ok(all.iter().map(|taken| taken.left).min_by_key(|left| left.requests))
}

impl Default for Bucket {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Bucket {
    fn full_at(&self) -> MutexGuard<'_, Instant> {
        lock(&self.0)
    }

    /// How long to wait, where it is empty.
    fn take(self: &Arc<Self>, rate: Rate) -> Result<Taken, Duration> {
        let (mut full_at, now) = (self.full_at(), Instant::now());
        take(&mut full_at, now, rate)?;
        let full_in = full_at.saturating_duration_since(now);
        let left = rate.period.saturating_sub(full_in).as_nanos() / each(rate).as_nanos().max(1);
        let left = Left { rate, requests: u32::try_from(left).unwrap_or(u32::MAX), full_in };
        Ok(Taken { bucket: self.clone(), rate, left })
    }
}

fn each(rate: Rate) -> Duration {
    rate.period / rate.count.get()
}

/// Takes a turn, or says how long to wait, where there is none.
fn take(full_at: &mut Instant, now: Instant, rate: Rate) -> Result<(), Duration> {
    // The rate may have been another one when it was last taken from.
    *full_at = (*full_at).clamp(now, now + rate.period);
    let next = *full_at + each(rate);
    let over = next.saturating_duration_since(now + rate.period);
    if !over.is_zero() {
        return Err(over);
    }
    *full_at = next;
    Ok(())
}

impl Failures {
    /// How long to wait, where there were too many.
    fn take(&mut self, address: Subnet, rate: Rate) -> Result<(), Duration> {
        let now = Instant::now();
        let known = self.newer.get(&address).or_else(|| self.older.get(&address));
        let mut full_at = known.copied().unwrap_or(now);
        take(&mut full_at, now, rate)?;
        if self.newer.len() >= MOST_FAILING && !self.newer.contains_key(&address) {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(address, full_at);
        Ok(())
    }

    fn give_back(&mut self, address: Subnet, rate: Rate) {
        let Self { newer, older } = self;
        let Some(full_at) = newer.get_mut(&address).or_else(|| older.get_mut(&address)) else { return };
        match full_at.checked_sub(each(rate)).filter(|before| *before > Instant::now()) {
            Some(before) => *full_at = before,
            None => {
                newer.remove(&address);
                older.remove(&address);
            }
        }
    }
}

impl Failure<'_> {
    /// It was none.
    pub(super) fn give_back(self) {
        self.rates.failures().give_back(self.address, self.rate);
    }
}

impl Taken {
    /// As if it had not been taken.
    fn give_back(self) {
        let mut full_at = self.bucket.full_at();
        *full_at = full_at.checked_sub(each(self.rate)).unwrap_or(*full_at);
    }
}

#[cfg(test)]
mod tests;
