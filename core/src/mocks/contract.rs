//! `contract/`: what endpoints take and give while there is no code that says so.
//!
//! One file for each endpoint: its name, and JSON Schemas of its parts. Types that several of them have stand as `$defs` in a file
//! without an endpoint. A fragment of OpenAPI does as well ([`super::openapi`]).

use super::{file::File, openapi};
use crate::{
    artifact::{EndpointName, EndpointSchema},
    settings::{Mistakes, nearest},
};
use serde_json::{Map, Value, json};
use std::path::Path;

const KEYS: [&str; 12] = [
    "endpoint",
    "summary",
    "description",
    "params",
    "query",
    "request",
    "response",
    "stream",
    "status",
    "problems",
    "$defs",
    "$schema",
];

/// What the files of a folder say of endpoints, in the order of the files.
pub fn read(folder: &Path, mistakes: &Mistakes) -> Vec<EndpointSchema> {
    let files = super::files::read(folder, mistakes);
    let shared: Map<String, Value> = files
        .values()
        .filter(|file| file.get("endpoint").is_none() && file.get("paths").is_none())
        .filter_map(|file| file.get("$defs")?.as_object())
        .flatten()
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    let mut endpoints: Vec<EndpointSchema> = Vec::new();
    for (name, value) in &files {
        let file = File::new(folder.join(name).display().to_string(), mistakes);
        let Some(members) = value.as_object() else {
            file.mistake("", "expected an object");
            continue;
        };
        let found = match members {
            _ if members.contains_key("paths") => openapi::endpoints(members, &file),
            _ if members.contains_key("endpoint") => endpoint(members, &shared, &file).into_iter().collect(),
            _ if members.contains_key("$defs") => Vec::new(),
            _ => {
                file.mistake(
                    "",
                    "expected `endpoint` (a contract), `paths` (a fragment of OpenAPI) or `$defs` (types)",
                );
                Vec::new()
            }
        };
        for endpoint in found {
            if endpoints.iter().any(|other| other.method == endpoint.method && other.path == endpoint.path) {
                file.mistake("", format!("\"{} {}\" stands in another file already", endpoint.method, endpoint.path));
            } else {
                endpoints.push(endpoint);
            }
        }
    }
    endpoints
}

fn endpoint(members: &Map<String, Value>, shared: &Map<String, Value>, file: &File<'_>) -> Option<EndpointSchema> {
    for key in members.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let hint = match nearest(key, KEYS.into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("expected one of: {}", KEYS.join(", ")),
        };
        file.mistake(key, format!("unknown key; {hint}"));
    }
    let name: EndpointName = match members.get("endpoint").and_then(Value::as_str).unwrap_or_default().parse() {
        Ok(name) => name,
        Err(error) => {
            let error: crate::artifact::BadEndpoint = error;
            file.mistake("endpoint", error.to_string());
            return None;
        }
    };
    let mut types = shared.clone();
    types.extend(members.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default());
    let part = |key: &str| {
        let schema = members.get(key).filter(|schema| !schema.is_null())?;
        Some(file.schema(key, schema, &types))
    };
    let text = |key: &str| members.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let given = members.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
    for key in given.keys().filter(|key| !name.params().contains(key)) {
        file.mistake(&format!("params.{key}"), format!("{} has no such parameter", name.template()));
    }
    let params = name.params().iter().map(|param| {
        let schema = given.get(param).map(|schema| file.schema(&format!("params.{param}"), schema, &types));
        json!({ "name": param, "schema": schema })
    });
    let response = part("response");
    let status = members.get("status").cloned().unwrap_or_else(|| json!(if response.is_some() { 200 } else { 204 }));
    if !status.as_u64().is_some_and(|status| (200..300).contains(&status)) {
        file.mistake("status", format!("expected the status of a good answer, from 200 to 299, found {status}"));
    }
    let mut more = Map::new();
    more.insert("params".to_owned(), params.collect());
    more.insert("status".to_owned(), status);
    more.insert("description".to_owned(), text("description").into());
    match members.get("stream") {
        None | Some(Value::Bool(_)) => {
            more.extend(members.get_key_value("stream").map(|(key, is)| (key.clone(), is.clone())))
        }
        Some(other) => file.mistake("stream", format!("expected true or false, found {other}")),
    }
    if let Some(problems) = members.get("problems") {
        more.insert("problems".to_owned(), problems.clone());
    }
    Some(EndpointSchema {
        method: name.method.to_string(),
        path: name.template().to_owned(),
        summary: text("summary"),
        request: part("request"),
        response,
        query: part("query"),
        more,
    })
}
