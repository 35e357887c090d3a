//! What comes of one call, and the key under which equal calls share it.

use super::scope::ScopeKey;
use crate::{
    model::{Code, Failure},
    upstream::Answer,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Where a reply came from. The numbers are the contract's (`wit/backend.wit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Origin {
    Upstream = 0,
    /// It shared the load of an equal call.
    Coalesced = 1,
    Cache = 2,
    /// An old reply from the cache.
    Stale = 3,
    /// What the manifest or the plugin declared for the case of a failure.
    Fallback = 4,
    /// No reply: it was refused here, and nothing was sent.
    Refused = 5,
}

impl Origin {
    pub const ALL: [Self; 6] =
        [Self::Upstream, Self::Coalesced, Self::Cache, Self::Stale, Self::Fallback, Self::Refused];

    /// The contract's number, which tells of replies only.
    pub fn number(self) -> u32 {
        if self == Self::Refused { Self::Upstream as u32 } else { self as u32 }
    }

    /// What it is for an equal call, which was not sent itself.
    pub(super) fn for_duplicates(self) -> Self {
        if self == Self::Upstream { Self::Coalesced } else { self }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Coalesced => "coalesced",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Fallback => "fallback",
            Self::Refused => "refused",
        }
    }
}

/// The end of one call. Cheap to clone: those who share a load share its bytes.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub result: Result<Bytes, Arc<Failure>>,
    pub origin: Origin,
    /// How long the reply had been in the cache.
    pub age: Duration,
    /// The upstream call that brought it.
    pub trip: Option<Arc<Trip>>,
    /// Who refused it, where it was not sent.
    pub(super) refused_by: Option<&'static str>,
    /// The reply is what came in time of a stream that had not ended.
    pub(super) cut: bool,
}

/// One call that left the host, alone or for many.
#[derive(Debug)]
pub struct Trip {
    /// The method that was called upstream.
    pub via: String,
    /// Calls that it stood for.
    pub keys: usize,
    pub attempts: u32,
    /// Where the last attempt was made; none where nothing was sent.
    pub endpoint: Option<Arc<str>>,
    /// Why it failed, also where something else stands in for its reply.
    pub failed: Option<Code>,
    /// How long its first call had gathered.
    pub gathered: Duration,
    pub started: Instant,
    pub ended: Instant,
    /// Why it was shared with nobody, although its method may be.
    pub alone: Option<&'static str>,
}

impl Trip {
    /// One that ends now, to be completed.
    pub(super) fn ended(answer: &Answer) -> Self {
        let now = Instant::now();
        let (via, gathered) = (String::new(), Duration::ZERO);
        let failed = answer.result.as_ref().err().map(|failure| failure.code);
        let (attempts, endpoint) = (answer.attempts, answer.endpoint.clone());
        Self { via, keys: 1, attempts, endpoint, failed, gathered, started: now, ended: now, alone: None }
    }
}

impl Outcome {
    pub(super) fn upstream(result: Result<Bytes, Arc<Failure>>) -> Self {
        Self { result, origin: Origin::Upstream, age: Duration::ZERO, trip: None, refused_by: None, cut: false }
    }

    /// What the cache has.
    pub(super) fn cached(result: Result<Bytes, Arc<Failure>>, origin: Origin, age: Duration) -> Self {
        Self { origin, age, ..Self::upstream(result) }
    }

    /// A call that was not sent.
    pub(super) fn refused(failure: Failure, by: &'static str) -> Self {
        Self { origin: Origin::Refused, refused_by: Some(by), ..Self::failed(failure) }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self::upstream(Err(Arc::new(failure)))
    }

    /// A reply that stands in for a failure.
    pub(super) fn instead(self, bytes: Bytes, origin: Origin, age: Duration) -> Self {
        Self { result: Ok(bytes), origin, age, ..self }
    }

    /// The same for an equal call, which was not sent itself.
    pub(super) fn for_duplicates(&self) -> Self {
        Self { origin: self.origin.for_duplicates(), ..self.clone() }
    }

    /// Its age in milliseconds, as the contract has it.
    pub fn age_ms(&self) -> u32 {
        // By parts: a division of 128 bits for each reply is dear.
        let millis = self.age.as_secs().saturating_mul(1_000).saturating_add(self.age.subsec_millis().into());
        u32::try_from(millis).unwrap_or(u32::MAX)
    }

    /// Whether the backend failed, as opposed to having said no.
    pub(super) fn is_backend_failure(&self) -> bool {
        self.result.as_ref().is_err_and(|failure| is_backend_failure(failure.code))
    }
}

/// Codes that say that the backend could not answer: what degradation is for. A wrong request or a missing item stays what it is.
fn is_backend_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unknown
            | Code::ResourceExhausted
            | Code::DataLoss
            | Code::Unimplemented
            | Code::Cancelled
    )
}

/// Equal keys are the same call: the same plan (backend, method and rules), the same scope, the same request bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) plan: u32,
    pub(super) scope: ScopeKey,
    pub(super) request: Bytes,
}
