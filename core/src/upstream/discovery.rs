//! Where a backend's instances come from: the provider that `endpoints = "SCHEME://…"` names.
//!
//! A provider knows whole sets only. Whenever it knows another one it hands it to [`Backend::offer`](super::Backend::offer), which keeps
//! what is known of instances that stay, and refuses what would leave nothing; no provider has a state of instances, and none is asked
//! while calls are made. `static://` is the one that knows its only set at once.

use crate::settings::Table;
use http::Uri;
use std::collections::BTreeMap;

/// One instance, as a provider tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSpec {
    /// Scheme and authority: `http://127.0.0.1:50051`. By it an instance is known again.
    pub uri: Uri,
    /// Its share of calls, relative to the others, for the policies that know weights. Above 0.
    pub weight: f64,
    /// What else is known of it: `version`, `zone`.
    pub metadata: BTreeMap<String, String>,
}

/// Where sets of instances come from.
#[derive(Debug, Clone)]
pub enum Provider {
    /// `static://HOST:PORT,HOST:PORT`.
    Static(Vec<InstanceSpec>),
}

impl Provider {
    /// Without instances only where a mistake is noted.
    pub(super) fn read(table: &Table<'_>, scheme: &str) -> Self {
        let text: Option<String> = table.required("endpoints");
        Self::Static(text.map(|text| fixed(table, &text, scheme)).unwrap_or_default())
    }

    /// The set that is known before anything is asked.
    pub fn known(&self) -> &[InstanceSpec] {
        match self {
            Self::Static(specs) => specs,
        }
    }
}

/// `static://HOST:PORT,HOST:PORT?weight=3&version=2`.
fn fixed(table: &Table<'_>, text: &str, scheme: &str) -> Vec<InstanceSpec> {
    let Some(list) = text.strip_prefix("static://") else {
        table.mistake("endpoints", "expected \"static://HOST:PORT,HOST:PORT\"");
        return Vec::new();
    };
    let mut endpoints: Vec<InstanceSpec> = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (authority, query) = item.split_once('?').unwrap_or((item, ""));
        let uri = format!("{scheme}://{authority}").parse::<Uri>().ok();
        let Some(uri) = uri.filter(|uri| uri.port_u16().is_some() && uri.path() == "/") else {
            table.mistake("endpoints", format!("expected HOST:PORT, found {authority:?}"));
            continue;
        };
        if endpoints.iter().any(|other| other.uri == uri) {
            table.mistake("endpoints", format!("{authority} stands there twice"));
        }
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut metadata: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let weight =
            metadata.remove("weight").map_or(Some(1.0), |text| text.parse().ok().filter(|w| *w > 0.0 && *w < 1e6));
        if weight.is_none() {
            table.mistake("endpoints", format!("{authority}: expected a weight above 0"));
        }
        endpoints.push(InstanceSpec { uri, weight: weight.unwrap_or(1.0), metadata });
    }
    endpoints
}
