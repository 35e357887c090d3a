//! Schemas as types.

use super::names::{self, Names};
use crate::compat::{Document, Unreadable};
use serde_json::{Map, Value};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Where the schemas of a document are.
const COMPONENTS: &str = "#/components/schemas/";
/// Parts without names that are written out where something refers to them: how many in all, and how deep in one another.
const MOST_WRITTEN_OUT: usize = 10_000;
const MOST_BYTES: usize = 32 << 20;
const DEEPEST: usize = 20;

/// The components of a document, by the names that they have as types.
#[derive(Debug)]
pub(super) struct Types<'a> {
    document: &'a Document,
    named: BTreeMap<&'a str, String>,
    written_out: Cell<usize>,
    bytes: Cell<usize>,
    depth: Cell<usize>,
}

/// A type's text, and whether it has to be put in brackets as an operand.
#[derive(Debug, Clone, PartialEq)]
struct Type {
    text: String,
    is_loose: bool,
}

impl Type {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_loose: false }
    }

    /// All of them, each once.
    fn joined(mut list: Vec<Self>, between: &str) -> Self {
        let mut seen = BTreeSet::new();
        list.retain(|one| seen.insert(one.text.clone()));
        match list.as_slice() {
            [] => Self::plain("unknown"),
            [one] => one.clone(),
            list => Self { text: list.iter().map(Self::operand).collect::<Vec<_>>().join(between), is_loose: true },
        }
    }

    fn operand(&self) -> String {
        if self.is_loose { format!("({})", self.text) } else { self.text.clone() }
    }
}

impl<'a> Types<'a> {
    pub(super) fn new(document: &'a Document, names: &mut Names) -> Result<Self, Unreadable> {
        let components = document.components("schemas");
        let mut named = BTreeMap::new();
        // Those first that stay as they are, so that no other one takes their names.
        for plain in [true, false] {
            let whole = components.iter().filter(|(_, schema)| !is_partial(schema)).map(|(name, _)| name);
            for name in whole.filter(|name| names::is_identifier(name) == plain) {
                named.insert(name.as_str(), names.take(&names::type_name(name)));
            }
        }
        let types = Self { document, named, written_out: Cell::new(0), bytes: Cell::new(0), depth: Cell::new(0) };
        types.refuse_rings()?;
        Ok(types)
    }

    /// A type that is made of nothing but itself is none: `A = A | B`.
    fn refuse_rings(&self) -> Result<(), Unreadable> {
        let components = self.document.components("schemas");
        let immediate = |name: &str| components.get(name).map(references).unwrap_or_default();
        let mut done = BTreeSet::new();
        for start in components.keys() {
            // By hand, as a chain may be as long as the document: what is under way, and what of each is still to be seen.
            let mut way: Vec<(&str, Vec<&str>)> = vec![(start, immediate(start))];
            let mut on_it = BTreeSet::from([start.as_str()]);
            while let Some((name, left)) = way.last_mut() {
                let name = *name;
                match left.pop() {
                    None => {
                        done.insert(name);
                        on_it.remove(name);
                        way.pop();
                    }
                    Some(next) if on_it.contains(next) => {
                        return Err(Unreadable::Ring(format!("{COMPONENTS}{next}")));
                    }
                    Some(next) if done.contains(next) => {}
                    Some(next) => {
                        on_it.insert(next);
                        way.push((next, immediate(next)));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn write_components(&self, out: &mut String) -> Result<(), Unreadable> {
        for (name, schema) in self.document.components("schemas") {
            // What is chosen of another one is worked out from that one.
            if is_partial(schema) {
                continue;
            }
            let Some(name) = self.named.get(name.as_str()) else { continue };
            out.push('\n');
            names::comment(&note(schema), 0, out);
            let text = self.text(schema, 0)?;
            let is_interface = text.starts_with('{') && text.ends_with('}') && self.is_plain_object(schema);
            // Writing to a string can't fail.
            let _ = match is_interface {
                true => writeln!(out, "export interface {name} {text}"),
                false => writeln!(out, "export type {name} = {text};"),
            };
        }
        Ok(())
    }

    fn is_plain_object(&self, schema: &Value) -> bool {
        let Some(schema) = schema.as_object() else { return false };
        !["$ref", "allOf", "anyOf", "oneOf", "enum", "const"].iter().any(|key| schema.contains_key(*key))
            && schema.get("type").is_none_or(Value::is_string)
    }

    /// The type that a schema is. How deep it goes is bounded by how deep JSON is read.
    pub(super) fn text(&self, schema: &Value, indent: usize) -> Result<String, Unreadable> {
        Ok(self.of(schema, indent)?.text)
    }

    fn of(&self, schema: &Value, indent: usize) -> Result<Type, Unreadable> {
        let schema = match schema {
            Value::Bool(false) => return Ok(Type::plain("never")),
            Value::Object(schema) => schema,
            _ => return Ok(Type::plain("unknown")),
        };
        let mut parts = Vec::new();
        if let Some(reference) = schema.get("$ref") {
            parts.push(self.reference(reference, indent)?);
        }
        parts.extend(self.own(schema, indent)?);
        for (key, between) in [("allOf", " & "), ("anyOf", " | "), ("oneOf", " | ")] {
            let Some(Value::Array(list)) = schema.get(key) else { continue };
            let list = list.iter().map(|schema| self.of(schema, indent)).collect::<Result<_, _>>()?;
            parts.push(Type::joined(list, between));
        }
        parts.retain(|part| part.text != "unknown");
        Ok(Type::joined(parts, " & "))
    }

    fn reference(&self, reference: &Value, indent: usize) -> Result<Type, Unreadable> {
        let target = self.document.target(reference)?;
        let name = reference.as_str().and_then(|text| text.strip_prefix(COMPONENTS)).map(unescaped);
        if let Some(name) = name.and_then(|name| self.named.get(name.as_str())) {
            return Ok(Type::plain(name));
        }
        // A part of something else, which has no name. Such parts can hold one another without end.
        self.written_out.set(self.written_out.get() + 1);
        if self.written_out.get() > MOST_WRITTEN_OUT {
            return Err(Unreadable::Long(MOST_WRITTEN_OUT));
        }
        if self.depth.get() >= DEEPEST {
            return Ok(Type::plain("unknown"));
        }
        self.depth.set(self.depth.get() + 1);
        let found = self.of(target, indent);
        self.depth.set(self.depth.get() - 1);
        let found = found?;
        self.bytes.set(self.bytes.get() + found.text.len());
        if self.bytes.get() > MOST_BYTES { Err(Unreadable::Long(MOST_BYTES)) } else { Ok(found) }
    }

    /// By the schema's own words; none if they say nothing.
    fn own(&self, schema: &Map<String, Value>, indent: usize) -> Result<Option<Type>, Unreadable> {
        let listed: Option<Vec<&Value>> = match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => Some(vec![value]),
            (None, Some(Value::Array(values))) => Some(values.iter().collect()),
            _ => None,
        };
        if let Some(values) = listed {
            let none = values.is_empty().then(|| Type::plain("never"));
            return Ok(none.or_else(|| Some(Type::joined(values.into_iter().map(constant).collect(), " | "))));
        }
        let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
        let names: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ if has(&["properties", "required", "additionalProperties"]) => vec!["object"],
            _ if has(&["items", "prefixItems"]) => vec!["array"],
            _ => return Ok(None),
        };
        let mut types = Vec::new();
        for name in names {
            types.push(Type::plain(match name {
                "integer" | "number" => "number".to_owned(),
                "string" | "boolean" | "null" => name.to_owned(),
                "array" => self.array(schema, indent)?,
                "object" => self.object(schema, indent)?,
                _ => "unknown".to_owned(),
            }));
        }
        Ok(Some(Type::joined(types, " | ")))
    }

    fn array(&self, schema: &Map<String, Value>, indent: usize) -> Result<String, Unreadable> {
        let items = schema.get("items").map(|items| self.of(items, indent)).transpose()?;
        let Some(Value::Array(first)) = schema.get("prefixItems") else {
            return Ok(format!("{}[]", items.unwrap_or_else(|| Type::plain("unknown")).operand()));
        };
        // Fewer than all of them may be there.
        let optional = |schema| Ok(format!("({})?", self.text(schema, indent)?));
        let mut parts = first.iter().map(optional).collect::<Result<Vec<_>, Unreadable>>()?;
        match items {
            Some(items) if items.text == "never" => {}
            Some(items) => parts.push(format!("...{}[]", items.operand())),
            None => parts.push("...unknown[]".to_owned()),
        }
        Ok(format!("[{}]", parts.join(", ")))
    }

    fn object(&self, schema: &Map<String, Value>, indent: usize) -> Result<String, Unreadable> {
        let fields = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let required: BTreeSet<&str> = required.collect();
        let undeclared = required.iter().filter(|name| !fields.is_some_and(|fields| fields.contains_key(**name)));
        let mut out = String::from("{\n");
        let space = " ".repeat(indent + 2);
        for (name, field) in fields.into_iter().flatten() {
            names::comment(&note(field), indent + 2, &mut out);
            let mark = if required.contains(name.as_str()) { "" } else { "?" };
            let _ = writeln!(out, "{space}{}{mark}: {};", names::key(name), self.text(field, indent + 2)?);
        }
        for name in undeclared {
            let _ = writeln!(out, "{space}{}: unknown;", names::key(name));
        }
        // Fields of a map; beside declared ones they would have to fit all of these.
        if out.len() == 2 {
            return Ok(match schema.get("additionalProperties") {
                Some(extra @ Value::Object(_)) => format!("{{ [key: string]: {} }}", self.text(extra, indent)?),
                Some(Value::Bool(false)) => "{ [key: string]: never }".to_owned(),
                _ => "{ [key: string]: unknown }".to_owned(),
            });
        }
        let _ = write!(out, "{}}}", " ".repeat(indent));
        Ok(out)
    }
}

/// A component of which members may be missing, because nobody chose them.
fn is_partial(schema: &Value) -> bool {
    schema.get("x-weft-partial") == Some(&Value::Bool(true))
}

/// Components that a schema is made of, as long as it is no list or object that holds them.
fn references(schema: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    let mut left = vec![schema];
    while let Some(schema) = left.pop() {
        found.extend(schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(COMPONENTS)));
        let lists = ["allOf", "anyOf", "oneOf"].map(|key| schema.get(key).and_then(Value::as_array));
        left.extend(lists.into_iter().flatten().flatten());
    }
    found
}

/// A name in a JSON pointer.
fn unescaped(name: &str) -> String {
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().replace("~1", "/").replace("~0", "~")
}

fn constant(value: &Value) -> Type {
    Type::plain(match value {
        Value::String(text) => names::literal(text),
        Value::Array(_) => "unknown[]".to_owned(),
        Value::Object(_) => "object".to_owned(),
        other => other.to_string(),
    })
}

/// What a comment says of a schema.
pub(super) fn note(schema: &Value) -> String {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![text("description").to_owned()];
    if matches!(text("format"), "int64" | "uint64") && schema.get("type").is_some_and(|name| name == "integer") {
        lines.push("Beyond 2^53 it loses its last digits.".to_owned());
    }
    if schema.get("deprecated") == Some(&Value::Bool(true)) {
        lines.push(format!("@deprecated {}", deprecation(schema)));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n\n")
}

/// Since when, until when, and where that is told.
pub(super) fn deprecation(value: &Value) -> String {
    let told = value.get("x-weft-deprecated").and_then(Value::as_object);
    let texts = told.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key} {}", value.as_str()?)));
    names::one_line(&texts.collect::<Vec<_>>().join(", "))
}
