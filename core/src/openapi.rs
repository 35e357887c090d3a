//! What a client may ask and what it gets, as an OpenAPI 3.1 document: made of the artifacts of its plugins alone.
//!
//! Pure and deterministic: the same artifacts and settings give the same bytes, so that a document can stand in a repository. The types of
//! all plugins become components with names of their own ([`Schemas`]); what an endpoint may answer follows from its policy and from the
//! one table of problem types ([`problems`]).

mod bounds;
mod headers;
mod operation;
mod parameters;
mod place;
mod problems;
mod responses;
mod schemas;
mod selected;
mod walk;
mod write;

pub use bounds::LARGEST;
pub use problems::Problems;

use crate::{
    artifact::{Artifact, EndpointName, EndpointPolicy, EndpointSchema},
    settings::Rate,
};
use schemas::Schemas;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The client whose document it is, as far as that matters to who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    pub client: String,
    /// Under which the paths stand: `/web`, or `https://web.example.com`. `/` where nothing stands before them.
    pub servers: Vec<String>,
    /// A header that tells the client, and its value.
    pub header: Option<(String, String)>,
    pub rate: Option<Rate>,
    pub principal_rate: Option<Rate>,
    /// Writes have to come from pages of the same origin.
    pub same_origin: bool,
}

impl Surface {
    /// What is known of a client without its host's configuration.
    pub fn named(client: &str) -> Self {
        let servers = vec!["/".to_owned()];
        let client = client.to_owned();
        Self { client, servers, header: None, rate: None, principal_rate: None, same_origin: false }
    }
}

/// What one plugin gives to it.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub plugin: &'a str,
    pub version: &'a semver::Version,
    pub endpoints: &'a [EndpointPolicy],
    pub told: &'a Told,
}

/// What an artifact tells of its endpoints beside their policies.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub schema: Vec<EndpointSchema>,
    /// By file name.
    pub mocks: Map<String, Value>,
    /// What it may call; those with a reply that stands in are marked.
    pub methods: Vec<(String, bool)>,
}

impl Told {
    pub fn of(artifact: &Artifact) -> Self {
        let fallbacks = &artifact.manifest.fallbacks;
        let method = |method: &String| (method.clone(), fallbacks.contains_key(method));
        let mut methods: Vec<_> = artifact.methods.iter().map(method).collect();
        methods.sort();
        Self { schema: artifact.schema.clone(), mocks: artifact.mocks.clone(), methods }
    }

    /// The problems that the code of an endpoint may answer with.
    pub fn problems(&self, endpoint: &EndpointName) -> Problems {
        Problems::of(self.schema.iter().find(|schema| schema.is(endpoint)))
    }
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDocument {
    #[error("plugin `{plugin}`, {endpoint}: {reason}")]
    Schema { plugin: String, endpoint: String, reason: String },
    #[error("plugins `{first}` and `{second}` both have {endpoint}: a client has each of them once")]
    Twice { endpoint: String, first: String, second: String },
    #[error("it would have {0}: give the client fewer endpoints, or its types fewer fields")]
    TooLarge(String),
    #[error("it could not be made: {0}")]
    Failed(String),
}

/// The document of one client, made of these artifacts of its.
pub fn of_artifacts(surface: &Surface, artifacts: &[&Artifact]) -> Result<Value, NoDocument> {
    let told: Vec<_> = artifacts.iter().map(|artifact| Told::of(artifact)).collect();
    let parts = artifacts.iter().zip(&told).map(|(artifact, told)| Part {
        plugin: &artifact.manifest.name,
        version: &artifact.manifest.version,
        endpoints: &artifact.manifest.endpoints,
        told,
    });
    document(surface, parts.collect())
}

/// The document of one client.
pub fn document(surface: &Surface, mut parts: Vec<Part<'_>>) -> Result<Value, NoDocument> {
    parts.sort_by_key(|part| part.plugin);
    let operations = operation::all(surface, &parts)?;
    let mut schemas = Schemas::gather(&operations)?;
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in &operations {
        let item = paths.entry(&operation.path).or_default();
        item.insert(
            operation.policy.name.method.as_str().to_ascii_lowercase(),
            write::operation(operation, &mut schemas)?,
        );
    }
    let document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": info(surface, &parts),
        "servers": surface.servers.iter().map(|url| json!({ "url": url })).collect::<Vec<_>>(),
        "tags": parts.iter().map(tag).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": selected::with_parts(schemas.into_components(&operations)?, &paths),
            "headers": headers::components(),
            "securitySchemes": { "bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "The caller's token, as the operator's identity provider gives it.",
            } },
        },
    });
    bounds::check(&document)?;
    Ok(sorted(document))
}

fn info(surface: &Surface, parts: &[Part<'_>]) -> Value {
    let versions: Vec<String> = parts.iter().map(|part| format!("{} {}", part.plugin, part.version)).collect();
    let version = match parts {
        [only] => only.version.to_string(),
        [] => "0.0.0".to_owned(),
        _ => versions.join(", "),
    };
    let mut description = format!("What the client `{}` may ask, and what it gets.", surface.client);
    if let Some((name, value)) = &surface.header {
        description.push_str(&format!(
            "\n\nRequests carry the header `{name}: {value}`, by which this client is told from others."
        ));
    }
    description.push_str(
        "\n\nErrors are problem documents (RFC 9457): go by `type`, and where that is `about:blank` by `status`. Every answer carries \
         `x-request-id`; name it when you report a fault.",
    );
    json!({ "title": surface.client, "version": version, "description": description })
}

fn tag(part: &Part<'_>) -> Value {
    json!({ "name": part.plugin, "description": format!("Plugin {} {}", part.plugin, part.version) })
}

/// Members in the order of their names, whatever map serde_json has been built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members.into_iter().map(|(name, it)| (name, sorted(it))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// The document as it is printed and served: the same bytes each time.
pub fn text(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
