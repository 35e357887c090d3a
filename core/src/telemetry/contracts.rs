//! Metrics of what clients were promised: who still calls what goes away, what plugins answer without having said so, and what agents ask
//! for.

use super::{
    Counter,
    labels::{AgentLabels, DeprecatedLabels, EndpointLabels},
};
use crate::sync::lock;
use prometheus_client::{metrics::family::Family, registry::Registry};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// Versions of apps that are told apart. Callers say them, so there may be any number.
const MOST_VERSIONS: usize = 100;
const LONGEST_VERSION: usize = 32;

/// What is told of all clients together. Cheap to clone.
#[derive(Clone, Default)]
pub struct Contracts {
    deprecated: Family<DeprecatedLabels, Counter>,
    undeclared: Family<EndpointLabels, Counter>,
    agents: Family<AgentLabels, Counter>,
    versions: Arc<Mutex<BTreeSet<String>>>,
}

impl std::fmt::Debug for Contracts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contracts").finish_non_exhaustive()
    }
}

impl Contracts {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "deprecated_requests",
            "Requests to deprecated endpoints, by the version that the app says it is",
            self.deprecated.clone(),
        );
        r.register(
            "undeclared_problems",
            "Problems that plugins answered with and that their code does not declare",
            self.undeclared.clone(),
        );
        r.register("agent_messages", "Messages of agents, and what came of them", self.agents.clone());
    }

    /// A request to something deprecated, by an app that says it is this version.
    pub fn called(&self, client: &str, endpoint: &str, version: Option<&str>) {
        let app = self.told(version);
        let (client, endpoint) = (client.to_owned(), endpoint.to_owned());
        self.deprecated.get_or_create(&DeprecatedLabels { client, endpoint, app }).inc();
    }

    /// A problem that was answered with and is not declared.
    pub fn undeclared(&self, endpoint: &EndpointLabels) {
        self.undeclared.get_or_create(endpoint).inc();
    }

    /// A message of an agent; both words are of few.
    pub fn said(&self, client: &str, message: &'static str, result: &'static str) {
        let (client, message, result) = (client.to_owned(), message.to_owned(), result.to_owned());
        self.agents.get_or_create(&AgentLabels { client, message, result }).inc();
    }

    pub(super) fn forget(&self, endpoint: &EndpointLabels) {
        self.undeclared.remove(endpoint);
    }

    /// The version where it is one of the first, `other` for the rest and for what is no version, `unknown` where none is said.
    fn told(&self, version: Option<&str>) -> String {
        let Some(version) = version else { return "unknown".to_owned() };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte);
        let mut known = lock(&self.versions);
        if known.contains(version) {
            return version.to_owned();
        }
        if version.is_empty()
            || version.len() > LONGEST_VERSION
            || !version.bytes().all(is_plain)
            || known.len() >= MOST_VERSIONS
        {
            return "other".to_owned();
        }
        known.insert(version.to_owned());
        version.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_apps_are_bounded() {
        let contracts = Contracts::default();
        assert_eq!(contracts.told(None), "unknown");
        assert_eq!(contracts.told(Some("4.2.0-beta+1")), "4.2.0-beta+1");
        for bad in ["", "a b", "\"}", "1".repeat(33).as_str()] {
            assert_eq!(contracts.told(Some(bad)), "other");
        }
        let told: BTreeSet<String> = (0..1000).map(|n| contracts.told(Some(&n.to_string()))).collect();
        assert_eq!(told.len(), MOST_VERSIONS, "99 more, and the others");
        assert_eq!(contracts.told(Some("4.2.0-beta+1")), "4.2.0-beta+1");
    }
}
