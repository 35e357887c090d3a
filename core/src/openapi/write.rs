//! One operation of the document.

use super::{
    NoDocument,
    operation::Operation,
    parameters,
    place::Use,
    responses::{self, is_json},
    schemas::Schemas,
};
use crate::{
    artifact::{Auth, Deprecated},
    settings::Rate,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

pub(super) fn operation(operation: &Operation<'_>, schemas: &mut Schemas) -> Result<Value, NoDocument> {
    mark_members(operation, schemas);
    write(operation, schemas).map_err(|reason| operation.bad(reason))
}

fn write(operation: &Operation<'_>, schemas: &Schemas) -> Result<Value, String> {
    let (policy, schema) = (operation.policy, operation.schema);
    let mut written = Map::new();
    let mut add = |name: &str, value: Value| drop(written.insert(name.to_owned(), value));
    add("operationId", operation.id.as_str().into());
    add("tags", json!([operation.part.plugin]));
    if let Some(summary) = schema.map(|schema| &schema.summary).filter(|summary| !summary.is_empty()) {
        add("summary", summary.as_str().into());
    }
    if let Some(description) = operation.more("description").filter(|text| *text != "") {
        add("description", description.clone());
    }
    add("parameters", parameters::write(operation, schemas)?.into());
    if let Some(body) = body(operation, schemas)? {
        add("requestBody", body);
    }
    add("responses", Value::Object(responses::write(operation, schemas)?));
    add("security", security(policy.auth));
    add("x-weft-timeout", seconds(policy.timeout));
    if let Some(deprecated) = &policy.deprecated {
        add("deprecated", true.into());
        add("x-weft-deprecated", about(deprecated));
    }
    if let Some(cache) = &policy.cache {
        let vary = cache.vary.iter().map(http::HeaderName::as_str);
        let vary: Vec<&str> = vary.filter(|name| !name.starts_with(parameters::OF_MOCKS)).collect();
        let (ttl, stale) = (seconds(cache.ttl), seconds(cache.stale));
        add(
            "x-weft-cache",
            json!({ "ttl": ttl, "stale-while-revalidate": stale, "scope": cache.scope.as_str(), "vary": vary }),
        );
    }
    if let Some(rule) = policy.idempotency {
        let (ttl, scope) = (seconds(rule.ttl), rule.scope.as_str());
        add("x-weft-idempotency", json!({ "ttl": ttl, "scope": scope, "strict": rule.strict }));
    }
    let rates = rates(operation);
    if !rates.is_empty() {
        add("x-weft-rates", rates.into());
    }
    if operation.is_read() && !operation.part.told.methods.is_empty() {
        let parts = operation
            .part
            .told
            .methods
            .iter()
            .map(|(method, stands_in)| json!({ "part": method, "fallback": stands_in }));
        add("x-weft-degradable", parts.collect());
    }
    Ok(Value::Object(written))
}

fn body(operation: &Operation<'_>, schemas: &Schemas) -> Result<Option<Value>, String> {
    if operation.is_read() {
        return Ok(None);
    }
    let root = operation.schema.and_then(|schema| schema.request.as_ref());
    let consumes = &operation.policy.consumes;
    // Code that says nothing of its body takes one only where the manifest names other types than the usual one.
    if root.is_none() && consumes.iter().all(|kind| kind == "application/json") {
        return Ok(None);
    }
    let schema = root.map(|root| schemas.of_root(&(operation.id.clone(), Use::Request), root)).transpose()?;
    let media = |kind: &String| {
        let of_kind = schema.as_ref().filter(|_| is_json(kind) || kind == "*/*");
        (kind.clone(), of_kind.map_or_else(|| json!({}), |schema| json!({ "schema": schema })))
    };
    let content: Map<String, Value> = consumes.iter().map(media).collect();
    Ok(Some(json!({ "required": root.is_some(), "content": content })))
}

fn security(auth: Auth) -> Value {
    match auth {
        Auth::None => json!([]),
        Auth::Optional => json!([{}, { "bearer": [] }]),
        Auth::Required => json!([{ "bearer": [] }]),
    }
}

/// The narrower before the wider.
fn rates(operation: &Operation<'_>) -> Vec<Value> {
    let (policy, surface) = (operation.policy, operation.surface);
    let rate = |rate: Option<Rate>, of: &str, to: &str| {
        Some(json!({ "requests": rate?.count, "seconds": rate?.period.as_secs(), "of": of, "to": to }))
    };
    let all = [
        rate(policy.principal_rate, "caller", "endpoint"),
        rate(surface.principal_rate, "caller", "client"),
        rate(policy.rate, "all", "endpoint"),
        rate(surface.rate, "all", "client"),
    ];
    all.into_iter().flatten().collect()
}

/// Whole seconds where they are whole.
fn seconds(time: Duration) -> Value {
    if time.subsec_nanos() == 0 { time.as_secs().into() } else { time.as_secs_f64().into() }
}

fn about(deprecated: &Deprecated) -> Value {
    let mut about = Map::new();
    about.insert("since".to_owned(), deprecated.since.to_string().into());
    about.extend(deprecated.sunset.map(|sunset| ("sunset".to_owned(), sunset.to_string().into())));
    about.extend(deprecated.link.as_ref().map(|link| ("link".to_owned(), link.as_str().into())));
    Value::Object(about)
}

/// Members of the answer that will go away, as the manifest says.
fn mark_members(operation: &Operation<'_>, schemas: &mut Schemas) {
    let Some(root) = operation.schema.and_then(|schema| schema.response.as_ref()) else { return };
    for (path, deprecated) in &operation.policy.deprecated_fields {
        schemas.mark(&(operation.id.clone(), Use::Response), root, path, &about(deprecated));
    }
}
