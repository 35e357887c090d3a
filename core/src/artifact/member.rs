//! Members of what an endpoint answers with, by the way to them.

use serde_json::Value;

/// Steps to a member, references included.
const MOST_STEPS: usize = 64;

/// Where the member stands that `path` (`films.image`) leads to: in the root or in the type with that name of its own; and its name.
/// Lists are looked into.
pub fn member(root: &Value, path: &str) -> Option<(Option<String>, String)> {
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
