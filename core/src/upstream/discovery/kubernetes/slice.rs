//! An EndpointSlice (<https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/>): who of it may be called.

use super::super::{Found, InstanceSpec, Nonsense, Reached, Skipped, address};
use http::Uri;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
};

/// The label by which slices belong to a service.
const SERVICE: &str = "kubernetes.io/service-name";
/// Of all slices of a service, who is kept. Sets are smaller; some of these may be the same pods by their other addresses.
const MOST: usize = 20_000;

/// Whose endpoints are wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) port: Port,
    pub(super) reached: Reached,
}

/// Which port of the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    Number(u16),
    Named(String),
}

#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slice<'a> {
    address_type: Option<String>,
    #[serde(borrow)]
    endpoints: Option<Vec<&'a RawValue>>,
    ports: Option<Vec<SlicePort>>,
}

#[derive(Deserialize)]
struct SlicePort {
    name: Option<String>,
    port: Option<i64>,
    protocol: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    addresses: Option<Vec<String>>,
    conditions: Option<Conditions>,
    zone: Option<String>,
    target_ref: Option<Target>,
}

#[derive(Deserialize, Default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Deserialize)]
struct Target {
    uid: Option<String>,
}

/// Who may be called, of one slice.
#[derive(Debug, Default)]
struct Known {
    ready: Vec<Candidate>,
    /// They serve still, and will be gone soon.
    leaving: Vec<Candidate>,
    odd: Found,
}

#[derive(Debug)]
struct Candidate {
    spec: InstanceSpec,
    is_ipv6: bool,
    /// The pod, which may have an address of each family.
    pod: Option<String>,
}

type Odd = (Nonsense, String);

/// What is known of a service, slice by slice.
#[derive(Debug)]
pub(super) struct Service<'a> {
    wanted: &'a Wanted,
    slices: BTreeMap<String, Known>,
    /// What can't be told apart from others.
    nameless: Found,
    kept: usize,
    /// There were some that there was no room for.
    more: bool,
    /// And now there is.
    has_room: bool,
}

impl<'a> Service<'a> {
    pub(super) fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, slices: BTreeMap::new(), nameless: Found::default(), kept: 0, more: false, has_room: false }
    }

    /// Whether it should be listed again, for those whom there was no room for.
    pub(super) fn has_room(&self) -> bool {
        self.has_room
    }

    /// One more slice, or another state of one.
    pub(super) fn put(&mut self, object: &RawValue) {
        let Some(metadata) = self.metadata(object) else { return };
        self.forget(&metadata.name);
        let mut known = Known::default();
        let of = metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE));
        if of != Some(&self.wanted.service) {
            let of = of.map_or("none", String::as_str);
            known.odd.skip(Nonsense::OtherService, &format_args!("{}: of service {of:?}", metadata.name));
        } else if let Err((reason, text)) = known.read(object, self.wanted) {
            known.odd.skip(reason, &format_args!("{}: {text}", metadata.name));
        }
        let room = MOST.saturating_sub(self.kept);
        if known.count() > room {
            self.more = true;
            known.ready.truncate(room);
            known.leaving.truncate(room - known.ready.len());
        }
        self.kept += known.count();
        self.slices.insert(metadata.name, known);
    }

    pub(super) fn gone(&mut self, object: &RawValue) {
        if let Some(metadata) = self.metadata(object) {
            self.forget(&metadata.name);
        }
    }

    /// By what a slice is known again.
    fn metadata(&mut self, object: &RawValue) -> Option<Metadata> {
        match serde_json::from_str::<Named>(object.get()) {
            Ok(named) => Some(named.metadata),
            Err(error) => {
                self.nameless.skip(Nonsense::Unreadable, &format_args!("a slice without a name: {error}"));
                None
            }
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some(known) = self.slices.remove(name) {
            self.kept -= known.count();
            self.has_room |= self.more && known.count() > 0;
        }
    }

    /// All of them, each pod once: those that are ready; only if there is none, those that serve to their end.
    pub(super) fn found(&self) -> Found {
        let is_none_ready = self.slices.values().all(|known| known.ready.is_empty());
        let candidates = self.slices.values().flat_map(move |known| known.callable(is_none_ready));
        let mut found = Found::default();
        let (mut places, mut pods) = (HashSet::new(), HashSet::new());
        for is_ipv6 in [false, true] {
            // Slices may overlap while the cluster moves endpoints from one to another: that is no mistake of anybody's.
            for candidate in candidates.clone().filter(|candidate| candidate.is_ipv6 == is_ipv6) {
                let is_new_pod =
                    candidate.pod.as_ref().is_none_or(|pod| pods.insert((pod, candidate.spec.uri.port_u16())));
                if is_new_pod && places.insert(&candidate.spec.uri) {
                    found.add(candidate.spec.clone());
                }
            }
        }
        let odd = self.slices.values().map(|known| &known.odd).chain([&self.nameless]);
        for Skipped { reason, first, count } in odd.flat_map(|odd| &odd.skipped) {
            found.skip_several(*reason, first, *count);
        }
        if self.more {
            let service = &self.wanted.service;
            found.skip(Nonsense::TooMany, &format_args!("{service}: there are more than {MOST} endpoints"));
        }
        found
    }
}

impl Known {
    fn callable(&self, is_none_ready: bool) -> &[Candidate] {
        if is_none_ready { &self.leaving } else { &self.ready }
    }

    fn count(&self) -> usize {
        self.ready.len() + self.leaving.len()
    }

    /// One endpoint that is nonsense takes no other with it.
    fn read(&mut self, object: &RawValue, wanted: &Wanted) -> Result<(), Odd> {
        let slice: Slice<'_> =
            serde_json::from_str(object.get()).map_err(|error| (Nonsense::Unreadable, error.to_string()))?;
        match slice.address_type.as_deref() {
            Some("IPv4" | "IPv6") => {}
            other => {
                let other = other.unwrap_or_default();
                return Err((Nonsense::Address, format!("addressType {other:?}: expected IPv4 or IPv6")));
            }
        }
        let endpoints = slice.endpoints.unwrap_or_default();
        if endpoints.is_empty() {
            return Ok(());
        }
        let port = port(&wanted.port, slice.ports.as_deref().unwrap_or_default())?;
        for text in endpoints {
            let endpoint = serde_json::from_str::<Endpoint>(text.get());
            let endpoint = endpoint.map_err(|error| (Nonsense::Unreadable, error.to_string()));
            if let Err((reason, text)) = endpoint.and_then(|endpoint| self.take(endpoint, port, wanted.reached)) {
                self.odd.skip(reason, &text);
            }
        }
        Ok(())
    }

    fn take(&mut self, endpoint: Endpoint, port: u16, reached: Reached) -> Result<(), Odd> {
        let Conditions { ready, serving, terminating } = endpoint.conditions.unwrap_or_default();
        let is_ready = ready.unwrap_or(true);
        let is_leaving = serving.unwrap_or(is_ready) && terminating.unwrap_or(false);
        if !is_ready && !is_leaving {
            return Ok(());
        }
        // More than one is none of ours to choose from: they are the same endpoint, and everybody takes the first.
        let text = endpoint.addresses.unwrap_or_default().into_iter().next().unwrap_or_default();
        let wrong = |reason: String| (Nonsense::Address, format!("address {text:?}: {reason}"));
        let ip: IpAddr = text.parse().map_err(|_| wrong("expected an IP address".to_owned()))?;
        let uri: Uri = address::of(reached.scheme(), ip, port).map_err(wrong)?;
        let zone = endpoint.zone.filter(|zone| !zone.is_empty()).map(|zone| ("zone".to_owned(), zone));
        let spec = InstanceSpec { uri, weight: 1.0, metadata: zone.into_iter().collect() };
        let pod = endpoint.target_ref.and_then(|target| target.uid);
        let candidate = Candidate { spec, is_ipv6: ip.is_ipv6(), pod };
        if is_ready {
            self.ready.push(candidate)
        } else {
            self.leaving.push(candidate)
        }
        Ok(())
    }
}

/// The number that the wanted port has in a slice with these.
fn port(wanted: &Port, ports: &[SlicePort]) -> Result<u16, Odd> {
    let is_tcp = |port: &&SlicePort| matches!(port.protocol.as_deref(), None | Some("TCP"));
    let mut tcp = ports.iter().filter(is_tcp);
    let number =
        |port: &SlicePort| port.port.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    let found = match wanted {
        // Of a service without ports any will do.
        Port::Number(wanted) if ports.is_empty() => Some(*wanted),
        Port::Number(wanted) => tcp.any(|port| port.port.is_none() || number(port) == Some(*wanted)).then_some(*wanted),
        Port::Named(wanted) => tcp.find(|port| port.name.as_deref() == Some(wanted)).and_then(number),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = ports
            .iter()
            .map(|port| format!("{}:{}", port.name.as_deref().unwrap_or_default(), port.port.unwrap_or_default()))
            .collect();
        let wanted = match wanted {
            Port::Number(number) => number.to_string(),
            Port::Named(name) => format!("{name:?}"),
        };
        (Nonsense::Address, format!("it has no port {wanted} over TCP, but {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests;
