//! How frameworks write their instances into etcd: kratos v2 and v3, go-zero, go-micro v4, and gRPC's own naming.
//!
//! Whatever stands there comes from others: it is decoded or passed over, each with a reason.

use super::super::{
    InstanceSpec, Nonsense, Reached, address,
    texts::{is_text, texts},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

crate::choice! {
    /// Who writes the entries.
    pub enum Layout { Kratos = "kratos", GoZero = "go-zero", GoMicro = "go-micro", Grpc = "grpc" }
}

/// No instance is described by more than that.
pub(super) const LARGEST_VALUE: usize = 64 << 10;
/// Addresses of one entry that are taken.
const MOST_ADDRESSES: usize = 16;
/// What an instance weighs that says nothing of it, as kratos has it.
const USUAL_WEIGHT: f64 = 100.0;

/// What an entry says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    pub specs: Vec<InstanceSpec>,
    /// Why it, or a part of it, is no instance of this backend.
    pub odd: Option<(Nonsense, String)>,
}

impl From<Result<Vec<InstanceSpec>, (Nonsense, String)>> for Entry {
    fn from(result: Result<Vec<InstanceSpec>, (Nonsense, String)>) -> Self {
        match result {
            Ok(specs) => Self { specs, odd: None },
            Err(odd) => Self { specs: Vec::new(), odd: Some(odd) },
        }
    }
}

type Decoded = Result<Vec<InstanceSpec>, (Nonsense, String)>;

/// What all entries of one service have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    pub layout: Layout,
    pub service: String,
    /// Before the service's name, where the layout has something there.
    pub prefix: String,
    pub reached: Reached,
}

impl Naming {
    /// What each of its keys begins with. With a slash at the end, so that `user` is not `user-admin`.
    pub fn keys(&self) -> String {
        let service = match self.layout {
            Layout::GoMicro => self.service.replace('/', "-"),
            _ => self.service.clone(),
        };
        format!("{}{service}/", self.prefix)
    }

    /// `rest`: the key without [`Naming::keys`].
    pub fn decode(&self, rest: &[u8], value: &[u8]) -> Entry {
        if value.len() > LARGEST_VALUE {
            let text = format!("{} bytes; the largest that is read has {LARGEST_VALUE}", value.len());
            return Err((Nonsense::TooLarge, text)).into();
        }
        match self.layout {
            Layout::Kratos => self.kratos(value),
            Layout::GoZero => self.go_zero(rest, value).into(),
            Layout::GoMicro => self.go_micro(value),
            Layout::Grpc => self.grpc(value).into(),
        }
    }

    fn kratos(&self, value: &[u8]) -> Entry {
        let instance: Kratos = match read(value) {
            Ok(instance) => instance,
            Err(odd) => return Err(odd).into(),
        };
        if instance.name.as_deref() != Some(&self.service) {
            let text = format!("of service {:?}", instance.name.unwrap_or_default());
            return Err((Nonsense::OtherService, text)).into();
        }
        let mut metadata = texts(instance.metadata);
        let weight = match weight(&mut metadata) {
            Ok(weight) => weight,
            Err(odd) => return Err(odd).into(),
        };
        if let Some(version) = instance.version.filter(|version| is_text(version)) {
            metadata.insert("version".to_owned(), version);
        }
        let mut entry = Entry::default();
        let mut other = None;
        for endpoint in instance.endpoints.unwrap_or_default().into_iter().flatten() {
            if entry.specs.len() == MOST_ADDRESSES {
                entry.odd = Some(too_many());
                break;
            }
            match address::of_url(self.reached, &endpoint) {
                Ok(uri) => entry.specs.push(InstanceSpec { uri, weight, metadata: metadata.clone() }),
                // An instance has one for each protocol that it speaks.
                Err(odd) if odd.0 == Nonsense::OtherProtocol => other = Some(odd),
                Err(odd) => entry.odd = Some(odd),
            }
        }
        if entry.specs.is_empty() && entry.odd.is_none() {
            entry.odd = other.or_else(|| Some((Nonsense::Address, "it has no endpoints".to_owned())));
        }
        entry
    }

    fn go_zero(&self, rest: &[u8], value: &[u8]) -> Decoded {
        if rest.is_empty() || !rest.iter().all(u8::is_ascii_digit) {
            let text = "its key does not end in a number, as those of go-zero do";
            return Err((Nonsense::OtherService, text.to_owned()));
        }
        let text = std::str::from_utf8(value).map_err(|error| (Nonsense::Unreadable, error.to_string()))?;
        let uri = self.address(text.trim())?;
        Ok(vec![InstanceSpec { uri, weight: USUAL_WEIGHT, metadata: BTreeMap::new() }])
    }

    fn go_micro(&self, value: &[u8]) -> Entry {
        let service: GoMicro = match read(value) {
            Ok(service) => service,
            Err(odd) => return Err(odd).into(),
        };
        if service.name.as_deref() != Some(&self.service) {
            let text = format!("of service {:?}", service.name.unwrap_or_default());
            return Err((Nonsense::OtherService, text)).into();
        }
        let mut entry = Entry::default();
        for node in service.nodes.unwrap_or_default().into_iter().flatten() {
            if entry.specs.len() == MOST_ADDRESSES {
                entry.odd = Some(too_many());
                break;
            }
            match self.micro_node(node, service.version.as_deref()) {
                Ok(spec) => entry.specs.push(spec),
                Err(odd) => entry.odd = Some(odd),
            }
        }
        if entry == Entry::default() {
            entry.odd = Some((Nonsense::Address, "it has no nodes".to_owned()));
        }
        entry
    }

    fn micro_node(&self, node: MicroNode, version: Option<&str>) -> Result<InstanceSpec, (Nonsense, String)> {
        let mut metadata = texts(node.metadata);
        let wanted = if self.reached.rest { "http" } else { "grpc" };
        if let Some(protocol) = metadata.get("protocol").filter(|protocol| *protocol != wanted) {
            return Err((Nonsense::OtherProtocol, format!("it speaks {protocol:?}, and this backend {wanted}")));
        }
        let weight = weight(&mut metadata)?;
        if let Some(version) = version.filter(|version| is_text(version)) {
            metadata.insert("version".to_owned(), version.to_owned());
        }
        let uri = self.address(node.address.as_deref().unwrap_or_default())?;
        Ok(InstanceSpec { uri, weight, metadata })
    }

    fn grpc(&self, value: &[u8]) -> Decoded {
        let update: Update = read(value)?;
        match update.op.unwrap_or(0) {
            0 => {}
            1 => return Ok(Vec::new()),
            other => return Err((Nonsense::Unreadable, format!("expected Op 0 (added) or 1 (gone), found {other}"))),
        }
        let mut metadata = match update.metadata {
            Some(Value::Object(fields)) => texts(Some(fields.into_iter().collect())),
            _ => BTreeMap::new(),
        };
        let weight = weight(&mut metadata)?;
        let uri = self.address(update.addr.as_deref().unwrap_or_default())?;
        Ok(vec![InstanceSpec { uri, weight, metadata }])
    }

    fn address(&self, text: &str) -> Result<http::Uri, (Nonsense, String)> {
        address::of_instance(self.reached, text)
    }
}

/// kratos' `ServiceInstance`. Go writes `null` for what is not there.
#[derive(Debug, Deserialize)]
struct Kratos {
    name: Option<String>,
    version: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
    endpoints: Option<Vec<Option<String>>>,
}

#[derive(Debug, Deserialize)]
struct GoMicro {
    name: Option<String>,
    version: Option<String>,
    nodes: Option<Vec<Option<MicroNode>>>,
}

#[derive(Debug, Deserialize)]
struct MicroNode {
    address: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
}

/// gRPC's naming. Go reads names of fields in any case.
#[derive(Debug, Deserialize)]
struct Update {
    #[serde(rename = "Op", alias = "op")]
    op: Option<i64>,
    #[serde(rename = "Addr", alias = "addr")]
    addr: Option<String>,
    #[serde(rename = "Metadata", alias = "metadata", default, deserialize_with = "present")]
    metadata: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, (Nonsense, String)> {
    if value.is_empty() {
        return Err((Nonsense::Unreadable, "it is empty".to_owned()));
    }
    serde_json::from_slice(value).map_err(|error| (Nonsense::Unreadable, error.to_string()))
}

fn too_many() -> (Nonsense, String) {
    (Nonsense::TooMany, format!("it has more than {MOST_ADDRESSES} addresses"))
}

/// What is no number is passed over, as kratos does.
fn weight(metadata: &mut BTreeMap<String, String>) -> Result<f64, (Nonsense, String)> {
    let Some(text) = metadata.remove("weight") else { return Ok(USUAL_WEIGHT) };
    match text.trim().parse::<f64>() {
        Ok(weight) if weight > 0.0 && weight < 1e6 => Ok(weight),
        Ok(weight) => Err((Nonsense::Weight, format!("weight {weight}: expected one from above 0 to below 1000000"))),
        Err(_) => Ok(USUAL_WEIGHT),
    }
}

#[cfg(test)]
mod tests;
