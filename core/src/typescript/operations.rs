//! The operations of a document, each with the name of its function.

use super::names::{self, Names};
use crate::compat::{Document, Unreadable};
use serde_json::{Map, Value};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// An operation of a document, and what its function is called.
#[derive(Debug)]
pub(super) struct Endpoint<'a> {
    pub(super) method: String,
    pub(super) template: &'a str,
    pub(super) item: &'a Value,
    pub(super) operation: &'a Value,
    pub(super) function: String,
}

/// All of them, in the document's order.
pub(super) fn endpoints<'a>(document: &'a Document, names: &mut Names) -> Result<Vec<Endpoint<'a>>, Unreadable> {
    let mut found = Vec::new();
    for (template, item) in document.section("paths") {
        let item = document.resolved(item)?;
        for method in METHODS {
            let Some(operation) = item.get(method).filter(|operation| operation.is_object()) else { continue };
            let id = operation.get("operationId").and_then(Value::as_str).filter(|id| !id.is_empty());
            let wanted = names::function_name(&id.map_or_else(|| spoken(method, template), str::to_owned));
            let (function, method) = (names.take(&wanted), method.to_ascii_uppercase());
            found.push(Endpoint { method, template, item, operation, function });
        }
    }
    Ok(found)
}

/// `get films by id` for what has no name.
fn spoken(method: &str, template: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{') {
        Some(name) => format!(" by {name}"),
        None => format!(" {segment}"),
    };
    method.to_owned() + &template.split('/').filter(|text| !text.is_empty()).map(segment).collect::<String>()
}

pub(super) fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn is_json(media: &str) -> bool {
    media.ends_with("/json") || media.ends_with("+json")
}

pub(super) fn object<'a>(value: &'a Value, key: &str) -> &'a Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.get(key).and_then(Value::as_object).unwrap_or(&EMPTY)
}
