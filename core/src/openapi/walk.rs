//! JSON Schema: where in a schema schemas stand. Data, as in `const` and `default`, is none, whatever it looks like.

use super::bounds::DEEPEST;
use serde_json::{Map, Value};

/// Members that are schemas by name.
const NAMED: [&str; 5] = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];
/// Members that are lists of schemas.
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Members that are a schema.
const ONE: [&str; 11] = [
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];

/// Shows each schema to `visit`, the outer before the inner. An error where they are nested too deep, or `visit` has one.
pub(super) fn each(
    schema: &mut Value,
    visit: &mut impl FnMut(&mut Map<String, Value>) -> Result<(), String>,
) -> Result<(), String> {
    within(schema, visit, DEEPEST)
}

fn within(
    schema: &mut Value,
    visit: &mut impl FnMut(&mut Map<String, Value>) -> Result<(), String>,
    left: usize,
) -> Result<(), String> {
    let Value::Object(members) = schema else { return Ok(()) };
    let left = left
        .checked_sub(1)
        .ok_or_else(|| format!("its schema has more than {DEEPEST} schemas inside of each other"))?;
    visit(members)?;
    for (name, value) in members.iter_mut() {
        let name = name.as_str();
        match value {
            Value::Object(named) if NAMED.contains(&name) => {
                named.values_mut().try_for_each(|schema| within(schema, visit, left))?;
            }
            Value::Array(list) if LISTS.contains(&name) => {
                list.iter_mut().try_for_each(|schema| within(schema, visit, left))?;
            }
            schema if ONE.contains(&name) => within(schema, visit, left)?,
            _ => {}
        }
    }
    Ok(())
}

/// All that `$ref` names in it.
pub(super) fn references(schema: &Value) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    // On a copy, for there is one way through a schema only.
    each(&mut schema.clone(), &mut |members| {
        found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
        Ok(())
    })?;
    Ok(found)
}

/// Whole numbers of a size have bounds that their format alone does not tell everybody.
pub(super) fn bound_numbers(members: &mut Map<String, Value>) {
    let (least, most) = match members.get("format").and_then(Value::as_str) {
        Some("uint8") => (0, u64::from(u8::MAX)),
        Some("uint16") => (0, u64::from(u16::MAX)),
        Some("uint32") => (0, u64::from(u32::MAX)),
        Some("uint64") => (0, u64::MAX),
        Some("int32") => (i64::from(i32::MIN), i32::MAX as u64),
        Some("int64") => (i64::MIN, i64::MAX as u64),
        _ => return,
    };
    if !members.contains_key("minimum") && !members.contains_key("exclusiveMinimum") {
        members.insert("minimum".to_owned(), least.into());
    }
    if !members.contains_key("maximum") && !members.contains_key("exclusiveMaximum") {
        members.insert("maximum".to_owned(), most.into());
    }
}
