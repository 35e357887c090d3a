//! What Consul tells of instances, and how kratos writes them there.

use super::super::{Found, InstanceSpec, Nonsense, Reached, address, texts::Entries};
use http::Uri;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// Go writes `null` for what is not there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Option<Node>,
    service: Option<Service>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: Option<String>,
    datacenter: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    service: Option<String>,
    address: Option<String>,
    port: Option<i64>,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    weights: Option<Weights>,
    tagged_addresses: Option<BTreeMap<String, Tagged>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagged {
    address: Option<String>,
}

type Odd = (Nonsense, String);

/// All of an answer. What is no list is no answer of Consul; what is in it is read one by one, so that one that is nonsense takes no other
/// with it.
pub(super) fn read(answer: &[u8], service: &str, reached: Reached) -> Result<Found, String> {
    let entries: Entries<'_> =
        serde_json::from_slice(answer).map_err(|error| format!("the answer is no list of instances: {error}"))?;
    let mut found = Found::default();
    let mut known = HashSet::new();
    found.skip_rest(entries.more);
    for text in entries.first {
        let entry = serde_json::from_str::<Entry>(text.get());
        let spec = entry.map_err(|error| (Nonsense::Unreadable, error.to_string()));
        match spec.and_then(|entry| instance(entry, service, reached)) {
            Ok(spec) if known.insert(spec.uri.clone()) => found.add(spec),
            Ok(spec) => found.skip(Nonsense::Doubled, &format_args!("{} stands there already", spec.uri)),
            Err((reason, text)) => found.skip(reason, &text),
        }
    }
    Ok(found)
}

fn instance(entry: Entry, wanted: &str, reached: Reached) -> Result<InstanceSpec, Odd> {
    let unreadable = || (Nonsense::Unreadable, "an entry without a Service".to_owned());
    let service = entry.service.ok_or_else(unreadable)?;
    if service.service.as_deref() != Some(wanted) {
        let text = format!("of service {:?}", service.service.unwrap_or_default());
        return Err((Nonsense::OtherService, text));
    }
    let uri = uri(&service, entry.node.as_ref(), reached)?;
    let weight = service.weights.and_then(|weights| weights.passing).unwrap_or(1.0);
    if !(weight > 0.0 && weight < 1e6) {
        let text = format!("{uri}: weight {weight}: expected one from above 0 to below 1000000");
        return Err((Nonsense::Weight, text));
    }
    let mut metadata = service.meta.unwrap_or_default();
    // kratos has it in a tag.
    let version = service.tags.iter().flatten().find_map(|tag| tag.strip_prefix("version="));
    if let Some(version) = version.filter(|version| !version.is_empty()) {
        metadata.entry("version".to_owned()).or_insert_with(|| version.to_owned());
    }
    if let Some(datacenter) = entry.node.and_then(|node| node.datacenter).filter(|name| !name.is_empty()) {
        metadata.entry("zone".to_owned()).or_insert(datacenter);
    }
    Ok(InstanceSpec { uri, weight, metadata })
}

/// Of a service with an address for each protocol, as kratos registers it, that of this backend's; else the service's own, or its node's.
fn uri(service: &Service, node: Option<&Node>, reached: Reached) -> Result<Uri, Odd> {
    let by_protocol = service.tagged_addresses.iter().flatten();
    let urls: Vec<&str> =
        by_protocol.filter_map(|(_, tagged)| tagged.address.as_deref()).filter(|text| text.contains("://")).collect();
    if !urls.is_empty() {
        let mut last = None;
        for url in urls {
            match address::of_url(reached, url) {
                Ok(uri) => return Ok(uri),
                Err(odd) if odd.0 == Nonsense::OtherProtocol && last.is_some() => {}
                Err(odd) => last = Some(odd),
            }
        }
        return Err(last.unwrap_or_else(|| (Nonsense::Address, "it has no address".to_owned())));
    }
    let own = service.address.as_deref().filter(|text| !text.is_empty());
    let host = own.or_else(|| node?.address.as_deref()).unwrap_or_default();
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    address::of_instance(reached, &format!("{host}:{}", service.port.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
