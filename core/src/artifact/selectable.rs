//! `fields = true`, or a list of paths: which members of an endpoint's answers a request may choose by `?fields=`.

use super::EndpointSchema;
use crate::settings::{FromValue, Mistakes, Place, Table, nearest};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use toml::de::DeValue;
use weft_selection::{DEEPEST, MOST_PATHS, Selection};

/// The query's parameter.
pub const FIELDS: &str = "fields";

/// Types of one answer, and schemas that are looked at for them.
const MOST_TYPES: usize = 2_000;
const MOST_STEPS: usize = 100_000;
/// Bytes of a name that is looked for among others: strangers write them, and letters are compared one by one.
const LONGEST_NAME: usize = 64;
/// Names that a refusal lists.
const MOST_TOLD: usize = 20;

/// What may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectable {
    /// These, and what is in them; none: all that there is.
    only: Option<Vec<String>>,
    /// The types of the answer, the whole answer first; none where nobody knows them.
    types: Option<Arc<[Members]>>,
}

/// Members of a type, by name, each with the place of its own type.
type Members = BTreeMap<String, usize>;

/// A path that leads nowhere, or where nobody may choose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Unknown {
    pub path: String,
    near: Option<String>,
    known: Vec<String>,
}

impl Unknown {
    fn of(path: String, near: Option<String>, known: impl Iterator<Item = String>) -> Self {
        Self { path, near, known: known.take(MOST_TOLD + 1).collect() }
    }

    fn text(&self) -> String {
        let path = &self.path;
        match &self.near {
            Some(near) => format!("`{path}` can't be chosen; did you mean `{near}`?"),
            None if self.known.is_empty() => format!("`{path}` can't be chosen: there is nothing in it to choose from"),
            None => {
                let told = self.known.iter().take(MOST_TOLD).map(|name| format!("`{name}`"));
                let more = if self.known.len() > MOST_TOLD { " …" } else { "" };
                format!("`{path}` can't be chosen; there are {}{more}", told.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// As it stands in a manifest.
#[derive(Debug)]
struct Written(Option<Vec<String>>);

impl FromValue for Written {
    fn expected() -> String {
        "true, or a list of members such as [\"title\", \"cast.actor\"]".into()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        match value {
            DeValue::Boolean(true) => Some(Ok(Self(None))),
            DeValue::Array(items) => {
                let items: Option<Vec<String>> =
                    items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
                Some(Ok(Self(Some(items?))))
            }
            _ => None,
        }
    }
}

impl Selectable {
    pub(super) fn read(endpoint: &str, table: &Table<'_>, produces: &[String]) -> Option<Self> {
        let Written(only) = table.optional(FIELDS)?;
        if !endpoint.starts_with("GET ") {
            table.mistake(FIELDS, "members can be chosen of answers to GET only: remove `fields`");
        }
        let is_json = |kind: &String| kind == "application/json" || kind.ends_with("+json");
        if let Some(other) = produces.iter().find(|kind| !is_json(kind)) {
            table.mistake(FIELDS, format!("members can be chosen of JSON only, and `produces` has \"{other}\""));
        }
        if only.as_ref().is_some_and(|only| only.is_empty() || only.len() > MOST_PATHS) {
            table.mistake(FIELDS, format!("expected 1 to {MOST_PATHS} members, or true"));
        }
        Some(Self { only, types: None })
    }

    /// Holds it against what the code says.
    pub(super) fn resolve(&mut self, declared: &EndpointSchema, place: &Place, mistakes: &Mistakes) {
        let mistake = |text: String| mistakes.add(place.mistake(format!("fields: {text}")));
        let properties = declared.query.as_ref().and_then(|query| query.get("properties"));
        if properties.is_some_and(|properties| properties.get(FIELDS).is_some()) {
            mistake("the code takes `fields` from the query by itself: remove one of them".to_owned());
        }
        let Some(root) = &declared.response else {
            return mistake("the code says of no JSON what it answers with, so nothing can be chosen of it".to_owned());
        };
        if root.as_object().is_none_or(|root| !root.contains_key("$ref") && !root.contains_key("type")) && is_open(root)
        {
            return;
        }
        let Some(types) = types(root) else {
            return mistake(format!("what the code answers with has more than {MOST_TYPES} types to choose from"));
        };
        if types.first().is_none_or(BTreeMap::is_empty) {
            return mistake("what the code answers with has no members to choose".to_owned());
        }
        self.types = Some(types.into());
        for path in self.only.iter().flatten() {
            let is_path = Selection::parse([path.as_str()]).is_ok_and(|it| it.paths() == [path.as_str()]);
            match self.found(path) {
                Err(unknown) => mistake(unknown.to_string()),
                Ok(()) if !is_path => mistake(format!("`{path}` is no member, nor a way of at most {DEEPEST} to one")),
                Ok(()) => {}
            }
        }
    }

    /// Whether all of it may be chosen.
    ///
    /// # Errors
    /// Of the first that may not.
    pub fn check(&self, selection: &Selection) -> Result<(), Unknown> {
        for path in selection.paths() {
            self.found(&path)?;
            let Some(only) = &self.only else { continue };
            let is_in = |listed: &String| {
                path.strip_prefix(listed).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if !only.iter().any(is_in) {
                let near = nearest_of(&path, only.iter().map(String::as_str)).map(str::to_owned);
                return Err(Unknown::of(path, near, only.iter().cloned()));
            }
        }
        Ok(())
    }

    /// Whether the path leads somewhere.
    fn found(&self, path: &str) -> Result<(), Unknown> {
        let Some(types) = &self.types else { return Ok(()) };
        let (mut at, mut before) = (0, String::new());
        for name in path.split('.') {
            let Some(members) = types.get(at) else { break };
            match members.get(name) {
                Some(next) => at = *next,
                None => {
                    let whole = |name: &str| format!("{before}{name}");
                    let near = nearest_of(name, members.keys().map(String::as_str)).map(whole);
                    return Err(Unknown::of(path.to_owned(), near, members.keys().map(|name| whole(name))));
                }
            }
            before = format!("{before}{name}.");
        }
        Ok(())
    }

    /// Every path that may be chosen, in its order; none where there are more than `most`, or nobody knows.
    pub fn paths(&self, most: usize) -> Option<Vec<String>> {
        let types = self.types.as_ref()?;
        let mut found = BTreeSet::new();
        let start = |path: &String| Some((path.clone(), self.at(path)?));
        let mut open: Vec<(String, usize)> = match &self.only {
            Some(only) => only.iter().filter_map(start).collect(),
            None => types.first()?.iter().map(|(name, at)| (name.clone(), *at)).collect(),
        };
        while let Some((path, at)) = open.pop() {
            if path.split('.').count() < DEEPEST {
                open.extend(types.get(at)?.iter().map(|(name, at)| (format!("{path}.{name}"), *at)));
            }
            found.insert(path);
            if found.len() > most {
                return None;
            }
        }
        Some(found.into_iter().collect())
    }

    fn at(&self, path: &str) -> Option<usize> {
        let types = self.types.as_ref()?;
        path.split('.').try_fold(0, |at, name| types.get(at)?.get(name).copied())
    }
}

fn nearest_of<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME { None } else { nearest(name, known) }
}

/// Whether a schema says nothing of members.
fn is_open(root: &Value) -> bool {
    let says = ["properties", "items", "anyOf", "oneOf", "allOf", "enum", "const"];
    *root != Value::Bool(false) && says.iter().all(|word| root.get(word).is_none())
}

/// All types that an answer is made of; none where there are too many.
fn types(root: &Value) -> Option<Vec<Members>> {
    let mut seen = Seen { root, steps: 0, places: HashMap::new(), parts: Vec::new() };
    let mut found: Vec<Members> = Vec::new();
    seen.place(vec![root])?;
    while let Some(of) = seen.parts.get(found.len()).cloned() {
        let mut schemas: BTreeMap<&String, Vec<&Value>> = BTreeMap::new();
        for (name, schema) in of.into_iter().flatten().filter(|(name, _)| is_nameable(name)) {
            schemas.entry(name).or_default().push(schema);
        }
        let mut members = Members::new();
        for (name, schemas) in schemas {
            members.insert(name.clone(), seen.place(schemas)?);
        }
        found.push(members);
        if seen.parts.len() > MOST_TYPES {
            return None;
        }
    }
    Some(found)
}

/// The types that were met: what each is made of, and by that its place.
struct Seen<'a> {
    root: &'a Value,
    steps: usize,
    places: HashMap<Vec<usize>, usize>,
    parts: Vec<Vec<&'a Map<String, Value>>>,
}

impl<'a> Seen<'a> {
    /// The place of the type that these schemas together are.
    fn place(&mut self, schemas: Vec<&'a Value>) -> Option<usize> {
        let of = opened(self.root, schemas, &mut self.steps)?;
        let mut key: Vec<usize> = of.iter().map(|part| std::ptr::from_ref(*part).addr()).collect();
        key.sort_unstable();
        let next = self.parts.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.parts.push(of);
        }
        Some(place)
    }
}

/// Whether a path can name it.
fn is_nameable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', ',']) && name.trim() == name
}

/// The lists of members that these schemas lead to: through references, lists, and one of several.
fn opened<'a>(root: &'a Value, mut open: Vec<&'a Value>, steps: &mut usize) -> Option<Vec<&'a Map<String, Value>>> {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    while let Some(schema) = open.pop() {
        if !seen.insert(std::ptr::from_ref(schema).addr()) {
            continue;
        }
        *steps += 1;
        if *steps > MOST_STEPS {
            return None;
        }
        found.extend(schema.get("properties").and_then(Value::as_object));
        let to = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
        open.extend(to.and_then(|pointer| root.pointer(pointer)));
        open.extend(schema.get("items"));
        let lists = ["anyOf", "oneOf", "allOf", "prefixItems"];
        open.extend(lists.iter().filter_map(|name| schema.get(name)?.as_array()).flatten());
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selectable(schema: Value, only: Option<&[&str]>) -> Result<Selectable, String> {
        let only = only.map(|only| only.iter().map(|path| (*path).to_owned()).collect());
        let mut selectable = Selectable { only, types: None };
        let mistakes = Mistakes::new();
        let document = crate::settings::Document::parse(std::path::Path::new("p"), "", &mistakes);
        let declared = json!({ "method": "GET", "path": "/", "request": null, "response": schema, "query": null });
        let declared: EndpointSchema = serde_json::from_value(declared).unwrap();
        selectable.resolve(&declared, &document.table(&mistakes).place(""), &mistakes);
        match mistakes.into_sorted().first() {
            Some(mistake) => Err(mistake.message.clone()),
            None => Ok(selectable),
        }
    }

    fn film() -> Value {
        json!({
            "type": "object",
            "properties": {
                "title": { "type": "string" },
                "cast": { "type": "array", "items": { "$ref": "#/$defs/Role" } },
                "lead": { "anyOf": [{ "$ref": "#/$defs/Person" }, { "type": "null" }] },
                "a.b": { "type": "string" },
            },
            "$defs": {
                "Role": { "properties": { "character": {}, "actor": { "$ref": "#/$defs/Person" } } },
                "Person": { "properties": { "name": {} } },
            },
        })
    }

    fn refused(selectable: &Selectable, path: &str) -> Option<String> {
        selectable.check(&Selection::parse([path]).unwrap()).err().map(|unknown| unknown.to_string())
    }

    #[test]
    fn members_are_found_through_lists_references_and_what_may_be_null() {
        let film = selectable(film(), None).unwrap();
        let all = ["cast", "cast.actor", "cast.actor.name", "cast.character", "lead", "lead.name", "title"];
        assert_eq!(film.paths(10).unwrap(), all);
        assert_eq!(film.paths(6), None);
        for path in all {
            assert_eq!(refused(&film, path), None);
        }
        let long = "t".repeat(2_000);
        assert!(refused(&film, &long).unwrap().ends_with("there are `cast`, `lead`, `title`"));
        assert_eq!(refused(&film, "titel").unwrap(), "`titel` can't be chosen; did you mean `title`?");
        assert_eq!(
            refused(&film, "cast.actor.nme").unwrap(),
            "`cast.actor.nme` can't be chosen; did you mean `cast.actor.name`?"
        );
        assert_eq!(
            refused(&film, "cast.x").unwrap(),
            "`cast.x` can't be chosen; there are `cast.actor`, `cast.character`"
        );
        assert_eq!(
            refused(&film, "title.x").unwrap(),
            "`title.x` can't be chosen: there is nothing in it to choose from"
        );
    }

    #[test]
    fn what_is_listed_may_be_chosen_and_what_is_in_it() {
        let some = selectable(film(), Some(&["cast.actor", "title"])).unwrap();
        assert_eq!(some.paths(10).unwrap(), ["cast.actor", "cast.actor.name", "title"]);
        assert_eq!(refused(&some, "cast.actor.name,title"), None);
        assert_eq!(refused(&some, "cast").unwrap(), "`cast` can't be chosen; there are `cast.actor`, `title`");
        assert!(refused(&some, "lead").is_some());
        let unknown = selectable(film(), Some(&["cast.actr"])).unwrap_err();
        assert_eq!(unknown, "fields: `cast.actr` can't be chosen; did you mean `cast.actor`?");
    }

    #[test]
    fn types_that_hold_themselves_end() {
        let ring = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "properties": { "next": { "$ref": "#/$defs/A" }, "list": { "type": "array", "items": { "$ref": "#" } } } } } });
        let ring = selectable(ring, None).unwrap();
        assert_eq!(refused(&ring, "next.list.next.next"), None);
        assert_eq!(ring.paths(100), None, "there are 510 of them");
        let empty = selectable(json!({ "$ref": "#/$defs/A", "$defs": { "A": { "$ref": "#/$defs/A" } } }), None);
        assert_eq!(empty.unwrap_err(), "fields: what the code answers with has no members to choose");
    }

    #[test]
    fn of_what_nobody_knows_everything_may_be_chosen() {
        for schema in [json!(true), json!({})] {
            assert_eq!(refused(&selectable(schema, None).unwrap(), "a.b"), None);
        }
        assert!(selectable(json!({ "type": "string" }), None).is_err());
    }
}
