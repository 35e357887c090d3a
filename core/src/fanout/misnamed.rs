//! Names in the configuration that no proto has: what is configured for them would hold for nothing, and nobody would be told.

use super::{backends::Backends, config::BackendConfig, descriptors::Descriptors};
use crate::settings::{Place, nearest};
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

/// Methods and services of the configuration that are in none of these protos, and not in what backends tell of themselves.
pub(super) async fn misnamed(
    backends: &Backends,
    descriptors: &Descriptors,
    pools: &[&DescriptorPool],
) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    for backend in backends.all() {
        let mut services: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, method) in &backend.methods {
            let Some((service, method_name)) = name.split_once('/') else { continue };
            let known = match services.entry(service) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(methods_of((backends, backend), descriptors, service, pools).await)
                }
            };
            if !known.is_empty() && !known.iter().any(|known| known == method_name) {
                let message = format!("`{service}` has no method `{method_name}`; {}", hint(method_name, known));
                found.push((method.place.clone(), message));
            }
        }
        for service in &backend.services {
            if let Some(near) = meant(backends, service, pools) {
                let message = format!("no proto has the service `{service}`; did you mean `{near}`?");
                found.push((backend.services_place.clone(), message));
            }
        }
    }
    found
}

/// All methods of a service that any source tells.
async fn methods_of(
    (backends, backend): (&Backends, &BackendConfig),
    descriptors: &Descriptors,
    service: &str,
    pools: &[&DescriptorPool],
) -> Vec<String> {
    let names = |service: ServiceDescriptor| service.methods().map(|m| m.name().to_owned()).collect::<Vec<_>>();
    let mut known: Vec<String> =
        pools.iter().filter_map(|pool| pool.get_service_by_name(service)).flat_map(names).collect();
    if let Ok(Some(given)) = descriptors.of(backends, backend, service).await {
        known.extend(given.get_service_by_name(service).into_iter().flat_map(names));
    }
    // In the order of the protos, each once.
    let mut seen = BTreeSet::new();
    known.retain(|name| seen.insert(name.clone()));
    known
}

/// The service that plugins know and no backend serves, if that is nearly the name of this one, which none knows.
fn meant(backends: &Backends, service: &str, pools: &[&DescriptorPool]) -> Option<String> {
    let mut known: Vec<String> =
        pools.iter().flat_map(|pool| pool.services()).map(|known| known.full_name().to_owned()).collect();
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
