//! Schemas that contradict themselves: no value fits them, so whoever wrote them meant something else.

use super::schema::{Fault, inside, resolve};
use crate::artifact::EndpointSchema;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Schemas in one another, and references that lead to one another.
const DEEPEST: usize = 128;
const LONGEST_CHAIN: usize = 64;
/// Schemas that are looked at.
const MOST: usize = 100_000;
/// Contradictions that are told of one schema.
const MOST_TOLD: usize = 20;
/// Bounds, the lower and the upper one, and whether a value may be what they say.
const NUMBERS: [(&str, bool); 2] = [("minimum", true), ("exclusiveMinimum", false)];
const COUNTS: [(&str, &str); 3] =
    [("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")];

/// What of a schema no value can fit, with the place inside of it. What is wrong in the branch of a choice is wrong all the same; what
/// stands behind `not` is no contradiction.
pub fn contradictions(schema: &Value) -> Vec<Fault> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut open = vec![(schema, String::new(), 0)];
    while let Some((at, path, depth)) = open.pop() {
        looked_at += 1;
        let Some(members) = at.as_object().filter(|_| depth < DEEPEST && looked_at < MOST) else { continue };
        found.extend(of_one(schema, members).into_iter().map(|message| Fault { path: path.clone(), message }));
        for (key, name, inner) in inside(members).into_iter().filter(|(key, ..)| *key != "not") {
            let of_key = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let place = name.map_or(of_key.clone(), |name| format!("{of_key}.{name}"));
            open.push((inner, place, depth + 1));
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found.truncate(MOST_TOLD);
    found
}

/// The same of all schemas of an endpoint: `response.properties.stars`.
pub fn of_endpoint(endpoint: &EndpointSchema) -> Vec<Fault> {
    let parts = [("query", &endpoint.query), ("request", &endpoint.request), ("response", &endpoint.response)];
    let parts = parts.into_iter().filter_map(|(part, schema)| Some((part.to_owned(), schema.as_ref()?)));
    let params = endpoint.more.get("params").and_then(Value::as_array).into_iter().flatten();
    let params =
        params.filter_map(|param| Some((format!("path.{}", param.get("name")?.as_str()?), param.get("schema")?)));
    let told = |(part, schema): (String, &Value)| {
        let place = move |fault: Fault| match fault.path.as_str() {
            "" => Fault { path: part.clone(), ..fault },
            inner => Fault { path: format!("{part}.{inner}"), message: fault.message },
        };
        contradictions(schema).into_iter().map(place)
    };
    parts.chain(params).flat_map(told).take(MOST_TOLD).collect()
}

/// Of one schema, by itself and by what has to hold beside it.
fn of_one(root: &Value, schema: &Map<String, Value>) -> Vec<String> {
    let parts = parts(root, schema);
    let mut found = Vec::new();
    found.extend(types(&parts));
    found.extend(numbers(&parts));
    let most = |key: &str| parts.iter().filter_map(|part| part.get(key)?.as_u64()).min();
    let least = |key: &str| parts.iter().filter_map(|part| part.get(key)?.as_u64()).max();
    for (low, high) in COUNTS {
        if let (Some(least), Some(most)) = (least(low), most(high))
            && least > most
        {
            found.push(format!("`{low}` {least} is above `{high}` {most}"));
        }
    }
    found.extend(values(schema));
    found.extend(members(&parts, most("maxProperties")));
    found
}

/// The schema, and all that holds with it: `allOf`, and what is referred to.
fn parts<'a>(root: &'a Value, schema: &'a Map<String, Value>) -> Vec<&'a Map<String, Value>> {
    let (mut parts, mut seen) = (Vec::new(), BTreeSet::new());
    let mut open = vec![schema];
    while let Some(part) = open.pop() {
        if !seen.insert(std::ptr::from_ref(part).addr()) || seen.len() > LONGEST_CHAIN {
            continue;
        }
        let to = part.get("$ref").and_then(Value::as_str).and_then(|to| resolve(root, to));
        let all = part.get("allOf").and_then(Value::as_array).into_iter().flatten();
        open.extend(to.into_iter().chain(all).filter_map(Value::as_object));
        parts.push(part);
    }
    parts
}

/// Types that exclude one another.
fn types(parts: &[&Map<String, Value>]) -> Option<String> {
    let named = parts.iter().filter_map(|part| part.get("type")).map(super::plain::named_types);
    let mut left: Option<BTreeSet<&str>> = None;
    for names in named {
        let mut names: BTreeSet<&str> = names.into_iter().collect();
        // Every integer is a number.
        if names.contains("number") {
            names.insert("integer");
        }
        left = Some(left.map_or_else(|| names.clone(), |left| left.intersection(&names).copied().collect()));
    }
    left.filter(BTreeSet::is_empty).map(|_| "of the types that have to hold together no value has all".to_owned())
}

/// Bounds of numbers that no number is between.
fn numbers(parts: &[&Map<String, Value>]) -> Option<String> {
    let bound = |key: &str| parts.iter().filter_map(|part| part.get(key)?.as_f64()).collect::<Vec<_>>();
    let low = NUMBERS.iter().flat_map(|(key, may_be)| bound(key).into_iter().map(move |at| (at, *may_be, *key)));
    let low = low.max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)))?;
    let high = [("maximum", true), ("exclusiveMaximum", false)];
    let high = high.iter().flat_map(|(key, may_be)| bound(key).into_iter().map(move |at| (at, *may_be, *key)));
    let high = high.min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)))?;
    let is_empty = low.0 > high.0 || (low.0 >= high.0 && !(low.1 && high.1));
    let whole = parts.iter().any(|part| part.get("type").is_some_and(|kind| kind == "integer"));
    let first = if low.1 { low.0.ceil() } else { low.0.floor() + 1.0 };
    let last = if high.1 { high.0.floor() } else { high.0.ceil() - 1.0 };
    let what = if whole { "whole number" } else { "number" };
    (is_empty || (whole && first > last))
        .then(|| format!("no {what} has both `{}` {} and `{}` {}", low.2, low.0, high.2, high.0))
}

/// Listed values of which none is let through.
fn values(schema: &Map<String, Value>) -> Option<String> {
    let listed: Vec<&Value> = match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => vec![value],
        (None, Some(Value::Array(values))) => values.iter().collect(),
        _ => return None,
    };
    if listed.is_empty() {
        return Some("`enum` lists no value".to_owned());
    }
    // All that is asked of the value itself, but not what it refers to.
    let fits = |value: &&Value| super::plain::plain(schema, value).is_empty();
    (!listed.iter().any(fits))
        .then(|| "none of the listed values is one that the other keywords let through".to_owned())
}

/// Members that have to be there, and can't.
fn members(parts: &[&Map<String, Value>], most: Option<u64>) -> Vec<String> {
    let list = |part: &Map<String, Value>| part.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let required: BTreeSet<String> =
        parts.iter().flat_map(|part| list(part)).filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    let mut found = Vec::new();
    for name in &required {
        let declared = parts.iter().filter_map(|part| part.get("properties")?.get(name));
        let is_forbidden = declared.into_iter().any(is_nothing);
        let is_closed = |part: &&Map<String, Value>| {
            let is_known = part.get("properties").is_some_and(|properties| properties.get(name).is_some());
            let has_patterns = part.get("patternProperties").is_some();
            part.get("additionalProperties") == Some(&Value::Bool(false)) && !is_known && !has_patterns
        };
        if is_forbidden || parts.iter().any(is_closed) {
            found.push(format!("`{name}` is required, and may not be there"));
        }
    }
    if let Some(most) = most.filter(|most| required.len() as u64 > *most) {
        found.push(format!("{} members are required, and `maxProperties` is {most}", required.len()));
    }
    found
}

/// What lets nothing through: `false`, or `not` of everything.
fn is_nothing(schema: &Value) -> bool {
    let is_all = |schema: &Value| *schema == Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty);
    *schema == Value::Bool(false) || schema.get("not").is_some_and(is_all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mocks::schema::check;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(schema: Value) -> Vec<String> {
        contradictions(&schema).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_kind_is_named_with_its_place() {
        for (schema, expected) in [
            (json!({ "minimum": 5, "maximum": 3 }), "no number has both `minimum` 5 and `maximum` 3"),
            (json!({ "exclusiveMinimum": 3, "maximum": 3 }), "no number has both `exclusiveMinimum` 3 and `maximum` 3"),
            (
                json!({ "type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2 }),
                "no whole number has both `exclusiveMinimum` 1 and `exclusiveMaximum` 2",
            ),
            (json!({ "minLength": 3, "maxLength": 2 }), "`minLength` 3 is above `maxLength` 2"),
            (json!({ "minItems": 1, "maxItems": 0 }), "`minItems` 1 is above `maxItems` 0"),
            (json!({ "enum": [] }), "`enum` lists no value"),
            (json!({ "type": "string", "enum": [1, 2] }), "none of the listed values"),
            (json!({ "required": ["a"], "properties": { "a": false } }), "`a` is required, and may not be there"),
            (json!({ "required": ["a"], "properties": { "a": { "not": {} } } }), "`a` is required"),
            (json!({ "required": ["a"], "additionalProperties": false }), "`a` is required"),
            (json!({ "required": ["a", "b"], "maxProperties": 1 }), "2 members are required, and `maxProperties` is 1"),
            (json!({ "type": "string", "allOf": [{ "type": "integer" }] }), "of the types that have to hold together"),
            (json!({ "allOf": [{ "minimum": 5 }, { "maximum": 3 }] }), "no number has both"),
            (
                json!({ "$ref": "#/$defs/A", "maximum": 3, "$defs": { "A": { "minimum": 5 } } }),
                "no number has both `minimum` 5 and `maximum` 3",
            ),
        ] {
            let all = told(schema.clone());
            assert!(all.len() == 1 && all[0].starts_with(expected), "{schema}: {all:?}");
            let inner = told(json!({ "properties": { "x": { "items": schema } }, "$defs": schema.get("$defs") }));
            assert!(inner.iter().any(|told| told.starts_with("properties.x.items: ")), "{schema}: {inner:?}");
        }
    }

    #[test]
    fn what_can_be_is_no_contradiction() {
        for schema in [
            json!({ "minimum": 3, "maximum": 3 }),
            json!({ "type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2 }),
            json!({ "type": ["integer", "null"], "enum": [null] }),
            json!({ "type": "number", "allOf": [{ "type": "integer" }] }),
            json!({ "properties": { "a": false } }),
            json!({ "not": { "minimum": 5, "maximum": 3 } }),
            json!({ "required": ["a"], "patternProperties": { "a": {} }, "additionalProperties": false }),
            json!({ "$ref": "#" }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            json!(true),
        ] {
            assert_eq!(told(schema.clone()), [""; 0], "{schema}");
        }
    }

    #[test]
    fn schemas_without_end_and_large_ones_end() {
        let ring = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "allOf": [{ "$ref": "#/$defs/B" }] }, "B": { "$ref": "#/$defs/A" } } });
        assert_eq!(told(ring), [""; 0]);
        let deep = (0..1_000).fold(json!({ "enum": [] }), |inner, _| json!({ "items": inner }));
        assert_eq!(contradictions(&deep).len(), 0, "beyond what anybody reads");
        let wide: Map<String, Value> = (0..200_000).map(|n| (format!("p{n:06}"), json!({ "enum": [] }))).collect();
        assert_eq!(contradictions(&json!({ "properties": wide })).len(), MOST_TOLD);
    }

    fn schemas() -> impl Strategy<Value = Value> {
        let bound = |key: &'static str| (0..4u32).prop_map(move |at| json!({ key: at }));
        prop_oneof![
            proptest::collection::vec(
                prop_oneof![
                    bound("minimum"),
                    bound("maximum"),
                    bound("exclusiveMinimum"),
                    bound("exclusiveMaximum"),
                    Just(json!({ "type": "integer" })),
                    Just(json!({ "type": "number" })),
                    Just(json!({ "enum": [1, "a"] })),
                ],
                1..5
            ),
            proptest::collection::vec(
                prop_oneof![bound("minLength"), bound("maxLength"), Just(json!({ "type": "string" }))],
                1..4
            ),
        ]
        .prop_map(|parts| {
            parts
                .iter()
                .filter_map(Value::as_object)
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<Map<_, _>>()
                .into()
        })
    }

    proptest! {
        /// What is called a contradiction fits nothing that is drawn for it.
        #[test]
        fn nothing_fits_what_contradicts_itself(schema in schemas(), value in prop_oneof![(0..5i64).prop_map(Value::from), (0..50u32).prop_map(|n| json!(f64::from(n) / 10.0)), "a{0,5}".prop_map(Value::from)]) {
            let is_number = schema.get("type").is_none_or(|kind| kind != "string") && schema.get("minLength").is_none() && schema.get("maxLength").is_none();
            let is_of_kind = if is_number { value.is_number() } else { value.is_string() };
            if !contradictions(&schema).is_empty() && is_of_kind {
                prop_assert!(!check(&schema, &value).is_empty(), "{schema} {value}");
            }
        }
    }
}
