//! An artifact that stands in for a plugin: its manifest without calls, its schemas and examples, and no code. A host loads it as any
//! other, and whoever runs its guests answers by [`super::Mocks`].

use super::{
    example::{CALLS, SEED},
    injection::HEADERS,
};
use crate::artifact::{CONTRACT, EndpointSchema, STREAMING, Sections};
use serde_json::{Map, Value, json};
use toml::Table;

/// A component of nothing.
const NOTHING: &[u8] = b"\0asm\x0d\0\x01\0";
/// What only code needs.
const OF_CODE: [&str; 2] = ["calls", "fallback"];

/// The bytes of such an artifact, made of a plugin that was read and found right.
pub fn stand_in(
    manifest: &str,
    schema: &[EndpointSchema],
    files: &Map<String, Value>,
    seed: u64,
) -> Result<Vec<u8>, String> {
    let mut manifest: Table = manifest.parse().map_err(|error| format!("the manifest can't be read: {error}"))?;
    let granted = manifest.get("calls").and_then(toml::Value::as_table).into_iter().flatten();
    let calls: Vec<String> = granted
        .flat_map(|(service, methods)| {
            let methods = methods.as_array().into_iter().flatten().filter_map(toml::Value::as_str);
            methods.map(move |method| format!("{service}/{method}"))
        })
        .collect();
    for key in OF_CODE {
        manifest.remove(key);
    }
    let endpoints = manifest.get_mut("endpoint").and_then(toml::Value::as_table_mut);
    for (_, endpoint) in endpoints.into_iter().flatten() {
        if let Some(endpoint) = endpoint.as_table_mut() {
            sees_wishes(endpoint);
        }
    }
    let mut files = files.clone();
    files.insert(CALLS.to_owned(), json!(calls));
    files.insert(SEED.to_owned(), json!(seed));
    let bytes = |value: serde_json::Result<Vec<u8>>| value.map_err(|error| error.to_string());
    let sections = Sections {
        manifest: manifest.to_string(),
        schema: bytes(serde_json::to_vec(schema))?,
        mocks: bytes(serde_json::to_vec(&files))?,
        contract: if schema.iter().any(EndpointSchema::streams) { STREAMING } else { CONTRACT }.to_owned(),
        ..Sections::default()
    };
    Ok(sections.append_to(NOTHING))
}

/// The guest is shown the headers by which a request says what it wants to see; so what is kept differs by them.
fn sees_wishes(endpoint: &mut Table) {
    let add = |table: &mut Table, key: &str| {
        let list = table.entry(key).or_insert_with(|| toml::Value::Array(Vec::new()));
        if let Some(list) = list.as_array_mut() {
            list.extend(HEADERS.map(|name| toml::Value::String(name.to_owned())));
        }
    };
    add(endpoint, "headers");
    if let Some(cache) = endpoint.get_mut("cache").and_then(toml::Value::as_table_mut) {
        add(cache, "vary");
    }
}
