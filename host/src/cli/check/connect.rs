//! `weft check --connect`: what each backend's endpoints are now.

use crate::upstream::{Backend, Found, InstanceSpec, Skipped};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// For one answer.
const TIME: Duration = Duration::from_secs(15);
/// Of a long list.
const SHOWN: usize = 20;

/// What was found of one backend.
#[derive(Debug, serde::Serialize)]
pub(super) struct Endpoints {
    endpoints: Vec<Endpoint>,
    /// Entries that can't be used, by what is wrong: how many, and the first of them.
    skipped: BTreeMap<&'static str, (usize, String)>,
}

#[derive(Debug, serde::Serialize)]
struct Endpoint {
    address: String,
    weight: f64,
    metadata: BTreeMap<String, String>,
}

/// Asks all of them at once.
pub(super) async fn endpoints(backends: &[Arc<Backend>]) -> Vec<(&Backend, Result<Endpoints, String>)> {
    let asked: Vec<_> = backends.iter().map(|backend| tokio::spawn(ask(backend.clone()))).collect();
    let mut all = Vec::new();
    for (backend, asked) in backends.iter().zip(asked) {
        all.push((&**backend, asked.await.unwrap_or_else(|error| Err(error.to_string()))));
    }
    all
}

async fn ask(backend: Arc<Backend>) -> Result<Endpoints, String> {
    let found = tokio::time::timeout(TIME, backend.resolve()).await;
    match found.unwrap_or_else(|_| Err(format!("no answer within {TIME:?}"))) {
        Ok(found) if found.specs.is_empty() => Err(format!("no endpoints were found{}", skipped(&found))),
        Ok(found) => Ok(Endpoints::of(found)),
        Err(reason) => Err(format!("endpoints can't be found: {reason}")),
    }
}

fn skipped(found: &Found) -> String {
    let one = |s: &Skipped| format!("; {} are passed over ({}): {}", s.count, s.reason.as_str(), s.first);
    found.skipped.iter().map(one).collect()
}

impl Endpoints {
    fn of(found: Found) -> Self {
        let endpoint = |InstanceSpec { uri, weight, metadata }: InstanceSpec| Endpoint {
            address: uri.authority().map(ToString::to_string).unwrap_or_default(),
            weight,
            metadata,
        };
        let mut endpoints: Vec<_> = found.specs.into_iter().map(endpoint).collect();
        endpoints.sort_by(|one, other| one.address.cmp(&other.address));
        let skipped = found.skipped.into_iter().map(|s| (s.reason.as_str(), (s.count, s.first))).collect();
        Self { endpoints, skipped }
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.endpoints.len();
        write!(f, "{count} {}", if count == 1 { "endpoint" } else { "endpoints" })?;
        for Endpoint { address, weight, metadata } in self.endpoints.iter().take(SHOWN) {
            write!(f, "\n    {address} weight={weight}")?;
            metadata.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))?;
        }
        if count > SHOWN {
            write!(f, "\n    and {} more", count - SHOWN)?;
        }
        for (reason, (count, first)) in &self.skipped {
            write!(f, "\n    passed over: {count} ({reason}), the first of them: {first}")?;
        }
        Ok(())
    }
}
