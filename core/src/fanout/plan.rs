//! What the engine knows of one method: worked out when a release is loaded, from the artifact's descriptors and the operator's
//! configuration, so that a call only looks it up.

mod resolve;

use super::{config::CacheConfig, series::MethodSeries, tags::Tags};
use crate::{
    model::{Digest, Scope},
    settings::Place,
    store::Invalidation,
    upstream::{Method, Transport},
};
use bytes::Bytes;
use prost_reflect::{DescriptorPool, MethodDescriptor};
pub use resolve::looks_safe_by_name;
pub(super) use resolve::resolve;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// One method as the engine treats it. Plans that come out equal are shared by all releases, and with them flights, batches
/// and cached replies.
#[derive(Debug)]
pub struct Plan {
    pub(super) id: u32,
    /// `catalog.v1.Films/GetFilm`.
    pub(super) name: Arc<str>,
    pub(super) method: Arc<Method>,
    pub(super) backend: Arc<dyn Transport>,
    pub(super) safe: bool,
    pub(super) scope: Scope,
    pub(super) timeout: Duration,
    pub(super) cache: Option<CacheConfig>,
    pub(super) batch: Option<Arc<BatchRule>>,
    pub(super) series: MethodSeries,
    /// Of its cached replies.
    pub(super) tags: Tags,
    /// What is true no more once it was done, where it is a write.
    pub(super) invalidates: Option<Tags>,
    /// Of everything that its replies depend on beside scope and request, for hosts to agree on.
    pub(super) shape: Digest,
}

/// How calls of a method become one.
#[derive(Debug)]
pub(super) struct BatchRule {
    /// What the rule was made of; equal specs make equal plans.
    pub(super) spec: weft_wire::Spec,
    pub(super) rule: weft_wire::Rule,
    pub(super) method: Arc<Method>,
    pub(super) max: usize,
    pub(super) max_bytes: usize,
}

/// The methods of one release, by the numbers of its own method table.
#[derive(Debug, Default)]
pub struct Plans {
    entries: Vec<Planned>,
    by_name: HashMap<String, u32>,
}

/// One line of a release's method table.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Arc<Plan>,
    /// The messages as this artifact knows them, for calls in JSON.
    pub(super) descriptor: MethodDescriptor,
    /// The reply that stands in when the call fails.
    pub(super) fallback: Option<Bytes>,
}

/// Why a release's methods can't be called through this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("`{0}` is not in the artifact's descriptors; build it again with the protos that it calls")]
    Unknown(String),
    #[error(
        "no backend serves `{service}`, which `{method}` needs: add it to `services` of a [backend.NAME] in the host's configuration{hint}"
    )]
    NoBackend { service: String, method: String, hint: String },
    #[error("`{0}` takes a stream; a plugin sends one message")]
    Streams(String),
    #[error("{file}:{line}: {key}: {message}", file = at.file, line = at.line, key = at.key)]
    Rule { at: Place, message: String },
}

impl Plans {
    /// The next line of the table.
    pub(super) fn add(&mut self, planned: Planned) {
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.by_name.insert(planned.plan.name.to_string(), number);
        self.entries.push(planned);
    }

    /// The protos that these methods are known from, each once.
    pub fn pools(&self) -> Vec<&DescriptorPool> {
        let mut pools: Vec<&DescriptorPool> = Vec::new();
        for pool in self.entries.iter().map(|planned| planned.descriptor.parent_pool()) {
            if !pools.contains(&pool) {
                pools.push(pool);
            }
        }
        pools
    }

    pub(super) fn get(&self, number: u32) -> Option<&Planned> {
        self.entries.get(usize::try_from(number).ok()?)
    }

    pub(super) fn number_of(&self, name: &str) -> Option<(u32, &Planned)> {
        let number = *self.by_name.get(name)?;
        Some((number, self.get(number)?))
    }
}

impl Plan {
    /// What a write with this message is declared to invalidate.
    pub(super) fn invalidated_by(&self, message: &[u8]) -> Option<Invalidation> {
        let tags = self.invalidates.as_ref()?.of(message);
        (!tags.is_empty()).then(|| Invalidation::Tags(tags.to_vec()))
    }

    /// Whether the other one does the same, so that both may share what they load. All that a release can make differ is here:
    /// what comes from the configuration alone is the same for all plans of an engine.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let how = |method: &Method| (method.safe, method.rest.clone(), method.stream);
        let batch = |plan: &Self| plan.batch.as_ref().map(|batch| (batch.spec.clone(), how(&batch.method)));
        (&self.name, self.safe, self.scope, self.timeout) == (&other.name, other.safe, other.scope, other.timeout)
            && how(&self.method) == how(&other.method)
            && batch(self) == batch(other)
            && self.tags.is_same(&other.tags)
            && match (&self.invalidates, &other.invalidates) {
                (Some(own), Some(others)) => own.is_same(others),
                (None, None) => true,
                _ => false,
            }
            && Arc::ptr_eq(&self.backend, &other.backend)
    }
}

/// Finds `pkg.Service/Method`.
pub(super) fn find_method(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, PlanError> {
    let unknown = || PlanError::Unknown(name.to_owned());
    let (service, method) = name.split_once('/').ok_or_else(unknown)?;
    let service = pool.get_service_by_name(service).ok_or_else(unknown)?;
    service.methods().find(|m| m.name() == method).ok_or_else(unknown)
}
