//! What comes of one call, and the key under which equal calls share it.

use super::scope::ScopeKey;
use crate::{
    model::{Code, Failure},
    observe::{End, Origin, RefusedBy, Trip},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

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
    pub(super) refused_by: Option<RefusedBy>,
    /// The reply is what came in time of a stream that had not ended.
    pub(super) cut: bool,
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
    pub(super) fn refused(failure: Failure, by: RefusedBy) -> Self {
        Self { origin: Origin::Refused, refused_by: Some(by), ..Self::failed(failure) }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self::upstream(Err(Arc::new(failure)))
    }

    /// A reply that stands in for a failure.
    pub(super) fn instead(self, bytes: Bytes, origin: Origin, age: Duration) -> Self {
        Self { result: Ok(bytes), origin, age, ..self }
    }

    /// As it is reported.
    pub(super) fn end(&self) -> End<'_> {
        let Self { origin, age, refused_by, cut, .. } = *self;
        let result = self.result.as_ref().map(Bytes::len).map_err(|failure| failure.code);
        End { result, origin, age, refused_by, cut, trip: self.trip.as_ref() }
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
