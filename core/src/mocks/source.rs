//! A plugin's folder, as far as it says something without being compiled.

use super::{Mocks, contract, files};
use crate::{
    artifact::{EndpointName, EndpointSchema, Manifest, read_manifest},
    settings::{self, Mistake, Mistakes},
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Beside `plugin.toml`: what endpoints take and give while there is no code.
pub const CONTRACT_FOLDER: &str = "contract";
/// Beside `plugin.toml`: what they answer where nothing runs.
pub const MOCKS_FOLDER: &str = "mocks";

/// What was read of it.
#[derive(Debug, Clone)]
pub struct Source {
    pub folder: PathBuf,
    /// `plugin.toml` as it is.
    pub text: String,
    pub manifest: Manifest,
    /// By the contract, or by who knows the code.
    pub schema: Vec<EndpointSchema>,
    /// By file name.
    pub files: Map<String, Value>,
}

impl Source {
    /// Whether there is code in it: then the code says what its endpoints are.
    pub fn has_code(folder: &Path) -> bool {
        folder.join("Cargo.toml").exists() || folder.join("src").exists()
    }

    /// Whether a contract stands beside its manifest.
    pub fn has_contract(folder: &Path) -> bool {
        folder.join(CONTRACT_FOLDER).exists()
    }

    /// Reads a folder; `schema` is what its code says, where it has some. Every mistake is found in one go.
    pub fn read(folder: &Path, schema: Option<Vec<EndpointSchema>>) -> Result<Self, Vec<Mistake>> {
        let file = folder.join("plugin.toml");
        let text = settings::text(&file).map_err(|mistake| vec![mistake])?;
        let mistakes = Mistakes::new();
        let schema = match schema {
            Some(schema) => schema,
            None if !Self::has_contract(folder) => of_anything(&file, &text),
            None => contract::read(&folder.join(CONTRACT_FOLDER), &mistakes),
        };
        // What is wrong with the contract would show as missing endpoints.
        let contract = mistakes.is_empty().then_some(schema.as_slice());
        let manifest = match read_manifest(&file, &text, contract, None) {
            Ok(manifest) => Some(manifest),
            Err(more) => {
                more.into_iter().for_each(|mistake| mistakes.add(mistake));
                None
            }
        };
        let mocks = folder.join(MOCKS_FOLDER);
        let files = files::read(&mocks, &mistakes);
        if let Some(manifest) = &manifest {
            Mocks::read(manifest, &schema, &files, &mocks.display().to_string(), &mistakes);
        }
        match (manifest, mistakes.into_sorted()) {
            (Some(manifest), mistakes) if mistakes.is_empty() => {
                Ok(Self { folder: folder.to_owned(), text, manifest, schema, files })
            }
            (_, mistakes) => Err(mistakes),
        }
    }
}

/// Endpoints of which nobody has said anything yet: they give what their examples say.
fn of_anything(file: &Path, text: &str) -> Vec<EndpointSchema> {
    // What is wrong with it is told by who reads it next.
    let endpoints = read_manifest(file, text, None, None).map(|manifest| manifest.endpoints).unwrap_or_default();
    let params =
        |names: &[String]| names.iter().map(|name| json!({ "name": name, "schema": null })).collect::<Vec<_>>();
    let endpoint = |name: &EndpointName| EndpointSchema {
        method: name.method.to_string(),
        path: name.template().to_owned(),
        summary: String::new(),
        request: None,
        response: Some(Value::Bool(true)),
        query: None,
        more: [("params".to_owned(), json!(params(name.params()))), ("status".to_owned(), json!(200))]
            .into_iter()
            .collect(),
    };
    endpoints.iter().map(|policy| endpoint(&policy.name)).collect()
}
