//! The one file of a plugin version: a component with custom sections that say what it is and what it may do.
//!
//! `weft build` writes it, the host reads it. Its SHA-256 digest is its identity.

mod bounds;
mod declared;
mod deprecated;
mod descriptors;
mod endpoint;
mod fallback;
mod manifest;
mod member;
mod response_cache;
mod sections;
mod selectable;
mod streaming;

/// By which an artifact is known.
use crate::model::Digest;
pub use bounds::SCHEMA as MOST_SCHEMA;
pub use declared::DeclaredProblem;
pub use deprecated::Deprecated;
pub use descriptors::{Gathered, LARGEST as LARGEST_DESCRIPTORS, read_descriptors, read_what_is_understood};
pub use endpoint::{BadEndpoint, EndpointName, normal};
pub use manifest::{Auth, EndpointPolicy, Idempotency, Isolation, Limits, Manifest, Priority, Redact};
pub use member::member;
pub use response_cache::ResponseCache;
pub use sections::{CONTRACT, STREAMING, Sections};
pub use selectable::{FIELDS, Selectable};

use crate::settings::{Document, Mistake, Mistakes, visible};
use bytes::Bytes;
use prost_reflect::DescriptorPool;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A file that was read and found to be whole and in agreement with itself. Whether its component can run is not known yet.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub digest: Digest,
    /// The whole file.
    pub bytes: Bytes,
    pub manifest: Manifest,
    /// Full names; the guest calls them by their place.
    pub methods: Vec<String>,
    pub descriptors: DescriptorPool,
    /// One for each endpoint of the manifest.
    pub schema: Vec<EndpointSchema>,
    /// By file name: what `mocks/` held.
    pub mocks: serde_json::Map<String, serde_json::Value>,
    /// The version of the contract it was built for.
    pub contract: String,
}

/// What the code says of one endpoint. The schemas are JSON Schemas (2020-12).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointSchema {
    pub method: String,
    pub path: String,
    #[serde(default)]
    pub summary: String,
    pub request: Option<serde_json::Value>,
    pub response: Option<serde_json::Value>,
    pub query: Option<serde_json::Value>,
    /// What else the SDK tells: parameters, status, whether it takes the caller's identity.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl EndpointSchema {
    /// Whether this is what the code says of the endpoint with that name.
    pub fn is(&self, name: &EndpointName) -> bool {
        name.method.as_str() == self.method && name.template() == self.path
    }

    /// Whether it answers in parts.
    pub fn streams(&self) -> bool {
        self.more.get("stream").is_some_and(|stream| stream == true)
    }

    /// Whether the code can't do without the caller's identity.
    pub fn needs_identity(&self) -> bool {
        self.more.get("identity").is_some_and(|need| need == "required")
    }

    /// Whether the code looks at which members of its answer are chosen.
    pub fn selects(&self) -> bool {
        self.more.get("selection").is_some_and(|selects| *selects == true)
    }
}

/// Why a file is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(String),
    #[error("section `{0}` is missing: build the plugin with `weft build`")]
    Missing(&'static str),
    #[error("section `{section}` can't be read: {reason}")]
    Bad { section: &'static str, reason: String },
    #[error(
        "built for contract {found}, and this host serves {CONTRACT} and {STREAMING}: build it again with an SDK for one of them, or serve it \
         with a newer host"
    )]
    Contract { found: String },
    #[error("the manifest has mistakes:\n{}", lines(.0))]
    Manifest(Vec<Mistake>),
}

/// Mistakes that are told of one artifact.
const MOST_TOLD: usize = 100;

fn lines(mistakes: &[Mistake]) -> String {
    let more = mistakes.len().saturating_sub(MOST_TOLD);
    let told = mistakes.iter().take(MOST_TOLD).map(|mistake| format!("  {mistake}"));
    told.chain((more > 0).then(|| format!("  and {more} more"))).collect::<Vec<_>>().join("\n")
}

impl Artifact {
    /// Reads the sections and checks that they agree.
    pub fn parse(bytes: Bytes) -> Result<Self, ArtifactError> {
        let sections = Sections::read(&bytes)?;
        if ![CONTRACT, STREAMING].contains(&sections.contract.as_str()) {
            return Err(ArtifactError::Contract { found: visible(sections.contract) });
        }
        bounds::check(&sections)?;
        let bad = |section: &'static str, reason: &dyn std::fmt::Display| ArtifactError::Bad {
            section,
            reason: visible(reason.to_string()),
        };
        let descriptors = read_descriptors(&sections.descriptors).map_err(|e| bad("weft:descriptors", &e))?;
        let schema: Vec<EndpointSchema> =
            serde_json::from_slice(&sections.schema).map_err(|e| bad("weft:schema", &e))?;
        bounds::within("weft:schema", schema.len(), bounds::MOST_ENDPOINTS, "endpoints")?;
        let mocks = serde_json::from_slice(&sections.mocks).map_err(|e| bad("weft:mocks", &e))?;
        let manifest = read_manifest(Path::new("plugin.toml"), &sections.manifest, Some(&schema), Some(&descriptors))
            .map_err(ArtifactError::Manifest)?;
        if let Some(method) = sections.methods.iter().find(|method| !manifest.grants(method)) {
            let reason = format!("method {method} is in the table, but not in [calls] of the manifest");
            return Err(bad("weft:methods", &reason));
        }
        // A host that does not know of streams would take it for a plugin like all others, and fail when it links it.
        if sections.contract == CONTRACT
            && let Some(stream) = schema.iter().find(|endpoint| endpoint.streams())
        {
            let reason = format!(
                "`{} {}` answers in parts, which contract {CONTRACT} has not: that is {STREAMING}",
                stream.method, stream.path
            );
            return Err(bad("weft:contract", &reason));
        }
        let digest = Digest::of(&bytes);
        let (methods, contract) = (sections.methods, sections.contract);
        Ok(Self { digest, bytes, manifest, methods, descriptors, schema, mocks, contract })
    }
}

/// Reads a manifest and, where they are known, checks it against what the code says and what the protos have.
pub fn read_manifest(
    file: &Path,
    text: &str,
    schema: Option<&[EndpointSchema]>,
    descriptors: Option<&DescriptorPool>,
) -> Result<Manifest, Vec<Mistake>> {
    let mistakes = Mistakes::new();
    let mut manifest = {
        let document = Document::parse(file, text, &mistakes);
        Manifest::read(&document.table(&mistakes))
    };
    if let Some(manifest) = &mut manifest {
        if let Some(schema) = schema {
            manifest.check_endpoints(schema, &mistakes);
        }
        if let Some(descriptors) = descriptors {
            manifest.check_calls(descriptors, &mistakes);
            manifest.read_fallbacks(descriptors, &mistakes);
        }
    }
    match (manifest, mistakes.into_sorted()) {
        (Some(manifest), mistakes) if mistakes.is_empty() => Ok(manifest),
        (_, mistakes) => Err(mistakes),
    }
}

#[cfg(test)]
mod tests;
