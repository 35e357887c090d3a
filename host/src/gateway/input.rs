//! What a guest is given of a request: decoded, and no more than its manifest asks for.

use crate::{
    artifact::EndpointPolicy,
    identity::is_internal,
    model::{Deadline, Fault, Party},
    plugin,
    release::Endpoint,
    routing::{Pairs, not_utf8},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

/// The parts of a request, before the body is there.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) path: String,
    pub(super) params: Pairs,
    pub(super) query: Pairs,
    pub(super) headers: Pairs,
    pub(super) client: &'a str,
    pub(super) party: &'a Party,
    pub(super) request_id: &'a HeaderValue,
    pub(super) deadline: Deadline,
}

impl Given<'_> {
    pub(super) fn into_request(self, body: Bytes) -> plugin::Request {
        plugin::Request {
            endpoint: self.endpoint.name.clone(),
            path: self.path,
            params: self.params,
            query: self.query,
            headers: self.headers,
            body: body.into(),
            client: self.client.to_owned(),
            identity: shown(self.party, &self.endpoint.policy),
            request_id: self.request_id.to_str().unwrap_or_default().to_owned(),
            deadline_ms: u32::try_from(self.deadline.remaining().as_millis()).unwrap_or(u32::MAX),
            extensions: Vec::new(),
        }
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
