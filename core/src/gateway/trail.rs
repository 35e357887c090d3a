//! What a request leaves behind on its way, whatever it ends in.

use super::Left;
use crate::{
    artifact::Auth,
    model::{Fault, Identity},
    observe::{RequestObserver, Stats},
    release::Endpoint,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::VARY};
use std::sync::Arc;

/// The status that a request has ended with, and the fault if it was one.
pub(super) type Ended = (StatusCode, Option<Fault>);

/// What is told about a request that found its endpoint, whether it went well or not.
#[derive(Debug, Default)]
pub struct Trail {
    pub client: Option<String>,
    pub endpoint: Option<Arc<Endpoint>>,
    /// Who called, once that is known.
    pub caller: Option<Arc<Identity>>,
    /// Who hears of its guest and its calls, where it has some of its own.
    pub observer: Option<Arc<RequestObserver>>,
    /// What the answer carries whatever it is.
    pub headers: HeaderMap,
    /// What is left of its rates, where it has some.
    pub left: Option<Left>,
    /// It may differ by who calls: no other cache may keep it for others, unless the plugin says so.
    pub is_private: bool,
    /// How the request within it has ended, where it is a call of an agent: its status, and its fault if it was one.
    pub(super) ended: Option<Ended>,
}

impl Trail {
    /// The sums of its guest and its calls.
    pub fn stats(&self) -> Option<&Stats> {
        self.observer.as_ref().map(|observer| observer.stats())
    }

    /// What is known of the answer with its endpoint.
    pub(super) fn found(&mut self, endpoint: &Arc<Endpoint>) {
        let policy = &endpoint.policy;
        self.endpoint = Some(endpoint.clone());
        self.is_private = policy.auth != Auth::None;
        self.vary_by(policy.cache.iter().flat_map(|rule| &rule.vary));
        if let Some(deprecated) = &policy.deprecated {
            self.headers.extend(deprecated.headers.iter().cloned());
        }
    }

    /// Each header by which the answer differs, once.
    pub(super) fn vary_by<'a>(&mut self, names: impl Iterator<Item = &'a HeaderName>) {
        for name in names {
            let value = HeaderValue::from(name.clone());
            if !self.headers.get_all(VARY).iter().any(|other| *other == value) {
                self.headers.append(VARY, value);
            }
        }
    }
}
