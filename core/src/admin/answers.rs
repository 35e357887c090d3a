//! What the admin interface answers, as types: it writes them, and `weft top` reads them.

use crate::{
    artifact::EndpointPolicy,
    events::EventsState,
    identity::KeyState,
    release::{Release, Report, Sums},
    routing::{Client, ClientRule},
    settings::Change,
    upstream::BackendState,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::SystemTime};

/// `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyAnswer {
    pub ready: bool,
    /// Why it is not.
    pub waits_for: Vec<WaitsFor>,
    /// What keeps no host from being ready, and should be known.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsFor {
    pub what: Wait,
    pub detail: String,
}

/// What a host may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    Plugins,
    Keys,
    /// It leaves.
    End,
}

impl Wait {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plugins => "plugins",
            Self::Keys => "keys",
            Self::End => "end",
        }
    }
}

/// `/v1/plugins`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PluginsAnswer {
    pub plugins: Vec<PluginAnswer>,
    /// Artifacts that are not served, and why.
    pub refused: Vec<Report>,
    pub requests_under_way: usize,
    pub loads_under_way: usize,
}

/// A release in service.
#[derive(Debug, Serialize, Deserialize)]
pub struct PluginAnswer {
    pub name: String,
    pub version: String,
    pub client: String,
    pub digest: String,
    pub file: String,
    pub state: PluginState,
    /// What is not run for a while.
    pub resting: Vec<String>,
    pub isolation: String,
    pub endpoints: Vec<String>,
    /// Seconds since 1970.
    pub loaded_at: u64,
    pub sums: Sums,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    Live,
    Resting,
}

impl PluginState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Resting => "resting",
        }
    }
}

/// `/v1/backends`.
#[derive(Debug, Serialize, Deserialize)]
pub struct BackendsAnswer {
    pub backends: Vec<BackendState>,
    /// Where messages about changes come from.
    #[serde(default)]
    pub events: Vec<EventsState>,
    /// None where none is configured.
    pub shared_cache: Option<TierState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TierState {
    Up,
    Away,
}

/// `/v1/identity`.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeysAnswer {
    pub keys: Vec<KeyState>,
}

/// `/v1/clients`.
#[derive(Debug, Serialize)]
pub struct ClientsAnswer {
    /// Where they ask, as a URL.
    pub public: String,
    pub clients: Vec<ClientAnswer>,
}

/// A client, and what it may ask.
#[derive(Debug, Serialize)]
pub struct ClientAnswer {
    pub name: String,
    #[serde(flatten)]
    pub rule: ClientRule,
    pub endpoints: Vec<EndpointAnswer>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EndpointAnswer {
    /// Its template.
    pub path: String,
    pub method: String,
    pub plugin: String,
    pub auth: &'static str,
}

/// `/v1/config`.
#[derive(Debug, Serialize)]
pub struct SettingsAnswer {
    /// Keys with their values as TOML, without secrets.
    pub settings: Vec<(String, String)>,
}

/// `/v1/config/reload`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReloadAnswer {
    pub changes: Vec<Change>,
}

impl From<&Release> for PluginAnswer {
    fn from(release: &Release) -> Self {
        let resting = release.resting();
        let loaded_at = release.loaded_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            name: release.name.clone(),
            version: release.version.to_string(),
            client: release.client.clone(),
            digest: release.digest.to_string(),
            file: release.file.display().to_string(),
            state: if resting.is_empty() { PluginState::Live } else { PluginState::Resting },
            resting,
            isolation: release.limits.isolation.as_str().to_owned(),
            endpoints: release.endpoints.iter().map(|endpoint| endpoint.name.to_string()).collect(),
            loaded_at: loaded_at.as_secs(),
            sums: release.sums(),
        }
    }
}

impl ClientAnswer {
    pub(super) fn of(client: &Client, releases: &[Arc<Release>]) -> Self {
        let own = releases.iter().filter(|release| release.client == client.name);
        let endpoint = |release: &Release, policy: &EndpointPolicy| EndpointAnswer {
            path: policy.name.template().to_owned(),
            method: policy.name.method.to_string(),
            plugin: format!("{} {}", release.name, release.version),
            auth: policy.auth.as_str(),
        };
        let mut endpoints: Vec<_> =
            own.flat_map(|release| release.endpoints.iter().map(move |policy| endpoint(release, policy))).collect();
        endpoints.sort();
        Self { name: client.name.clone(), rule: client.rule(), endpoints }
    }
}

impl TierState {
    pub(super) fn of(is_up: bool) -> Self {
        if is_up { Self::Up } else { Self::Away }
    }
}
