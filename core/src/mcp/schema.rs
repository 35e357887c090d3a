//! Schemas of a document that stand by themselves: what they refer to comes along in their own `$defs`.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";
/// Members whose values are data, whatever they look like.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];
/// Members that are schemas by name.
const NAMED: [&str; 5] = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];
/// References that are followed to a root.
const MOST_STEPS: usize = 16;

/// The types of a document.
#[derive(Clone, Copy)]
pub(super) struct Types<'a>(pub(super) Option<&'a Map<String, Value>>);

impl<'a> Types<'a> {
    pub(super) fn of(document: &'a Value) -> Self {
        Self(document.pointer("/components/schemas").and_then(Value::as_object))
    }

    /// The schema of an object, with the types that it leads to. Who reads it may want to see an object without following anything.
    pub(super) fn whole(self, mut schema: Map<String, Value>) -> Map<String, Value> {
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.values_mut().for_each(as_object);
        }
        let (mut found, mut definitions) = (BTreeSet::new(), Map::new());
        localise(&mut schema, &mut found);
        while let Some(name) = found.pop_first() {
            let Some(mut definition) = self.0.and_then(|types| types.get(&name).cloned()) else { continue };
            if let (false, Value::Object(members)) = (definitions.contains_key(&name), &mut definition) {
                localise(members, &mut found);
                definitions.insert(name, definition);
            }
        }
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
        schema
    }

    /// The object that a schema says its values are; none where they may be something else.
    pub(super) fn object(self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        let mut schema = schema;
        for _ in 0..MOST_STEPS {
            match schema.get("$ref").and_then(Value::as_str) {
                Some(to) => schema = self.0?.get(to.strip_prefix(COMPONENTS)?)?,
                None => break,
            }
        }
        schema.as_object().filter(|members| members.get("type").is_some_and(|kind| kind == "object"))
    }
}

/// `true` and `false` are schemas too, and not all readers know.
fn as_object(schema: &mut Value) {
    match schema {
        Value::Bool(true) => *schema = json!({}),
        Value::Bool(false) => *schema = json!({ "not": {} }),
        _ => {}
    }
}

/// References into the document become ones into the schema; whatever they name is found. Documents are bounded in how deep they go.
fn localise(members: &mut Map<String, Value>, found: &mut BTreeSet<String>) {
    for (name, value) in members.iter_mut() {
        match value {
            Value::String(to) if name == "$ref" => {
                if let Some(rest) = to.strip_prefix(COMPONENTS) {
                    found.extend(rest.split('/').next().map(str::to_owned));
                    *to = format!("{DEFINITIONS}{rest}");
                }
            }
            _ if DATA.contains(&name.as_str()) => {}
            Value::Object(named) if NAMED.contains(&name.as_str()) => {
                named.values_mut().filter_map(Value::as_object_mut).for_each(|members| localise(members, found));
            }
            Value::Object(members) => localise(members, found),
            Value::Array(list) => {
                list.iter_mut().filter_map(Value::as_object_mut).for_each(|members| localise(members, found));
            }
            _ => {}
        }
    }
}
