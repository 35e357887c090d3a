//! Values held against JSON Schemas (2020-12), as far as the schemas of endpoints go: what `schemars` writes, and what people write by
//! hand for an endpoint. A keyword that is not known is refused, never passed over, so that "it fits" means that it fits.

use super::{pattern, plain::plain};
use serde_json::{Map, Value};
use std::fmt;

/// References that lead to one another without a value between them.
const LONGEST_CHAIN: usize = 64;
/// Values inside one another.
const DEEPEST: usize = 128;
/// Steps of one check: alternatives inside of alternatives multiply.
const MOST_STEPS: usize = 200_000;
/// Faults that are told of one value.
const MOST_TOLD: usize = 20;

/// Keywords that only say something to people.
pub(super) const WORDS: [&str; 11] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
];
/// Those that say something to programs as well, and nothing about a value.
const HINTS: [&str; 3] = ["readOnly", "writeOnly", "contentMediaType"];

/// Keywords that say what a value may be.
const KNOWN: [&str; 31] = [
    "$ref",
    "type",
    "enum",
    "const",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "contains",
];

/// Where a value does not fit, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As people write it: `films[2].title`; empty for the whole value.
    pub path: String,
    pub message: String,
}

impl Fault {
    fn new(path: &Path<'_>, message: impl Into<String>) -> Self {
        Self { path: path.to_string(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// The way to a value, from the inside.
#[derive(Debug, Clone, Copy)]
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

/// What of `value` does not fit; empty where all does.
pub fn check(schema: &Value, value: &Value) -> Vec<Fault> {
    let mut checker = Checker { root: schema, steps: 0 };
    let mut faults = checker.value(schema, value, &Path::Root, Depth::default());
    faults.truncate(MOST_TOLD);
    faults
}

/// What of the schema itself is not understood, or can't be: with the place inside of it.
pub fn understood(schema: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    look(schema, schema, &Path::Root, 0, &mut faults);
    faults.truncate(MOST_TOLD);
    faults
}

/// Where a local reference leads to.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// The schemas right inside this one, with their places.
pub(super) fn inside(schema: &Map<String, Value>) -> Vec<(&str, Option<&str>, &Value)> {
    let mut found = Vec::new();
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("$defs" | "definitions" | "properties" | "patternProperties", Value::Object(members)) => {
                found.extend(members.iter().map(|(name, value)| (key.as_str(), Some(name.as_str()), value)));
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(items)) => {
                found.extend(items.iter().map(|value| (key.as_str(), None, value)));
            }
            (
                "items" | "additionalProperties" | "unevaluatedProperties" | "propertyNames" | "not" | "contains",
                value,
            ) => found.push((key.as_str(), None, value)),
            _ => {}
        }
    }
    found
}

fn look(root: &Value, schema: &Value, path: &Path<'_>, depth: usize, faults: &mut Vec<Fault>) {
    let members = match schema {
        Value::Bool(_) => return,
        Value::Object(members) if depth < DEEPEST => members,
        Value::Object(_) => return faults.push(Fault::new(path, "the schema goes too deep")),
        _ => return faults.push(Fault::new(path, "expected a schema: an object, true or false")),
    };
    for (key, value) in members {
        let key = key.as_str();
        if !KNOWN.contains(&key)
            && !WORDS.contains(&key)
            && !HINTS.contains(&key)
            && !key.starts_with("x-")
            && key != "discriminator"
        {
            faults.push(Fault::new(path, format!("the keyword `{key}` is not understood")));
        }
        let fault = match (key, value) {
            ("$ref", Value::String(to)) if resolve(root, to).is_none() => Some(format!("`{to}` leads nowhere")),
            ("pattern", Value::String(text)) => pattern::compile(text).err(),
            ("patternProperties", Value::Object(of)) => of.keys().find_map(|text| pattern::compile(text).err()),
            ("type", value) => bad_type(value),
            ("$ref" | "pattern", value) if !value.is_string() => Some(format!("`{key}` is no text")),
            _ => None,
        };
        faults.extend(fault.map(|fault| Fault::new(path, fault)));
    }
    for (key, name, inner) in inside(members) {
        let of_key = Path::Member(path, key);
        match name {
            Some(name) => look(root, inner, &Path::Member(&of_key, name), depth + 1, faults),
            None => look(root, inner, &of_key, depth + 1, faults),
        }
    }
}

fn bad_type(value: &Value) -> Option<String> {
    const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];
    let is_type = |value: &Value| value.as_str().is_some_and(|text| TYPES.contains(&text));
    let is_good = match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(is_type),
        one => is_type(one),
    };
    (!is_good).then(|| format!("type {value} is none of: {}", TYPES.join(", ")))
}

/// How far inside it is.
#[derive(Debug, Clone, Copy, Default)]
struct Depth {
    values: usize,
    chain: usize,
}

struct Checker<'s> {
    root: &'s Value,
    steps: usize,
}

impl<'s> Checker<'s> {
    fn value(&mut self, schema: &'s Value, value: &Value, path: &Path<'_>, depth: Depth) -> Vec<Fault> {
        self.steps += 1;
        let one = |message: &str| vec![Fault::new(path, message)];
        if self.steps > MOST_STEPS {
            return one("the schema has too many alternatives to be checked");
        }
        if depth.values > DEEPEST || depth.chain > LONGEST_CHAIN {
            return one("the schema or the value goes too deep");
        }
        let schema = match schema {
            Value::Bool(true) => return Vec::new(),
            Value::Object(schema) => schema,
            _ => return one("nothing may stand here"),
        };
        let mut faults = self.references(schema, value, path, depth);
        faults.extend(plain(schema, value).into_iter().map(|message| Fault::new(path, message)));
        match value {
            Value::Object(members) => faults.extend(self.object(schema, members, path, depth)),
            Value::Array(items) => faults.extend(self.array(schema, items, path, depth)),
            _ => {}
        }
        faults
    }

    /// What other schemas say of the same value.
    fn references(
        &mut self,
        schema: &'s Map<String, Value>,
        value: &Value,
        path: &Path<'_>,
        depth: Depth,
    ) -> Vec<Fault> {
        let depth = Depth { chain: depth.chain + 1, ..depth };
        let mut faults = Vec::new();
        if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
            match resolve(self.root, to) {
                Some(schema) => faults.extend(self.value(schema, value, path, depth)),
                None => faults.push(Fault::new(path, format!("the schema's `{to}` leads nowhere"))),
            }
        }
        for schema in list(schema, "allOf") {
            faults.extend(self.value(schema, value, path, depth));
        }
        for key in ["anyOf", "oneOf"] {
            if schema.contains_key(key) {
                faults.extend(self.alternatives(key, list(schema, key), value, path, depth));
            }
        }
        if let Some(not) = schema.get("not")
            && self.value(not, value, path, depth).is_empty()
        {
            faults.push(Fault::new(path, "is what it must not be"));
        }
        faults
    }

    fn alternatives(
        &mut self,
        key: &str,
        alternatives: &'s [Value],
        value: &Value,
        path: &Path<'_>,
        depth: Depth,
    ) -> Vec<Fault> {
        let outcomes: Vec<_> = alternatives.iter().map(|schema| self.value(schema, value, path, depth)).collect();
        let fitting = outcomes.iter().filter(|faults| faults.is_empty()).count();
        match fitting {
            0 => {
                // What went furthest was meant.
                let nearest = outcomes.into_iter().max_by_key(|faults| faults.iter().map(|f| f.path.len()).min());
                let nearest = nearest.and_then(|faults| faults.into_iter().next());
                let of = alternatives.len();
                let why = nearest.map(|fault| format!("; of the nearest: {fault}")).unwrap_or_default();
                vec![Fault::new(path, format!("fits none of the {of} alternatives{why}"))]
            }
            1 => Vec::new(),
            _ if key == "anyOf" => Vec::new(),
            more => vec![Fault::new(path, format!("fits {more} alternatives, and has to fit one"))],
        }
    }

    fn object(
        &mut self,
        schema: &'s Map<String, Value>,
        members: &Map<String, Value>,
        path: &Path<'_>,
        depth: Depth,
    ) -> Vec<Fault> {
        let inner = Depth { values: depth.values + 1, chain: 0 };
        let mut faults = Vec::new();
        for name in list(schema, "required").iter().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                faults.push(Fault::new(&Path::Member(path, name), "is required, but missing"));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let of_patterns = schema.get("patternProperties").and_then(Value::as_object);
        for (name, value) in members {
            let at = Path::Member(path, name);
            let mut is_known = false;
            if let Some(schema) = properties.and_then(|of| of.get(name)) {
                is_known = true;
                faults.extend(self.value(schema, value, &at, inner));
            }
            for (text, schema) in of_patterns.into_iter().flatten() {
                if pattern::compile(text).is_ok_and(|pattern| pattern.is_match(name)) {
                    is_known = true;
                    faults.extend(self.value(schema, value, &at, inner));
                }
            }
            if let Some(names) = schema.get("propertyNames") {
                let name = Value::String(name.clone());
                faults.extend(self.value(names, &name, &at, inner));
            }
            if is_known {
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => faults.push(Fault::new(&at, unknown(name, properties))),
                Some(schema) => faults.extend(self.value(schema, value, &at, inner)),
                None if schema.get("unevaluatedProperties") == Some(&Value::Bool(false))
                    && !self.is_evaluated(schema, name, depth.chain) =>
                {
                    faults.push(Fault::new(&at, unknown(name, properties)));
                }
                None => {}
            }
        }
        faults
    }

    /// Whether a schema beside this one knows the property.
    fn is_evaluated(&self, schema: &'s Map<String, Value>, name: &str, chain: usize) -> bool {
        if chain > LONGEST_CHAIN {
            return false;
        }
        let referred = schema.get("$ref").and_then(Value::as_str).and_then(|to| resolve(self.root, to));
        let beside = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|key| list(schema, key)).chain(referred);
        beside.filter_map(Value::as_object).any(|schema| {
            let has = schema.get("properties").and_then(Value::as_object).is_some_and(|of| of.contains_key(name));
            let takes_all = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
            has || takes_all || self.is_evaluated(schema, name, chain + 1)
        })
    }

    fn array(&mut self, schema: &'s Map<String, Value>, items: &[Value], path: &Path<'_>, depth: Depth) -> Vec<Fault> {
        let inner = Depth { values: depth.values + 1, chain: 0 };
        let first = list(schema, "prefixItems");
        let rest = schema.get("items");
        let mut faults = Vec::new();
        for (at, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(at).or(rest) {
                faults.extend(self.value(schema, item, &Path::Item(path, at), inner));
            }
        }
        if let Some(schema) = schema.get("contains")
            && !items.iter().any(|item| self.value(schema, item, path, inner).is_empty())
        {
            faults.push(Fault::new(path, "has no item of the kind that it has to contain"));
        }
        faults
    }
}

fn unknown(name: &str, properties: Option<&Map<String, Value>>) -> String {
    match crate::settings::nearest(name, properties.into_iter().flat_map(Map::keys).map(String::as_str)) {
        Some(near) => format!("is unknown; did you mean `{near}`?"),
        None => "is unknown".to_owned(),
    }
}

fn list<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
