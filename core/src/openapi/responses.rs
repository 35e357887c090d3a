//! What an endpoint answers, by status.

use super::{
    headers,
    operation::Operation,
    place::Use,
    problems,
    schemas::{Schemas, reference},
    selected,
};
use crate::artifact::Auth;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// OpenAPI 3.1 has no place for the schema of an event.
const EVENTS: &str =
    "Events as they come. The schema is that of each event's `data`; `weft.end` and `weft.problem` are the host's own.";

pub(super) fn write(operation: &Operation<'_>, schemas: &Schemas) -> Result<Map<String, Value>, String> {
    let mut responses = Map::new();
    let status = operation.status();
    let key = status.map_or_else(|| "2XX".to_owned(), |status| status.to_string());
    responses.insert(key, good(operation, schemas, status)?);
    if operation.is_read() && !operation.policy.streams && status.is_none_or(|status| status == 200) {
        let headers = headers::some(["etag", "x-request-id"]);
        let text = "What you have is still the right answer (`if-none-match`).";
        responses.insert("304".to_owned(), json!({ "description": text, "headers": headers }));
    }
    for (status, names) in problems::by_status(operation) {
        responses.insert(status.to_string(), problem(operation, status, &names));
    }
    Ok(responses)
}

fn good(operation: &Operation<'_>, schemas: &Schemas, status: Option<u64>) -> Result<Value, String> {
    let policy = operation.policy;
    let mut names = vec!["x-request-id", "x-weft-degraded"];
    let when = |is: bool, more: &[&'static str]| if is { more.to_vec() } else { Vec::new() };
    names.extend(when(operation.is_read() && !policy.streams, &["etag"]));
    names.extend(when(operation.is_read(), &["cache-control"]));
    names.extend(when(policy.cache.is_some(), &["cache-status", "age"]));
    names.extend(when(operation.is_limited(), &["ratelimit", "ratelimit-policy"]));
    names.extend(when(policy.idempotency.is_some(), &["idempotent-replayed"]));
    if let Some(deprecated) = &policy.deprecated {
        names.push("deprecation");
        names.extend(deprecated.sunset.map(|_| "sunset"));
        names.extend(deprecated.link.as_ref().map(|_| "link"));
    }
    let mut headers = headers::some(names);
    let own = policy
        .response_headers
        .iter()
        .map(|name| (name.as_str().to_owned(), json!({ "schema": { "type": "string" } })));
    headers.extend(own);
    let phrase = status.and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok()?.canonical_reason());
    let mut response = Map::new();
    let text = if policy.streams { EVENTS } else { phrase.unwrap_or("A good answer.") };
    response.insert("description".to_owned(), text.into());
    response.insert("headers".to_owned(), Value::Object(headers));
    let is_empty = matches!(status, Some(204 | 205 | 304));
    let root = operation.schema.and_then(|schema| schema.response.as_ref()).filter(|_| !is_empty);
    let schema = root.map(|root| schemas.of_root(&(operation.id.clone(), Use::Response), root)).transpose()?;
    let schema = schema.map(|schema| if policy.fields.is_some() { selected::answer(schema) } else { schema });
    if !is_empty && (schema.is_some() || operation.is_read()) {
        let content = Value::Object(content(operation, schema.as_ref()));
        response.extend([("content".to_owned(), content)]);
    }
    Ok(Value::Object(response))
}

/// By media type, with the examples of the plugin's mocks where that is JSON.
fn content(operation: &Operation<'_>, schema: Option<&Value>) -> Map<String, Value> {
    let mut content = Map::new();
    for kind in &operation.policy.produces {
        let mut media = Map::new();
        if is_json(kind) {
            media.extend(schema.map(|schema| ("schema".to_owned(), schema.clone())));
            let examples = examples(operation);
            media.extend((!examples.is_empty()).then(|| ("examples".to_owned(), Value::Object(examples))));
        } else if operation.policy.streams {
            media.extend(schema.map(|schema| ("schema".to_owned(), schema.clone())));
            media.insert("x-weft-event-data".to_owned(), "application/json".into());
        }
        content.insert(kind.clone(), Value::Object(media));
    }
    content
}

pub(super) fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

/// The bodies that the files of `mocks/` have for it.
fn examples(operation: &Operation<'_>) -> Map<String, Value> {
    let mut found = Map::new();
    let endpoint = operation.policy.name.to_string();
    let files = operation.part.told.mocks.iter().filter(|(name, _)| !name.starts_with('.'));
    for (_, file) in files.filter(|(_, file)| file.get("endpoint").is_some_and(|name| *name == *endpoint)) {
        let mut add = |name: &str, example: &Value| {
            let status = example.get("status").and_then(Value::as_u64);
            let is_good = status.is_none_or(|status| operation.status().is_none_or(|usual| usual == status));
            if let Some(body) = example.get("body").filter(|_| is_good) {
                found.insert(name.to_owned(), json!({ "value": body }));
            }
        };
        match file.get("examples").and_then(Value::as_object) {
            Some(named) => named.iter().for_each(|(name, example)| add(name, example)),
            None => add("default", file),
        }
    }
    found
}

fn problem(operation: &Operation<'_>, status: u16, names: &BTreeSet<String>) -> Value {
    let mut carried = vec!["x-request-id"];
    carried.extend(matches!(status, 409 | 429 | 503).then_some("retry-after"));
    carried.extend((status == 429).then_some(["ratelimit", "ratelimit-policy"]).into_iter().flatten());
    carried.extend((status == 401 && operation.policy.auth != Auth::None).then_some("www-authenticate"));
    let references: Vec<Value> = names.iter().map(|name| reference(name)).collect();
    let schema = match references.as_slice() {
        [only] => only.clone(),
        _ => json!({ "oneOf": references }),
    };
    let phrase = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Problem");
    json!({
        "description": phrase,
        "headers": headers::some(carried),
        "content": { "application/problem+json": { "schema": schema } },
    })
}
