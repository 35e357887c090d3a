//! What comes of one call, and the key under which equal calls share it.

use super::scope::ScopeKey;
use crate::model::Failure;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// Where a reply came from. The numbers are the contract's (`wit/backend.wit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Origin {
    Upstream = 0,
    Coalesced = 1,
    Cache = 2,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Coalesced => "coalesced",
            Self::Cache => "cache",
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
}

impl Outcome {
    pub(super) fn upstream(result: Result<Bytes, Arc<Failure>>) -> Self {
        Self { result, origin: Origin::Upstream, age: Duration::ZERO }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self::upstream(Err(Arc::new(failure)))
    }

    pub(super) fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }
}

/// Equal keys are the same call: the same plan (backend, method and rules), the same scope, the same request bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) plan: u32,
    pub(super) scope: ScopeKey,
    pub(super) request: Bytes,
}
