//! A schema in the one form that is compared: several that all hold (`allOf`, a reference and what stands beside it) as one, null as a type
//! among others, lists of constants as one list.

use super::{
    bounds,
    document::{Document, Unreadable},
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Several schemas that all hold; none lets everything through.
pub(super) type Node<'a> = Vec<&'a Value>;

/// What lets nothing through.
pub(super) static NOTHING: Value = Value::Bool(false);

/// A set of JSON types. A number is an integer or a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

const NAMES: [(&str, u8); 7] =
    [("null", 1), ("boolean", 2), ("number", 4 | 8), ("integer", 4), ("string", 16), ("array", 32), ("object", 64)];

impl Types {
    pub(super) const ANY: Self = Self(127);
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);

    fn named(name: &str) -> Self {
        NAMES.iter().find(|(known, _)| *known == name).map_or(Self::NONE, |(_, bits)| Self(*bits))
    }

    fn of(value: &Value) -> Self {
        Self::named(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        })
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn text(self) -> String {
        if self == Self::NONE {
            return "nothing".to_owned();
        }
        if self.without(Self::NULL) == Self::ANY.without(Self::NULL) {
            return "anything".to_owned();
        }
        let mut left = self.0;
        let mut found = Vec::new();
        for (name, bits) in NAMES {
            if left & bits == bits {
                found.push(name);
                left &= !bits;
            }
        }
        found.join(" or ")
    }
}

#[derive(Debug)]
pub(super) struct View<'a> {
    /// The schemas that it is made of, by their places in memory.
    pub(super) made_of: Vec<usize>,
    pub(super) types: Types,
    pub(super) fields: BTreeMap<&'a str, Node<'a>>,
    pub(super) patterns: BTreeMap<&'a str, Node<'a>>,
    pub(super) required: BTreeSet<&'a str>,
    /// Where only these are let through, null aside.
    pub(super) values: Option<BTreeSet<String>>,
    pub(super) unions: Vec<Node<'a>>,
    pub(super) items: Node<'a>,
    pub(super) first: Vec<&'a Value>,
    /// What holds for fields that nobody has declared.
    pub(super) extra: Node<'a>,
    pub(super) bounds: BTreeMap<&'static str, &'a Value>,
    pub(super) rest: BTreeMap<&'a str, Node<'a>>,
    pub(super) default: Option<&'a Value>,
    pub(super) is_deprecated: bool,
    pub(super) name: Option<&'a str>,
}

/// What says nothing about values.
const NOTES: [&str; 18] = [
    "title",
    "description",
    "examples",
    "example",
    "$comment",
    "$id",
    "$schema",
    "$anchor",
    "$defs",
    "definitions",
    "externalDocs",
    "xml",
    "readOnly",
    "writeOnly",
    "discriminator",
    "contentEncoding",
    "contentMediaType",
    "nullable",
];

impl<'a> View<'a> {
    pub(super) fn of(document: &'a Document, node: &[&'a Value]) -> Result<Self, Unreadable> {
        let mut view = Self::of_all();
        let mut seen = HashSet::new();
        // Later ones first out, so that the order of the document is kept.
        let mut left: Vec<(&Value, bool)> = node.iter().rev().map(|schema| (*schema, false)).collect();
        while let Some((schema, or_null)) = left.pop() {
            let place = std::ptr::from_ref(schema).addr();
            if !seen.insert((place, or_null)) {
                continue;
            }
            // What does nothing but to refer is what it refers to.
            if !schema.as_object().is_some_and(|schema| schema.len() == 1 && schema.contains_key("$ref")) {
                view.made_of.push(place);
            }
            match schema {
                Value::Bool(true) => {}
                Value::Bool(false) => view.types = Types::NONE,
                Value::Object(schema) => view.add(document, schema, or_null, &mut left)?,
                _ => return Err(Unreadable::Shape("a schema".to_owned(), "an object, true or false")),
            }
        }
        Ok(view)
    }

    fn of_all() -> Self {
        Self {
            made_of: Vec::new(),
            types: Types::ANY,
            fields: BTreeMap::new(),
            patterns: BTreeMap::new(),
            required: BTreeSet::new(),
            values: None,
            unions: Vec::new(),
            items: Vec::new(),
            first: Vec::new(),
            extra: Vec::new(),
            bounds: BTreeMap::new(),
            rest: BTreeMap::new(),
            default: None,
            is_deprecated: false,
            name: None,
        }
    }

    /// One more schema that holds; `or_null`: or the value is null.
    fn add(
        &mut self,
        document: &'a Document,
        schema: &'a Map<String, Value>,
        or_null: bool,
        left: &mut Vec<(&'a Value, bool)>,
    ) -> Result<(), Unreadable> {
        let mut types = types_of(schema);
        if let Some(listed) = listed(schema) {
            types = types.and(listed.iter().fold(Types::NONE, |types, value| types.or(Types::of(value))));
            self.limit_values(listed.into_iter());
        }
        let mut more = Vec::new();
        for (key, value) in schema {
            match (key.as_str(), value) {
                ("type" | "const" | "enum", _) => {}
                ("$ref", _) => {
                    self.name = self.name.or_else(|| value.as_str()?.rsplit('/').next());
                    more.push((document.target(value)?, or_null));
                }
                ("allOf", Value::Array(list)) => more.extend(list.iter().map(|schema| (schema, or_null))),
                ("anyOf" | "oneOf", Value::Array(list)) => {
                    let (allowed, variant) = self.add_union(list);
                    types = types.and(allowed);
                    more.extend(variant.map(|(schema, nullable)| (schema, or_null || nullable)));
                }
                ("default", _) => self.default = self.default.or(Some(value)),
                ("deprecated", _) => self.is_deprecated |= value == &Value::Bool(true),
                _ => self.add_keyword(key, value),
            }
        }
        left.extend(more.into_iter().rev());
        self.types = self.types.and(if or_null { types.or(Types::NULL) } else { types });
        Ok(())
    }

    fn add_keyword(&mut self, key: &'a str, value: &'a Value) {
        match (key, value) {
            ("properties", Value::Object(fields)) => {
                fields.iter().for_each(|(name, schema)| self.fields.entry(name).or_default().push(schema));
            }
            ("patternProperties", Value::Object(fields)) => {
                fields.iter().for_each(|(name, schema)| self.patterns.entry(name).or_default().push(schema));
            }
            ("required", Value::Array(names)) => self.required.extend(names.iter().filter_map(Value::as_str)),
            ("items", _) => self.items.push(value),
            ("prefixItems", Value::Array(list)) => self.first.extend(list),
            ("additionalProperties" | "unevaluatedProperties", _) if value != &Value::Bool(true) => {
                self.extra.push(value);
            }
            ("additionalProperties" | "unevaluatedProperties", _) => {}
            _ => match bounds::known(key) {
                Some(bound) => bounds::tighten(&mut self.bounds, bound, value),
                None if NOTES.contains(&key) || key.starts_with("x-") => {}
                None => self.rest.entry(key).or_default().push(value),
            },
        }
    }

    /// Of several of which one has to hold: what types that leaves; and the schema, if only one is left, and whether null does too.
    fn add_union(&mut self, list: &'a [Value]) -> (Types, Option<(&'a Value, bool)>) {
        let (nulls, variants): (Node<'a>, Node<'a>) = list.iter().partition(|schema| is_null(schema));
        let or_null = !nulls.is_empty();
        let constants: Option<Vec<Vec<&Value>>> = variants.iter().map(|schema| constants(schema)).collect();
        match (variants.as_slice(), constants) {
            ([], _) => (Types::NULL, None),
            ([one], _) => (Types::ANY, Some((*one, or_null))),
            (_, Some(constants)) => {
                let values = constants.concat();
                let types = values.iter().fold(Types::NONE, |types, value| types.or(Types::of(value)));
                self.limit_values(values.into_iter());
                (if or_null { types.or(Types::NULL) } else { types }, None)
            }
            _ => {
                let or_null = or_null || variants.iter().any(|schema| says_null(schema));
                self.unions.push(variants);
                (if or_null { Types::ANY } else { Types::ANY.without(Types::NULL) }, None)
            }
        }
    }

    fn limit_values(&mut self, values: impl Iterator<Item = &'a Value>) {
        let texts: BTreeSet<String> = values.filter(|value| !value.is_null()).map(Value::to_string).collect();
        self.values = Some(match self.values.take() {
            Some(known) => known.intersection(&texts).cloned().collect(),
            None => texts,
        });
    }

    /// How much work it was to make.
    pub(super) fn weight(&self) -> usize {
        let values = self.values.as_ref().map_or(0, BTreeSet::len);
        let lists = self.unions.iter().map(Vec::len).sum::<usize>() + self.first.len() + self.patterns.len();
        self.made_of.len() + self.fields.len() + self.required.len() + values + lists
    }

    /// Whether everything is let through.
    pub(super) fn is_anything(&self) -> bool {
        self.types == Types::ANY
            && self.unions.is_empty()
            && self.values.is_none()
            && self.bounds.is_empty()
            && self.rest.is_empty()
    }

    /// Whether nothing is said but that one of several schemas has to hold.
    pub(super) fn is_union(&self) -> bool {
        self.unions.len() == 1
            && self.types.or(Types::NULL) == Types::ANY
            && self.fields.is_empty()
            && self.required.is_empty()
            && self.values.is_none()
            && self.rest.is_empty()
    }
}

/// What types a schema says, or means by what else it says.
fn types_of(schema: &Map<String, Value>) -> Types {
    let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
    match schema.get("type") {
        Some(Value::String(name)) => Types::named(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).fold(Types::NONE, |types, name| types.or(Types::named(name)))
        }
        _ if has(&["properties", "required", "additionalProperties", "patternProperties"]) => Types::OBJECT,
        _ if has(&["items", "prefixItems"]) => Types::ARRAY,
        _ => Types::ANY,
    }
}

/// The constants that a schema lets through, where it lists them.
fn listed(schema: &Map<String, Value>) -> Option<Node<'_>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

fn is_null(schema: &Value) -> bool {
    let Value::Object(schema) = schema else { return false };
    schema.get("type").is_some_and(|name| name == "null")
        || listed(schema).is_some_and(|values| !values.is_empty() && values.iter().all(|value| value.is_null()))
}

/// Whether null is among the types that it names.
fn says_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name == "null"))
}

/// The constants of a schema that does nothing but to list some.
fn constants(schema: &Value) -> Option<Node<'_>> {
    let schema = schema.as_object()?;
    let is_plain = |key: &String| {
        matches!(key.as_str(), "const" | "enum" | "type" | "deprecated")
            || NOTES.contains(&key.as_str())
            || key.starts_with("x-")
    };
    listed(schema).filter(|_| schema.keys().all(is_plain))
}

/// The values of fields that must be there and may have one value only: what tells the shapes of a union apart.
pub(super) fn tags(document: &Document, view: &View<'_>) -> Vec<String> {
    let constant = |schema: &&Value| match listed(document.resolved(schema).ok()?.as_object()?)?.as_slice() {
        [one] => Some(one.to_string()),
        _ => None,
    };
    let tagging = view.fields.iter().filter(|(name, _)| view.required.contains(*name));
    tagging.filter_map(|(name, node)| Some(format!("{name}={}", node.iter().find_map(constant)?))).collect()
}
