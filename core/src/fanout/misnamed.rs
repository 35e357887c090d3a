//! Names in the configuration that no proto has: what is configured for them would hold for nothing, and nobody would be told.

use super::{backends::Backends, config::BackendConfig, descriptors::Descriptors};
use crate::{
    settings::{Place, nearest},
    sync::lock,
};
use futures_util::future::join_all;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Mutex,
};

/// What is misnamed.
#[derive(Debug, Default)]
pub(super) struct Misnamed {
    pub(super) found: Vec<(Place, String)>,
    /// Whether all that may tell names has told them.
    pub(super) is_whole: bool,
}

/// Methods and services of the configuration that are in none of these protos, and not in what operators give and backends tell of
/// themselves.
pub(super) async fn misnamed(backends: &Backends, descriptors: &Descriptors, pools: &[&DescriptorPool]) -> Misnamed {
    let looks = backends.all().iter().map(|backend| of_backend((backends, backend), descriptors, pools));
    let mut all = Misnamed { found: Vec::new(), is_whole: true };
    for looked in join_all(looks).await {
        all.found.extend(looked.found);
        all.is_whole &= looked.is_whole;
    }
    all
}

async fn of_backend(
    (backends, backend): (&Backends, &BackendConfig),
    descriptors: &Descriptors,
    pools: &[&DescriptorPool],
) -> Misnamed {
    let told = match is_covered(backend, pools) {
        // Nobody is asked without need.
        true => Ok(Vec::new()),
        false => descriptors.services(backends, backend).await,
    };
    let mut misnamed = Misnamed { found: Vec::new(), is_whole: told.is_ok() };
    let told = told.unwrap_or_default();
    let mut services: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, method) in &backend.methods {
        let Some((service, method_name)) = name.split_once('/') else { continue };
        let known = match services.entry(service) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let mut known: Vec<_> = pools.iter().filter_map(|pool| pool.get_service_by_name(service)).collect();
                if told.iter().any(|told| told == service) {
                    match descriptors.of(backends, backend, service).await {
                        Ok(given) => known.extend(given.and_then(|given| given.get_service_by_name(service))),
                        Err(_) => misnamed.is_whole = false,
                    }
                }
                place.insert(methods_of(&known))
            }
        };
        if !known.is_empty() && !known.iter().any(|known| known == method_name) {
            let message = format!("`{service}` has no method `{method_name}`; {}", hint(method_name, known));
            misnamed.found.push((method.place.clone(), message));
        }
    }
    for service in &backend.services {
        if let Some(near) = meant(backends, service, pools, &told) {
            let message = format!("no proto has the service `{service}`; did you mean `{near}`?");
            misnamed.found.push((backend.services_place.clone(), message));
        }
    }
    misnamed
}

/// Whether these protos have all that is configured.
fn is_covered(backend: &BackendConfig, pools: &[&DescriptorPool]) -> bool {
    let has = |service: &str| pools.iter().filter_map(|pool| pool.get_service_by_name(service)).collect::<Vec<_>>();
    backend.services.iter().all(|service| !has(service).is_empty())
        && backend.methods.keys().filter_map(|name| name.split_once('/')).all(|(service, method)| {
            has(service).iter().any(|service| service.methods().any(|known| known.name() == method))
        })
}

/// All methods that any source tells, in the order of the protos, each once.
fn methods_of(services: &[ServiceDescriptor]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = services.iter().flat_map(|service| service.methods().map(|method| method.name().to_owned()));
    all.filter(|name| seen.insert(name.clone())).collect()
}

/// The service that somebody knows and no backend serves, if that is nearly the name of this one, which nobody knows.
fn meant(backends: &Backends, service: &str, pools: &[&DescriptorPool], told: &[String]) -> Option<String> {
    let of_pools = pools.iter().flat_map(|pool| pool.services()).map(|known| known.full_name().to_owned());
    let mut known: Vec<String> = of_pools.chain(told.iter().cloned()).collect();
    if known.iter().any(|known| known == service) {
        return None;
    }
    known.retain(|known| backends.of(known).is_none());
    nearest(service, known.iter().map(String::as_str)).map(str::to_owned)
}

fn hint(name: &str, known: &[String]) -> String {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has: {}", known.join(", ")),
    }
}

/// What the log says already: keys and what is wrong with them, wherever in the file they stand.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeSet<(String, String)>>);

impl Told {
    /// Warns of what was not told before. What has been mended since is told again if it comes again.
    pub(super) fn tell(&self, misnamed: Misnamed) {
        let mut told = lock(&self.0);
        let before = std::mem::take(&mut *told);
        for (place, message) in misnamed.found {
            let what = (place.key.clone(), message);
            if !before.contains(&what) && !told.contains(&what) {
                tracing::warn!(
                    "{}; until it is mended, what is configured there holds for no call",
                    place.mistake(&*what.1)
                );
            }
            told.insert(what);
        }
        if !misnamed.is_whole {
            told.extend(before);
        }
    }
}
