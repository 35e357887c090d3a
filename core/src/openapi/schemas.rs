//! The types of all plugins as components. What two documents call by one name is one component where it has one shape, and otherwise gets
//! names that say where each comes from: the first of `Name`, `Name.output` (or `.input`), `Name.PLUGIN`, `Name.PLUGIN.output`,
//! `Name.PLUGIN.output.OPERATION` that tells them all apart.

use super::{
    NoDocument,
    bounds::MOST_SCHEMAS,
    operation::Operation,
    place::Use,
    problems,
    walk::{bound_numbers, each, references},
};
use crate::{artifact::member, model::Digest};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that are compared, of all shapes together.
const MOST_COMPARED: usize = 64 << 20;
const DEFS: &str = "#/$defs/";

/// By the operation's name.
type Place = (String, Use);

/// The names that one schema's own ones have in the document.
#[derive(Debug, Default)]
struct Names {
    /// Its root, where that is a type with a name.
    root: Option<String>,
    defs: BTreeMap<String, String>,
}

/// A type, and where it was first met.
#[derive(Debug)]
struct Shape {
    schema: Value,
    place: Place,
    plugin: String,
}

/// By name, and there by what it is.
type Shapes = BTreeMap<String, BTreeMap<String, Shape>>;

#[derive(Debug)]
pub(super) struct Schemas {
    names: BTreeMap<Place, Names>,
    components: BTreeMap<String, (Value, Place)>,
    /// Of components, by name and member: that it will go away.
    marks: Vec<(String, String, Value)>,
}

impl Schemas {
    pub(super) fn gather(operations: &[Operation<'_>]) -> Result<Self, NoDocument> {
        let (mut shapes, mut left) = (Shapes::new(), MOST_COMPARED);
        // What each place calls its types: by its own name for it, the shared name and the shape.
        let mut known: Vec<(Place, Option<String>, String, String)> = Vec::new();
        for operation in operations {
            for (of, schema) in operation.schemas() {
                let place = (operation.id.clone(), of);
                for (own, name, schema, text) in types(schema, of, &mut left).map_err(|reason| operation.bad(reason))? {
                    let shape = Shape { schema, place: place.clone(), plugin: operation.part.plugin.to_owned() };
                    shapes.entry(name.clone()).or_default().entry(text.clone()).or_insert(shape);
                    known.push((place.clone(), own, name, text));
                }
                if known.len() > 10 * MOST_SCHEMAS {
                    return Err(NoDocument::TooLarge(format!("more than {MOST_SCHEMAS} types")));
                }
            }
        }
        let mut finals: BTreeMap<(&str, &str), String> = BTreeMap::new();
        for (name, of_name) in &shapes {
            finals.extend(told_apart(name, of_name).into_iter().map(|(text, told)| ((name.as_str(), text), told)));
        }
        let mut names: BTreeMap<Place, Names> = BTreeMap::new();
        for (place, own, name, text) in &known {
            let Some(told) = finals.get(&(name.as_str(), text.as_str())) else { continue };
            let names = names.entry(place.clone()).or_default();
            match own {
                Some(own) => drop(names.defs.insert(own.clone(), told.clone())),
                None => names.root = Some(told.clone()),
            }
        }
        let component = |((name, text), told): (&(&str, &str), &String)| {
            let shape = shapes.get(*name)?.get(*text)?;
            Some((told.clone(), (shape.schema.clone(), shape.place.clone())))
        };
        let components: BTreeMap<_, _> = finals.iter().filter_map(component).collect();
        if components.len() > MOST_SCHEMAS {
            return Err(NoDocument::TooLarge(format!("more than {MOST_SCHEMAS} types")));
        }
        Ok(Self { names, components, marks: Vec::new() })
    }

    /// What stands for a whole schema: a reference where it is a type with a name.
    pub(super) fn of_root(&self, place: &Place, schema: &Value) -> Result<Value, String> {
        match self.names.get(place).and_then(|names| names.root.as_ref()) {
            Some(name) => Ok(reference(name)),
            None => self.written(place, schema),
        }
    }

    /// A part of the schema at `place`, with references into the document.
    pub(super) fn written(&self, place: &Place, schema: &Value) -> Result<Value, String> {
        let empty = Names::default();
        let names = self.names.get(place).unwrap_or(&empty);
        let mut schema = schema.clone();
        if let Some(members) = schema.as_object_mut() {
            ["$schema", "$id", "$defs", "title"].iter().for_each(|name| drop(members.remove(*name)));
        }
        each(&mut schema, &mut |members| {
            bound_numbers(members);
            let Some(Value::String(to)) = members.get("$ref") else { return Ok(()) };
            let to =
                resolved(names, to).ok_or_else(|| format!("its schema refers to `{to}`, which it does not have"))?;
            members.insert("$ref".to_owned(), to.into());
            Ok(())
        })?;
        Ok(schema)
    }

    /// Marks the member that `path` leads to (`films.image`) as one that will go away.
    pub(super) fn mark(&mut self, place: &Place, root: &Value, path: &str, about: &Value) {
        let Some((holder, found)) = member(root, path) else { return };
        let Some(names) = self.names.get(place) else { return };
        let name = match holder {
            None => names.root.clone(),
            Some(own) => names.defs.get(&own).cloned(),
        };
        self.marks.extend(name.map(|name| (name, found, about.clone())));
    }

    /// `components.schemas`.
    pub(super) fn into_components(self, operations: &[Operation<'_>]) -> Result<Map<String, Value>, NoDocument> {
        let bad = |place: &Place, reason: String| {
            let at = operations.iter().find(|operation| operation.id == place.0);
            at.map_or(NoDocument::TooLarge(reason.clone()), |operation| operation.bad(reason))
        };
        let mut components = Map::new();
        for (name, (schema, place)) in &self.components {
            let written = self.written(place, schema).map_err(|reason| bad(place, reason))?;
            components.insert(name.clone(), written);
        }
        for (name, member, about) in &self.marks {
            let property = components.get_mut(name).and_then(|c| c.get_mut("properties")?.get_mut(member));
            if let Some(Value::Object(property)) = property {
                property.insert("deprecated".to_owned(), true.into());
                property.insert("x-weft-deprecated".to_owned(), about.clone());
            }
        }
        components.extend(problems::components(operations)?);
        Ok(components)
    }
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn resolved(names: &Names, to: &str) -> Option<String> {
    let (name, rest) = match to.strip_prefix(DEFS) {
        Some(to) => {
            let (own, rest) = to.split_once('/').map_or((to, None), |(own, rest)| (own, Some(rest)));
            (names.defs.get(&unescaped(own))?, rest)
        }
        None if to == "#" => (names.root.as_ref()?, None),
        None => (names.root.as_ref()?, Some(to.strip_prefix("#/")?)),
    };
    let rest = rest.map(|rest| format!("/{rest}")).unwrap_or_default();
    Some(format!("#/components/schemas/{name}{rest}"))
}

/// A step of a JSON pointer in a URI fragment.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The types in a schema: its own name for it (none for the root), the name in the document, the schema, and what tells shapes apart.
pub(super) type Found = (Option<String>, String, Value, String);

/// `left`: bytes that may still be compared.
pub(super) fn types(root: &Value, of: Use, left: &mut usize) -> Result<Vec<Found>, String> {
    let empty = Map::new();
    let defs = root.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let written = |schema: &Value| Digest::of(schema.to_string().as_bytes()).to_string();
    let mut direct: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut digests: BTreeMap<&str, String> = BTreeMap::new();
    for (name, schema) in defs {
        direct.insert(name, references(schema)?);
        digests.insert(name, written(schema));
    }
    let mut bare = root.clone();
    if let Some(members) = bare.as_object_mut() {
        members.remove("$defs");
        members.remove("$schema");
    }
    let (of_root, root_digest) = (references(&bare)?, written(&bare));
    let mut text = |own: Option<&str>| {
        let mut held: BTreeSet<&str> = BTreeSet::new();
        let from_root = || of_root.iter().filter_map(|to| to.strip_prefix(DEFS));
        let mut with_root = own.is_none();
        let mut ahead: Vec<&str> = own.map_or_else(|| from_root().collect(), |own| vec![own]);
        while let Some(name) = ahead.pop() {
            let Some((name, _)) = defs.get_key_value(name.split('/').next().unwrap_or(name)) else { continue };
            if !held.insert(name) {
                continue;
            }
            let next = direct.get(name.as_str()).into_iter().flatten();
            if !with_root && next.clone().any(|to| !to.starts_with(DEFS)) {
                with_root = true;
                ahead.extend(from_root());
            }
            ahead.extend(next.filter_map(|to| to.strip_prefix(DEFS)));
        }
        let held: BTreeMap<&str, &String> =
            held.into_iter().filter_map(|name| Some((name, digests.get(name)?))).collect();
        // What leads back to the root is told apart by all of it.
        let text = json!([own, held, with_root.then_some(&root_digest)]).to_string();
        let too_much =
            || format!("its types, each with all that it leads to, have more than {} MiB", MOST_COMPARED >> 20);
        *left = left.checked_sub(text.len()).ok_or_else(too_much)?;
        Ok::<_, String>(Digest::of(text.as_bytes()).to_string())
    };
    let mut found: Vec<Found> = Vec::new();
    for (name, schema) in defs {
        found.push((Some(name.clone()), component_name(name), schema.clone(), text(Some(name))?));
    }
    let points_back = of_root.iter().chain(direct.values().flatten()).any(|to| !to.starts_with(DEFS));
    let title = bare.get("title").and_then(Value::as_str).unwrap_or("Root");
    if of != Use::Query && (points_back || is_type(&bare)) {
        found.push((None, component_name(title), bare.clone(), text(None)?));
    }
    Ok(found)
}

/// Whether a schema's title names a type of the code, and not only what it is made of (`Array_of_Film`, `string`).
fn is_type(schema: &Value) -> bool {
    let title = schema.get("title").and_then(Value::as_str).unwrap_or_default();
    let is_made_up =
        ["Array_of_", "Nullable_", "Map_of_", "Set_of_", "Tuple_of_"].iter().any(|word| title.starts_with(word));
    let members = ["properties", "oneOf", "anyOf", "allOf", "enum"];
    title.starts_with(|c: char| c.is_ascii_uppercase())
        && !is_made_up
        && members.iter().any(|name| schema.get(name).is_some())
}

/// As far as the specification lets it stand; a dot is ours, and so is `problem`.
fn component_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    match name.as_str() {
        "" => "_".to_owned(),
        "problem" => "problem_".to_owned(),
        _ => name,
    }
}

/// A name for each shape of one name.
fn told_apart<'a>(name: &str, shapes: &'a BTreeMap<String, Shape>) -> Vec<(&'a str, String)> {
    let levels: [&dyn Fn(&Shape) -> String; 5] = [
        &|_| name.to_owned(),
        &|shape| format!("{name}.{}", shape.place.1.direction()),
        &|shape| format!("{name}.{}", shape.plugin),
        &|shape| format!("{name}.{}.{}", shape.plugin, shape.place.1.direction()),
        &|shape| format!("{name}.{}.{}.{}", shape.plugin, shape.place.1.direction(), shape.place.0),
    ];
    for level in levels {
        let named: Vec<_> = shapes.iter().map(|(text, shape)| (text.as_str(), level(shape))).collect();
        let distinct: BTreeSet<&String> = named.iter().map(|(_, name)| name).collect();
        if distinct.len() == named.len() {
            return named;
        }
    }
    // Two names of one schema that are written the same.
    shapes.keys().enumerate().map(|(at, text)| (text.as_str(), format!("{name}.{}", at + 1))).collect()
}
