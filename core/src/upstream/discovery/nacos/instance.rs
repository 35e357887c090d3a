//! What Nacos tells of instances, and how kratos writes them there.

use super::super::{
    Found, InstanceSpec, Nonsense, Reached, address,
    texts::{Entries, is_text, texts},
};
use crate::upstream::nacos::NacosService;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// No instance is described by more than that.
const LARGEST: usize = 64 << 10;
/// What Nacos calls the cluster of those who name none.
const NO_CLUSTER: &str = "DEFAULT";

/// An answer, or a push.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow)]
    service_info: Option<Service<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service<'a> {
    name: Option<String>,
    #[serde(borrow)]
    hosts: Option<Entries<'a>>,
    /// So many are not healthy that they count all the same.
    reach_protection_threshold: Option<bool>,
}

/// Java writes `null` for what is not there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Host {
    ip: Option<String>,
    port: Option<i64>,
    #[serde(default = "one")]
    weight: Value,
    healthy: Option<bool>,
    enabled: Option<bool>,
    cluster_name: Option<String>,
    service_name: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
}

fn one() -> Value {
    1.into()
}

type Odd = (Nonsense, String);

/// All of an answer. What has no list of instances is no answer of Nacos; what is in it is read one by one, so that one that is nonsense
/// takes no other with it. Whether the list is all that there is (`allIPs`, since 3.0 `allIps`) makes no difference: an empty one is
/// refused by others while somebody of the one before answers.
pub(super) fn read(message: &[u8], wanted: &NacosService, reached: Reached) -> Result<Found, String> {
    let message: Message<'_> =
        serde_json::from_slice(message).map_err(|error| format!("its answer is no service: {error}"))?;
    let service = message.service_info.ok_or("its answer has no service")?;
    if let Some(name) = service.name.filter(|name| !name.is_empty() && bare(name) != wanted.name) {
        return Err(format!("it tells of another service, {name:?}"));
    }
    let hosts = service.hosts.ok_or("its answer has no list of instances")?;
    let counts_all = service.reach_protection_threshold.unwrap_or(false);
    let mut found = Found::default();
    let mut known = HashSet::new();
    found.skip_rest(hosts.more);
    for text in hosts.first {
        match instance(text.get(), wanted, reached, counts_all) {
            Ok(None) => {}
            Ok(Some(spec)) if known.insert(spec.uri.clone()) => found.add(spec),
            Ok(Some(spec)) => found.skip(Nonsense::Doubled, &format_args!("{} stands there already", spec.uri)),
            Err((reason, text)) => found.skip(reason, &text),
        }
    }
    Ok(found)
}

/// `None`: it is one of them, and wants no calls.
fn instance(
    text: &str,
    wanted: &NacosService,
    reached: Reached,
    counts_all: bool,
) -> Result<Option<InstanceSpec>, Odd> {
    if text.len() > LARGEST {
        return Err((Nonsense::TooLarge, format!("{} bytes; the largest that is read has {LARGEST}", text.len())));
    }
    let mut host: Host = serde_json::from_str(text).map_err(|error| (Nonsense::Unreadable, error.to_string()))?;
    if let Some(name) = host.service_name.as_deref().filter(|name| !name.is_empty() && bare(name) != wanted.name) {
        return Err((Nonsense::OtherService, format!("of service {name:?}")));
    }
    let cluster = host.cluster_name.take().filter(|name| is_text(name)).unwrap_or_else(|| NO_CLUSTER.to_owned());
    let is_meant = wanted.clusters.is_empty() || wanted.clusters.contains(&cluster);
    let is_healthy = host.healthy.unwrap_or(true) || counts_all;
    if !is_meant || !is_healthy || !host.enabled.unwrap_or(true) {
        return Ok(None);
    }
    let mut metadata = texts(host.metadata.take());
    let uri = uri(&host, wanted, reached, metadata.get("kind").map(String::as_str))?;
    let weight = match &host.weight {
        Value::String(text) => text.trim().parse::<f64>().ok(),
        other => other.as_f64(),
    };
    let weight = match weight {
        // Nacos' way to take one out.
        Some(0.0) => return Ok(None),
        Some(weight) if weight > 0.0 && weight < 1e6 => weight,
        _ => {
            let text = format!("{uri}: weight {}: expected one from 0 to below 1000000", host.weight);
            return Err((Nonsense::Weight, text));
        }
    };
    if cluster != NO_CLUSTER {
        metadata.entry("zone".to_owned()).or_insert(cluster);
    }
    Ok(Some(InstanceSpec { uri, weight, metadata }))
}

fn uri(host: &Host, wanted: &NacosService, reached: Reached, kind: Option<&str>) -> Result<http::Uri, Odd> {
    let ip = host.ip.as_deref().unwrap_or_default();
    let ip = if ip.contains(':') && !ip.starts_with('[') { format!("[{ip}]") } else { ip.to_owned() };
    let place = format!("{ip}:{}", host.port.unwrap_or_default());
    // kratos has a service for each protocol, named by it, and says it once more.
    let is_kratos = |kind: &&str| wanted.name.strip_suffix(kind).is_some_and(|name| name.ends_with('.'));
    match kind.filter(is_kratos) {
        Some(kind) => address::of_url(reached, &format!("{kind}://{place}")),
        None => address::of_instance(reached, &place),
    }
}

/// `films` of `DEFAULT_GROUP@@films`.
fn bare(name: &str) -> &str {
    name.rsplit_once("@@").map_or(name, |(_, name)| name)
}

/// Whether an answer has an instance at this address.
pub(super) fn has(message: &[u8], ip: &str, port: u16) -> Result<bool, String> {
    let message: Message<'_> =
        serde_json::from_slice(message).map_err(|error| format!("its answer is no service: {error}"))?;
    let hosts = message.service_info.and_then(|service| service.hosts).unwrap_or_default();
    let is_it = |host: Host| host.ip.as_deref() == Some(ip) && host.port == Some(port.into());
    Ok(hosts.first.iter().any(|text| serde_json::from_str(text.get()).is_ok_and(is_it)))
}

#[cfg(test)]
mod tests;
