//! How a contract that was written before the code differs from what the code says: by each endpoint, with the place and both sides.

use super::schema::{WORDS, resolve};
use crate::artifact::EndpointSchema;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Differences that are told.
const MOST_TOLD: usize = 50;

/// Lists whose order says nothing.
const SETS: [&str; 5] = ["required", "enum", "type", "anyOf", "allOf"];

/// Differences between a contract and the code, in words. Words for people, and names of types, may differ.
pub fn differences(contract: &[EndpointSchema], code: &[EndpointSchema]) -> Vec<String> {
    let mut told = Vec::new();
    let same = |one: &EndpointSchema, other: &EndpointSchema| one.method == other.method && one.path == other.path;
    for wanted in contract {
        let name = format!("{} {}", wanted.method, wanted.path);
        match code.iter().find(|found| same(found, wanted)) {
            None => told.push(format!("{name}: is in the contract, and the code has no such endpoint")),
            Some(found) => of_endpoint(&name, wanted, found, &mut told),
        }
    }
    for found in code.iter().filter(|found| !contract.iter().any(|wanted| same(wanted, found))) {
        told.push(format!("{} {}: is in the code, and the contract has no such endpoint", found.method, found.path));
    }
    told.truncate(MOST_TOLD);
    told
}

fn of_endpoint(name: &str, contract: &EndpointSchema, code: &EndpointSchema, told: &mut Vec<String>) {
    let null = Value::Null;
    let parts = [
        ("request", contract.request.as_ref(), code.request.as_ref()),
        ("query", contract.query.as_ref(), code.query.as_ref()),
        ("response", contract.response.as_ref(), code.response.as_ref()),
        ("status", contract.more.get("status"), code.more.get("status")),
        ("stream", contract.more.get("stream").filter(is_true), code.more.get("stream").filter(is_true)),
    ];
    for (part, wanted, found) in parts {
        let (wanted, found) = (wanted.unwrap_or(&null), found.unwrap_or(&null));
        let mut pair = Pair { name, roots: [wanted, found], seen: BTreeSet::new(), told };
        pair.compare(part, wanted, found);
    }
    let params = |of: &EndpointSchema| -> Map<String, Value> {
        let list = of.more.get("params").and_then(Value::as_array).cloned().unwrap_or_default();
        let param = |param: Value| Some((param.get("name")?.as_str()?.to_owned(), param.get("schema")?.clone()));
        list.into_iter().filter_map(param).collect()
    };
    let (wanted, found) = (params(contract), params(code));
    for (param, wanted) in wanted.iter().filter(|(_, schema)| !schema.is_null()) {
        let found = found.get(param).unwrap_or(&null);
        let mut pair = Pair { name, roots: [wanted, found], seen: BTreeSet::new(), told };
        pair.compare(&format!("params.{param}"), wanted, found);
    }
}

fn is_true(value: &&Value) -> bool {
    **value == Value::Bool(true)
}

struct Pair<'a> {
    name: &'a str,
    roots: [&'a Value; 2],
    /// Types that are being compared, by their references: what names itself ends here.
    seen: BTreeSet<(String, String)>,
    told: &'a mut Vec<String>,
}

impl<'a> Pair<'a> {
    fn compare(&mut self, path: &str, contract: &'a Value, code: &'a Value) {
        let [one, other] = self.roots;
        let refs = [contract, code].map(|schema| schema.get("$ref").and_then(Value::as_str));
        if refs.iter().any(Option::is_some) {
            let named = |to: Option<&str>, at: &Value| to.map_or_else(|| at.to_string(), str::to_owned);
            let pair = (named(refs[0], contract), named(refs[1], code));
            if !self.seen.insert(pair) {
                return;
            }
        }
        let (contract, code) = (behind(one, contract), behind(other, code));
        match (contract, code) {
            (Value::Object(contract), Value::Object(code)) => self.members(path, contract, code),
            (Value::Array(contract), Value::Array(code)) if contract.len() == code.len() => {
                for (at, (contract, code)) in contract.iter().zip(code).enumerate() {
                    self.compare(&format!("{path}[{at}]"), contract, code);
                }
            }
            (contract, code) if contract.as_f64().is_some() && contract.as_f64() == code.as_f64() => {}
            (contract, code) if contract == code => {}
            (contract, code) => self.differs(path, contract, code),
        }
    }

    fn members(&mut self, path: &str, contract: &'a Map<String, Value>, code: &'a Map<String, Value>) {
        // Names of properties are no keywords.
        let is_names = path.ends_with("properties") || path.ends_with("patternProperties");
        let keys: BTreeSet<&String> = contract.keys().chain(code.keys()).collect();
        for key in keys.into_iter().filter(|key| is_names || !WORDS.contains(&key.as_str())) {
            let inner = format!("{path}.{key}");
            match (contract.get(key), code.get(key)) {
                (Some(wanted), Some(found))
                    if !is_names && SETS.contains(&key.as_str()) && is_same_set(wanted, found) => {}
                (Some(wanted), Some(found)) => self.compare(&inner, wanted, found),
                (Some(wanted), None) if is_nothing(is_names, key, wanted) => {}
                (None, Some(found)) if is_nothing(is_names, key, found) => {}
                (wanted, found) => {
                    let (wanted, found) = (wanted.unwrap_or(&Value::Null), found.unwrap_or(&Value::Null));
                    self.differs(&inner, wanted, found);
                }
            }
        }
    }

    fn differs(&mut self, path: &str, contract: &Value, code: &Value) {
        let side = |value: &Value| match value {
            Value::Null => "nothing".to_owned(),
            value => {
                let text = value.to_string();
                if text.chars().count() > 80 { text.chars().take(77).chain("...".chars()).collect() } else { text }
            }
        };
        self.told.push(format!(
            "{}: {path}: the contract has {}, the code has {}",
            self.name,
            side(contract),
            side(code)
        ));
    }
}

/// Without it all is as with it.
fn is_nothing(is_names: bool, key: &str, value: &Value) -> bool {
    !is_names
        && match key {
            "required" => value.as_array().is_some_and(Vec::is_empty),
            "additionalProperties" | "items" => *value == Value::Bool(true),
            "uniqueItems" => *value == Value::Bool(false),
            _ => false,
        }
}

fn behind<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..64 {
        // What stands beside a reference stays where it is.
        let alone =
            schema.as_object().is_some_and(|of| of.keys().all(|key| key == "$ref" || WORDS.contains(&key.as_str())));
        let to = schema.get("$ref").and_then(Value::as_str).filter(|_| alone).and_then(|to| resolve(root, to));
        match to {
            Some(to) => schema = to,
            None => break,
        }
    }
    schema
}

fn is_same_set(one: &Value, other: &Value) -> bool {
    let set = |value: &Value| -> BTreeSet<String> {
        match value {
            Value::Array(items) => items.iter().map(Value::to_string).collect(),
            one => BTreeSet::from([one.to_string()]),
        }
    };
    set(one) == set(other)
}
