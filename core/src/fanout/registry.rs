//! The plans of all releases: made when a release is loaded, and shared where they come out equal.

use super::{
    backends::Backends,
    descriptors::Descriptors,
    plan::{Plan, PlanError, Planned, Plans, find_method, resolve},
};
use crate::{
    artifact::Artifact,
    settings::{Place, nearest},
    sync::lock,
    telemetry::Metrics,
};
use futures_util::future::join_all;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

#[derive(Debug)]
pub(super) struct Registry {
    pub(super) backends: Backends,
    pub(super) descriptors: Descriptors,
    metrics: Metrics,
    known: Arc<Known>,
}

/// The plans that releases use, also those of the engine before.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By the method's name.
    plans: Mutex<HashMap<String, Vec<Weak<Plan>>>>,
    next: AtomicU32,
}

impl Registry {
    pub(super) fn new(backends: Backends, known: Arc<Known>, metrics: Metrics) -> Self {
        Self { backends, known, metrics, descriptors: Descriptors::default() }
    }

    /// For the engine after this one.
    pub(super) fn known(&self) -> Arc<Known> {
        self.known.clone()
    }

    /// The plans of one release's method table. All errors are found at once.
    pub(super) async fn plans(&self, artifact: &Artifact) -> Result<Plans, Vec<PlanError>> {
        let pool = &artifact.descriptors;
        let described = join_all(artifact.methods.iter().map(|name| self.describe(pool, name))).await;
        let mut plans = Plans::default();
        let mut errors = Vec::new();
        for (name, descriptor) in artifact.methods.iter().zip(described) {
            match descriptor.and_then(|descriptor| self.planned(name, descriptor)) {
                Ok(planned) => {
                    plans.add(Planned { fallback: artifact.manifest.fallbacks.get(name).cloned(), ..planned })
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(plans) } else { Err(errors) }
    }

    /// The artifact's own protos go before what the operator gives or the backend tells.
    async fn describe(&self, pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, PlanError> {
        let own = find_method(pool, name);
        let service = name.split_once('/').map_or(name, |(service, _)| service);
        let Some((config, _)) = self.backends.of(service).filter(|_| own.is_err()) else { return own };
        match self.descriptors.of(&self.backends, config, service).await {
            Ok(Some(given)) => find_method(&given, name),
            Ok(None) => own,
            Err(message) => {
                let at = config.descriptors.as_ref().map_or(&config.place, |given| &given.place).clone();
                Err(PlanError::Rule { at, message })
            }
        }
    }

    fn planned(&self, name: &str, descriptor: MethodDescriptor) -> Result<Planned, PlanError> {
        if descriptor.is_client_streaming() {
            return Err(PlanError::Streams(name.to_owned()));
        }
        let service = descriptor.parent_service().full_name().to_owned();
        let Some(backend) = self.backends.of(&service) else {
            let hint = misspelled(&self.backends, &service, descriptor.parent_pool());
            return Err(PlanError::NoBackend { service, method: name.to_owned(), hint });
        };
        let plan = self.known.share(resolve(backend, name, &descriptor, &self.metrics)?);
        Ok(Planned { plan, descriptor, fallback: None })
    }
}

/// Says which service of the configuration may be meant for this one, if these protos don't have it.
fn misspelled(backends: &Backends, service: &str, pool: &DescriptorPool) -> String {
    let served = backends.all().iter().flat_map(|backend| backend.services.iter().map(move |name| (name, backend)));
    let unknown: Vec<_> = served.filter(|(name, _)| pool.get_service_by_name(name).is_none()).collect();
    let near = nearest(service, unknown.iter().map(|(name, _)| name.as_str()));
    let found = near.and_then(|near| unknown.iter().find(|(name, _)| *name == near));
    found.map_or_else(String::new, |(name, backend)| {
        let Place { file, line, .. } = &backend.services_place;
        format!(". {file}:{line} has `{name}`: was this one meant?")
    })
}

impl Known {
    /// The plan, or an equal one that some release uses.
    fn share(&self, plan: Plan) -> Arc<Plan> {
        let mut plans = lock(&self.plans);
        let known = plans.entry(plan.name.to_string()).or_default();
        known.retain(|plan| plan.strong_count() > 0);
        if let Some(equal) = known.iter().filter_map(Weak::upgrade).find(|known| known.is_same(&plan)) {
            return equal;
        }
        let plan = Arc::new(Plan { id: self.next.fetch_add(1, Ordering::Relaxed), ..plan });
        known.push(Arc::downgrade(&plan));
        plan
    }
}
