//! A request for an endpoint that no case asks: made from its schemas.

use super::stage::Asked;
use crate::{
    artifact::{Auth, EndpointPolicy, EndpointSchema},
    mocks::generate,
};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Which values are made.
const SEED: u64 = 7;

/// The request; or why there is none.
pub(super) fn request(policy: &EndpointPolicy, schema: Option<&EndpointSchema>) -> Result<Asked, String> {
    let mut target = String::new();
    let params = schema.and_then(|schema| schema.more.get("params")?.as_array());
    let of = |name: &str| {
        let found = params.into_iter().flatten().find(|param| param.get("name").is_some_and(|other| *other == name));
        found.and_then(|param| param.get("schema")).filter(|of| of.is_object())
    };
    for segment in policy.name.template().split('/').skip(1) {
        target.push('/');
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(name) => {
                let name = name.trim_start_matches('*');
                target += &encoded(&text(&named(name, of(name))?));
            }
            None => target += segment,
        }
    }
    if let Some(query) = schema.and_then(|schema| schema.query.as_ref()) {
        let pairs: Vec<String> =
            pairs(query)?.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if !pairs.is_empty() {
            target = format!("{target}?{}", pairs.join("&"));
        }
    }
    let body = match schema.and_then(|schema| schema.request.as_ref()) {
        Some(of) => Some(generate::value(of, SEED)?.to_string().into_bytes()),
        None => None,
    };
    let headers = policy.headers.iter().filter(|name| *name == "accept-language");
    let headers = headers.map(|name| (name.to_string(), "en".to_owned())).collect();
    Ok(Asked { method: policy.name.method.clone(), target, headers, caller: caller(policy), body })
}

/// Who calls, where the endpoint looks at that.
pub(super) fn caller(policy: &EndpointPolicy) -> Option<Map<String, Value>> {
    if policy.auth == Auth::None {
        return None;
    }
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), json!("weft-test"));
    for name in &policy.claims {
        claims.entry(name.clone()).or_insert_with(|| json!("weft-test"));
    }
    Some(claims)
}

/// What has to be in the query.
fn pairs(of: &Value) -> Result<Vec<(String, String)>, String> {
    let required = of.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let made = generate::value(of, SEED)?;
    let mut pairs = Vec::new();
    for name in required {
        match made.get(name) {
            Some(Value::Array(items)) => pairs.extend(items.iter().map(|item| (name.to_owned(), text(item)))),
            Some(value) => pairs.push((name.to_owned(), text(value))),
            None => {}
        }
    }
    Ok(pairs)
}

/// A value for a parameter of this name.
fn named(name: &str, of: Option<&Value>) -> Result<Value, String> {
    let Some(of) = of else { return Ok(json!(SEED)) };
    let whole = json!({"type": "object", "properties": {name: of}, "required": [name]});
    Ok(generate::value(&whole, SEED)?.get(name).cloned().unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// As part of a path or of a query.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
