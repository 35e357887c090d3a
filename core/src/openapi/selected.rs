//! Endpoints whose callers may choose members of the answer: the parameter, and what an answer is of which some were chosen. It is a type
//! of its own beside the whole one, `Film.Partial` beside `Film`, so that a document says the truth of both.

use super::walk::each;
use crate::artifact::{FIELDS, Selectable};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use weft_selection::MOST_PATHS;

/// Paths that a document lists.
const MOST_LISTED: usize = 200;
const COMPONENTS: &str = "#/components/schemas/";
/// No type of a plugin's code, no plugin and no operation is named so: a capital letter behind a dot.
const PARTIAL: &str = ".Partial";
/// What of a type does not hold where members are missing.
const OF_THE_WHOLE: [&str; 9] = [
    "required",
    "minProperties",
    "dependentRequired",
    "dependentSchemas",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
];

pub(super) fn parameter(selectable: &Selectable) -> Value {
    let one = match selectable.paths(MOST_LISTED) {
        Some(paths) => json!({ "type": "string", "enum": paths }),
        None => json!({ "type": "string" }),
    };
    let text = "The members of the answer that are wanted, each with all that is in it; the others are left out. Without it all are there. \
                A path leads through lists: `cast.actor`.";
    json!({
        "name": FIELDS, "in": "query", "required": false, "description": text, "style": "form", "explode": false,
        "schema": { "type": "array", "items": one, "minItems": 1, "maxItems": MOST_PATHS },
        "x-weft-fields": true,
    })
}

/// The whole answer, or the part of it that was chosen.
pub(super) fn answer(whole: Value) -> Value {
    let part = partial(&whole);
    json!({ "anyOf": [whole, part], "x-weft-fields": true })
}

/// A schema of which members may be missing, wherever they are.
fn partial(whole: &Value) -> Value {
    let mut schema = whole.clone();
    // What is nested too deep has been refused before.
    let _ = each(&mut schema, &mut |members| {
        OF_THE_WHOLE.iter().for_each(|word| drop(members.remove(*word)));
        // Of several shapes more than one may fit where members are missing.
        if let Some(shapes) = members.remove("oneOf") {
            let other = members.insert("anyOf".to_owned(), shapes);
            if let Some(other) = other {
                members.insert("allOf".to_owned(), json!([{ "anyOf": other }]));
            }
        }
        if let Some(Value::String(to)) = members.get_mut("$ref")
            && let Some(name) = to.strip_prefix(COMPONENTS)
        {
            let (name, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
            *to = format!("{COMPONENTS}{name}{PARTIAL}{rest}");
        }
        Ok(())
    });
    schema
}

/// The components, and the partial ones that the operations of `paths` lead to.
pub(super) fn with_parts(
    mut components: Map<String, Value>,
    paths: &BTreeMap<&str, Map<String, Value>>,
) -> Map<String, Value> {
    let mut open: Vec<String> = paths.values().flat_map(Map::values).flat_map(named).collect();
    let mut done = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(whole) = components.get(&name).filter(|_| done.insert(name.clone())) else { continue };
        let mut part = partial(whole);
        open.extend(named(&part));
        if let Some(members) = part.as_object_mut() {
            members.insert("x-weft-partial".to_owned(), true.into());
            members.insert("description".to_owned(), format!("What was chosen of `{name}`.").into());
        }
        components.insert(format!("{name}{PARTIAL}"), part);
    }
    components
}

/// The whole types of the partial ones that a part of the document refers to.
fn named(part: &Value) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![part]);
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                let to = members.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(COMPONENTS));
                let name = to.and_then(|to| to.split('/').next());
                found.extend(name.and_then(|name| name.strip_suffix(PARTIAL)).map(str::to_owned));
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}
