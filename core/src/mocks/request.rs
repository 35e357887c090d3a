//! Whether a request is one that the endpoint takes: what the code would refuse is refused in front of a mock as well.

use super::{
    asked::{Asked, Problem},
    plain::named_types,
    schema::{Fault, check as check_value},
};
use crate::artifact::EndpointSchema;
use serde_json::{Map, Value};

/// Looks at path, query and body.
pub(super) fn check(schema: &EndpointSchema, is_json: bool, asked: Asked<'_>) -> Result<(), Problem> {
    let params = schema.more.get("params").and_then(Value::as_array).into_iter().flatten();
    for param in params {
        let name = param.get("name").and_then(Value::as_str).unwrap_or_default();
        let of = param.get("schema").filter(|of| of.is_object());
        let text = asked.params.iter().find(|(key, _)| key == name).map(|(_, text)| text);
        if let (Some(of), Some(text)) = (of, text) {
            let fault = check_value(of, &typed(of, of, text)).into_iter().next();
            fault.map_or(Ok(()), |fault| Err(Problem::invalid(&format!("path.{name}"), &fault.message)))?;
        }
    }
    if let Some(of) = &schema.query {
        told("query", check_value(of, &query(of, asked.query)))?;
    }
    let Some(of) = &schema.request else { return Ok(()) };
    match serde_json::from_slice(asked.body) {
        Ok(body) => told("body", check_value(of, &body)),
        Err(error) if is_json => Err(Problem::invalid("body", &format!("not JSON: {error}"))),
        Err(_) => Ok(()),
    }
}

fn told(part: &str, faults: Vec<Fault>) -> Result<(), Problem> {
    let field = |fault: &Fault| if fault.path.is_empty() { part.to_owned() } else { format!("{part}.{}", fault.path) };
    let Some(first) = faults.first() else { return Ok(()) };
    let mut problem = Problem::invalid(&field(first), &first.message);
    if faults.len() > 1 {
        let all: Vec<String> = faults.iter().map(|fault| format!("{}: {}", field(fault), fault.message)).collect();
        problem.detail = all.join("; ");
        problem.members.push(("fields".to_owned(), faults.iter().map(field).collect::<Vec<_>>().join(", ")));
    }
    Err(problem)
}

/// The query as the object that its schema describes. What the schema does not know is nobody's business, as with the code.
fn query(schema: &Value, pairs: &[(String, String)]) -> Value {
    let mut members = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, of) in properties.into_iter().flatten() {
        let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, text)| text).peekable();
        if values.peek().is_none() {
            continue;
        }
        let types = of.get("type").map(named_types).unwrap_or_default();
        let value = if types.contains(&"array") {
            let item = of.get("items").unwrap_or(&Value::Bool(true));
            values.map(|text| typed(schema, item, text)).collect()
        } else {
            values.next_back().map_or(Value::Null, |text| typed(schema, of, text))
        };
        members.insert(name.clone(), value);
    }
    Value::Object(members)
}

/// A text as the value that the schema wants, if it can be one.
fn typed(root: &Value, schema: &Value, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
        return super::schema::resolve(root, to)
            .filter(|of| of.get("$ref").is_none())
            .map_or_else(as_text, |of| typed(root, of, text));
    }
    let mut types = schema.get("type").map(named_types).unwrap_or_default();
    for key in ["anyOf", "oneOf"] {
        let of = schema.get(key).and_then(Value::as_array).into_iter().flatten();
        let of = of.map(|of| {
            of.get("$ref").and_then(Value::as_str).and_then(|to| super::schema::resolve(root, to)).unwrap_or(of)
        });
        types.extend(of.filter_map(|of| of.get("type")).flat_map(named_types));
    }
    let is_number = types.contains(&"integer") || types.contains(&"number");
    match text {
        "true" | "false" if types.contains(&"boolean") => Value::Bool(text == "true"),
        _ if is_number => text.parse().map_or_else(|_| as_text(), Value::Number),
        _ => as_text(),
    }
}
