//! One file of a contract: what is wrong with it is told with its place, and its schemas get the types that they name.

use super::{
    contradiction::contradictions,
    schema::{Fault, understood},
};
use crate::settings::{Mistake, Mistakes};
use serde_json::{Map, Value};

/// A file that is read.
pub(super) struct File<'a> {
    path: String,
    mistakes: &'a Mistakes,
}

impl<'a> File<'a> {
    pub(super) fn new(path: String, mistakes: &'a Mistakes) -> Self {
        Self { path, mistakes }
    }

    pub(super) fn mistake(&self, key: &str, message: impl Into<String>) {
        let (file, key) = (self.path.as_str().into(), key.to_owned());
        self.mistakes.add(Mistake { file, line: 0, key, message: message.into() });
    }

    /// The schema with the types that it names; what can't be understood of it is noted.
    pub(super) fn schema(&self, key: &str, schema: &Value, types: &Map<String, Value>) -> Value {
        let whole = with_types(schema, types);
        for Fault { path, message } in understood(&whole).into_iter().chain(contradictions(&whole)) {
            let place = if path.is_empty() { key.to_owned() } else { format!("{key}.{path}") };
            self.mistake(&place, message);
        }
        whole
    }
}

/// The schema with all `$defs` that it leads to.
fn with_types(schema: &Value, types: &Map<String, Value>) -> Value {
    let mut whole = schema.clone();
    let mut needed = Map::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                let name = members.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
                let found = name.and_then(|name| Some((name, types.get(name)?)));
                if let Some((name, found)) = found
                    && needed.insert(name.to_owned(), found.clone()).is_none()
                {
                    open.push(found);
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    if let (Value::Object(members), false) = (&mut whole, needed.is_empty()) {
        let own = members.entry("$defs").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(own) = own {
            for (name, schema) in needed {
                own.entry(name).or_insert(schema);
            }
        }
    }
    whole
}
