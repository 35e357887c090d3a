//! What agents have to know to get a token: what it has to be for, and who gives it (RFC 9728).

use super::super::Gateway;
use crate::{
    model::{Fault, ProblemType},
    routing::{Agents, Client},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::json;

impl Gateway {
    /// The metadata of the resource, where tokens count at all.
    pub(in crate::gateway) fn metadata(&self, client: &Client) -> Option<Bytes> {
        let (verifier, resource) = (self.verifier.as_ref()?, client.resource()?);
        let mut metadata = json!({
            "resource": resource.uri,
            "bearer_methods_supported": ["header"],
            "resource_name": client.name,
        });
        // What there is none of is left out.
        let mut add = |name: &str, list: Vec<&str>| {
            if let (false, Some(members)) = (list.is_empty(), metadata.as_object_mut()) {
                members.insert(name.to_owned(), json!(list));
            }
        };
        add("authorization_servers", verifier.issuers());
        add("scopes_supported", client.agents_scope().into_iter().collect());
        Some(metadata.to_string().into())
    }
}

/// A refusal for want of a token, or of a scope, says where to read about the resource.
pub(super) fn named(mut fault: Fault, agents: &Agents) -> Fault {
    let is_for_token = matches!(fault.problem.kind, ProblemType::Unauthorized | ProblemType::InsufficientScope);
    let Some(resource) = agents.resource.as_ref().filter(|_| is_for_token) else { return fault };
    let challenges = fault.problem.headers.iter_mut().filter(|(name, _)| *name == header::WWW_AUTHENTICATE);
    for (_, value) in challenges {
        let said = value.to_str().unwrap_or("Bearer").to_owned();
        let comma = if said.contains('=') { "," } else { "" };
        let mut text = format!("{said}{comma} resource_metadata=\"{}\"", resource.metadata_uri());
        if let Some(scope) = agents.scope.as_ref().filter(|_| !said.contains("scope=")) {
            text.push_str(&format!(", scope=\"{scope}\""));
        }
        if let Ok(text) = HeaderValue::try_from(text) {
            *value = text;
        }
    }
    fault
}
