//! Parameters of the path, the query and headers.

use super::{
    comparison::{Comparison, Direction},
    document::{Document, Unreadable},
    rules::Rule,
    text,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Has rules of its own.
const KEY: &str = "idempotency-key";

/// By where it stands and what it is called.
type Parameters<'a> = BTreeMap<(String, String), &'a Value>;

pub(super) fn of<'a>(
    document: &'a Document,
    template: &str,
    item: &'a Value,
    operation: &'a Value,
) -> Result<Parameters<'a>, Unreadable> {
    let mut found = Parameters::new();
    let places: BTreeMap<&str, usize> = names(template).into_iter().enumerate().map(|(at, name)| (name, at)).collect();
    let lists = [item, operation].map(|part| part.get("parameters").and_then(Value::as_array));
    for parameter in lists.into_iter().flatten().flatten() {
        let parameter = document.resolved(parameter)?;
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        let (place, name) = (text("in"), text("name"));
        let name = match place {
            // URLs don't have their names.
            "path" => places.get(name).map_or(name.to_owned(), usize::to_string),
            "header" => name.to_ascii_lowercase(),
            _ => name.to_owned(),
        };
        found.insert((place.to_owned(), name), parameter);
    }
    Ok(found)
}

/// The names in a template, in their order.
pub(super) fn names(template: &str) -> Vec<&str> {
    let parts = template.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    parts.map(|name| name.trim_start_matches('*')).collect()
}

impl<'a> Comparison<'a> {
    pub(super) fn parameters(&mut self, old: &Parameters<'a>, new: &Parameters<'a>) -> Result<(), Unreadable> {
        for (key, was) in old {
            self.at(key, was);
            match new.get(key) {
                Some(is) => self.parameter(was, is)?,
                None if key.0 == "header" && key.1 == KEY => self.note(Rule::IdempotencyRemoved, ""),
                None => self.note(Rule::ParameterRemoved, text::deprecation(&[was])),
            }
        }
        for (key, is) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            self.at(key, is);
            match (is_required(is), key.0 == "header" && key.1 == KEY) {
                (true, _) => self.note(Rule::ParameterAddedRequired, ""),
                (false, true) => self.note(Rule::IdempotencyAdded, ""),
                (false, false) => self.note(Rule::ParameterAdded, ""),
            }
        }
        self.place.clear();
        Ok(())
    }

    fn at(&mut self, (place, name): &(String, String), parameter: &Value) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or(name);
        self.place = format!("{place} parameter {}", text::cut(name));
    }

    fn parameter(&mut self, old: &'a Value, new: &'a Value) -> Result<(), Unreadable> {
        match (is_required(old), is_required(new)) {
            (false, true) => self.note(Rule::ParameterRequired, ""),
            (true, false) => self.note(Rule::ParameterOptional, ""),
            _ => {}
        }
        let is_deprecated = |parameter: &Value| parameter.get("deprecated") == Some(&Value::Bool(true));
        if is_deprecated(new) && !is_deprecated(old) {
            self.note(Rule::ParameterDeprecated, text::deprecation(&[new]));
        }
        let (was, is) = (written(old), written(new));
        if was != is {
            self.note(Rule::ParameterWritten, format!("was {was}, is {is}"));
            return Ok(());
        }
        let (was, is) = (schema(old), schema(new));
        let default = |schema: Option<&'a Value>| schema.and_then(|schema| schema.get("default"));
        if let Some(given) = default(was).filter(|given| default(is) != Some(*given)) {
            let now = default(is).map_or("none".to_owned(), text::short);
            self.note(Rule::RequestDefaultChanged, format!("was {}, is {now}", text::short(given)));
        }
        let node = |schema: Option<&'a Value>| schema.into_iter().collect::<Vec<_>>();
        self.whole(Direction::Request, "", &node(was), &node(is))
    }
}

fn is_required(parameter: &Value) -> bool {
    parameter.get("required") == Some(&Value::Bool(true))
}

/// The schema, of itself or of its one media type.
fn schema(parameter: &Value) -> Option<&Value> {
    parameter.get("schema").or_else(|| parameter.get("content")?.as_object()?.values().next()?.get("schema"))
}

/// How it is written, with what holds where nothing is said.
fn written(parameter: &Value) -> String {
    if let Some((media, _)) =
        parameter.get("content").and_then(Value::as_object).and_then(|content| content.iter().next())
    {
        return media.clone();
    }
    let place = parameter.get("in").and_then(Value::as_str);
    let usual = if matches!(place, Some("query" | "cookie")) { "form" } else { "simple" };
    let style = parameter.get("style").and_then(Value::as_str).unwrap_or(usual);
    let explode = parameter.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
    format!("{style}{}", if explode { ", exploded" } else { "" })
}
