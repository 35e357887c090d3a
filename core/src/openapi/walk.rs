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

/// References that are followed on the way to a member.
pub(super) const MOST_STEPS: usize = 64;

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

/// Where the member stands that `path` (`films.image`) leads to: in the root or in the type with that name of its own; and its name.
/// Lists are looked into.
pub(super) fn holder(root: &Value, path: &str) -> Option<(Option<String>, String)> {
    let (mut schema, mut held) = (root, None);
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        (schema, held) = opened(root, schema, held)?;
        let found = schema.get("properties")?.get(step)?;
        if steps.peek().is_none() {
            return Some((held, step.to_owned()));
        }
        schema = found;
    }
    None
}

/// The type with members that a schema leads to, through references, lists, and what may be null.
fn opened<'a>(root: &'a Value, mut schema: &'a Value, mut held: Option<String>) -> Option<(&'a Value, Option<String>)> {
    for _ in 0..MOST_STEPS {
        if schema.get("properties").is_some() {
            return Some((schema, held));
        }
        schema = match schema.get("$ref").and_then(Value::as_str) {
            Some("#") => {
                held = None;
                root
            }
            Some(to) => {
                held = Some(to.strip_prefix("#/$defs/")?.to_owned());
                root.pointer(to.strip_prefix('#')?)?
            }
            None => {
                let choices = ["anyOf", "oneOf", "allOf"].iter().find_map(|name| schema.get(name)?.as_array());
                let choice = choices
                    .and_then(|list| list.iter().find(|choice| choice.get("type").is_none_or(|kind| kind != "null")));
                choice.or_else(|| schema.get("items"))?
            }
        };
    }
    None
}
