//! What a guest is given of a request: decoded, and no more than its manifest asks for. Where its response is kept for others, no more
//! than all who may share it have in common: [`Given`] is the one list, from which both the key and the guest's request are made.

use super::parts::Parts;
use crate::{
    artifact::{EndpointPolicy, ResponseCache},
    fanout,
    identity::is_internal,
    model::{Deadline, Digest, Fault, Party, Scope, ShareKey, Trace},
    plugin,
    release::Endpoint,
    routing::{self, Pairs, not_utf8},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use std::{net::SocketAddr, sync::Arc};

/// All that a guest, and the backends that it calls, come to know of a request.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) client: String,
    pub(super) path: String,
    pub(super) params: Pairs,
    pub(super) query: Pairs,
    pub(super) headers: Pairs,
    pub(super) body: Bytes,
    pub(super) party: Party,
    /// The caller's own credential.
    pub(super) token: Option<HeaderValue>,
    /// The client's address, for balancers that stick to it.
    pub(super) source: Option<SocketAddr>,
    /// `None` where it is nobody's request in particular.
    pub(super) request_id: Option<HeaderValue>,
}

impl Given {
    /// Of this request alone what all have in common who may share its response under this rule.
    pub(super) fn in_common(self, rule: &ResponseCache) -> Self {
        let Self { endpoint, client, path: _, params, mut query, mut headers, body: _, party, token, .. } = self;
        // Stable: values of one name keep their order.
        query.sort_by(|a, b| a.0.cmp(&b.0));
        headers.retain(|(name, _)| rule.vary.iter().any(|varied| varied.as_str() == name));
        let path = routing::encode_path(endpoint.policy.name.template(), &params);
        let (party, token) = (party.narrowed(rule.scope), token.filter(|_| rule.scope == Scope::Principal));
        let (body, source, request_id) = (Bytes::new(), None, None);
        Self { endpoint, client, path, params, query, headers, body, party, token, source, request_id }
    }

    /// All of it as one digest; `None` where it may be shared with nobody: no rule, or a caller without what the scope asks for.
    pub(super) fn key(&self) -> Option<Digest> {
        let Self { endpoint, client, path, params, query, headers, body, party, token, source, request_id } = self;
        let scope = endpoint.policy.cache.as_ref()?.scope;
        // Of one request alone, and never in what is given for many.
        if source.is_some() || request_id.is_some() {
            return None;
        }
        let mut parts = Parts::default();
        let who = ShareKey::of(scope, party)?;
        parts.with(|out| who.write(out));
        parts.add(endpoint.release.digest.bytes());
        [endpoint.name.as_bytes(), client.as_bytes(), path.as_bytes(), body]
            .into_iter()
            .for_each(|part| parts.add(part));
        [params, query, headers].into_iter().for_each(|pairs| parts.pairs(pairs));
        if let Some(identity) = party.caller() {
            // All claims: the plugin, or a backend that is told of them, may answer by any.
            parts.add(&serde_json::to_vec(&identity.claims).ok()?);
            parts.add(token.as_ref().map_or(b"", HeaderValue::as_bytes));
        }
        Some(parts.digest())
    }

    /// The guest's request, and on whose behalf its calls are made.
    pub(super) fn split(self, deadline: Deadline, trace: Trace) -> (plugin::Request, fanout::Caller) {
        let Self { endpoint, client, path, params, query, headers, body, party, token, source, request_id } = self;
        let text = request_id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let request = plugin::Request {
            endpoint: endpoint.name.clone(),
            path,
            params,
            query,
            headers,
            body: body.into(),
            client,
            identity: shown(&party, &endpoint.policy),
            request_id: text,
            deadline_ms: u32::try_from(deadline.remaining().as_millis()).unwrap_or(u32::MAX),
            extensions: Vec::new(),
        };
        (request, fanout::Caller { party, token, request_id, trace, source })
    }
}

/// The identity with the claims that the manifest asks for, and no others; of a whole tenant, the tenant alone.
fn shown(party: &Party, policy: &EndpointPolicy) -> Option<plugin::Identity> {
    let identity = match party {
        Party::Anyone => return None,
        Party::Tenant(tenant) => {
            return Some(plugin::Identity {
                issuer: tenant.issuer.to_string(),
                subject: String::new(),
                tenant: Some(tenant.name.to_string()),
                scopes: Vec::new(),
                claims: "{}".to_owned(),
            });
        }
        Party::Caller(identity) => identity,
    };
    let asked = policy.claims.iter().filter_map(|name| Some((name.clone(), identity.claims.get(name)?.clone())));
    Some(plugin::Identity {
        issuer: identity.issuer.to_string(),
        subject: identity.subject.to_string(),
        tenant: identity.tenant.as_deref().map(str::to_owned),
        scopes: identity.scopes.clone(),
        claims: serde_json::Value::Object(asked.collect()).to_string(),
    })
}

/// Only the headers that the manifest asks for, and none by which the parties inside speak. What the body is belongs to the body, so
/// `content-type` is always given.
pub(super) fn headers(policy: &EndpointPolicy, headers: &HeaderMap) -> Result<Pairs, Fault> {
    let mut given = Vec::new();
    let asked = policy.headers.iter().filter(|name| !is_internal(name) && **name != CONTENT_TYPE);
    for name in asked.chain([&CONTENT_TYPE]) {
        for value in headers.get_all(name) {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| not_utf8("header", name.as_str()))?;
            given.push((name.as_str().to_owned(), text.to_owned()));
        }
    }
    Ok(given)
}
