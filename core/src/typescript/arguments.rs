//! What a function is given: parameters by their place, and a body.

use super::{
    names,
    operations::{Endpoint, essence, is_json, object},
    types::Types,
};
use crate::compat::{Document, Unreadable};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write};

/// What a function is given.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) members: String,
    /// Whether something of it must be.
    pub(super) is_needed: bool,
    pub(super) content: Option<String>,
    pub(super) is_repeatable: bool,
    /// What may be chosen of the answer, as a type.
    pub(super) fields: Option<String>,
    /// With a `*` before the name of what may have several segments.
    pub(super) template: String,
}

impl Given {
    pub(super) fn of(document: &Document, types: &Types<'_>, endpoint: &Endpoint<'_>) -> Result<Self, Unreadable> {
        let mut given = Self { template: endpoint.template.to_owned(), ..Self::default() };
        for (place, key) in [("path", "path"), ("query", "query"), ("header", "headers")] {
            given.add_parameters(types, &parameters(document, endpoint, place)?, key)?;
        }
        let Some(body) = endpoint.operation.get("requestBody") else { return Ok(given) };
        let body = document.resolved(body)?;
        let content = object(body, "content");
        let json = content.iter().find(|(media, _)| is_json(&essence(media)));
        let Some((media, inner)) = json.or_else(|| content.iter().next()) else { return Ok(given) };
        let text = match inner.get("schema") {
            Some(schema) if is_json(&essence(media)) => types.text(schema, 2)?,
            None if is_json(&essence(media)) => "unknown".to_owned(),
            _ => "BodyInit".to_owned(),
        };
        let is_needed = body.get("required") == Some(&Value::Bool(true));
        let (mark, or) = if is_needed { ("", "") } else { ("?", " | undefined") };
        let _ = writeln!(given.members, "  readonly body{mark}: {text}{or};");
        given.is_needed |= is_needed;
        given.content = Some(if media.contains('*') { String::new() } else { media.clone() });
        Ok(given)
    }

    fn add_parameters(&mut self, types: &Types<'_>, list: &[&Value], key: &str) -> Result<(), Unreadable> {
        let mut fields = String::new();
        let mut some_needed = false;
        for parameter in list {
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
            match (key, name.to_ascii_lowercase().as_str()) {
                ("headers", "idempotency-key") => {
                    self.is_repeatable = true;
                    continue;
                }
                // The runtime's own.
                ("headers", "authorization" | "accept" | "content-type" | "if-none-match" | "last-event-id") => {
                    continue;
                }
                _ => {}
            }
            if parameter.get("x-weft-rest") == Some(&Value::Bool(true)) {
                self.template = self.template.replace(&format!("{{{name}}}"), &format!("{{*{name}}}"));
            }
            let is_needed = key == "path" || parameter.get("required") == Some(&Value::Bool(true));
            let (mark, or) = if is_needed { ("", "") } else { ("?", " | undefined") };
            let schema = parameter.get("schema").unwrap_or(&Value::Bool(true));
            names::comment(&super::types::note(parameter), 4, &mut fields);
            let text = if key == "query" && parameter.get("x-weft-fields") == Some(&Value::Bool(true)) {
                self.fields = Some(paths(schema));
                "readonly F[]".to_owned()
            } else {
                types.text(schema, 4)?
            };
            let _ = writeln!(fields, "    readonly {}{mark}: {text}{or};", names::key(name));
            some_needed |= is_needed;
        }
        if !fields.is_empty() {
            let (mark, or) = if some_needed { ("", "") } else { ("?", " | undefined") };
            let _ = writeln!(self.members, "  readonly {key}{mark}: {{\n{fields}  }}{or};");
            self.is_needed |= some_needed;
        }
        Ok(())
    }
}

/// What may be chosen of an answer: the paths that are listed, or any text.
fn paths(schema: &Value) -> String {
    let listed = schema.pointer("/items/enum").and_then(Value::as_array).into_iter().flatten();
    let listed: Vec<String> = listed.filter_map(Value::as_str).map(names::literal).collect();
    if listed.is_empty() { "string".to_owned() } else { listed.join(" | ") }
}

/// Those at this place by their names; the operation's own stand for those of its path.
fn parameters<'a>(document: &'a Document, endpoint: &Endpoint<'a>, place: &str) -> Result<Vec<&'a Value>, Unreadable> {
    let mut found: BTreeMap<&str, &Value> = BTreeMap::new();
    for part in [endpoint.item, endpoint.operation] {
        for parameter in part.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let parameter = document.resolved(parameter)?;
            let name = parameter.get("name").and_then(Value::as_str);
            if let Some(name) = name.filter(|_| parameter.get("in").and_then(Value::as_str) == Some(place)) {
                found.insert(name, parameter);
            }
        }
    }
    Ok(found.into_values().collect())
}
