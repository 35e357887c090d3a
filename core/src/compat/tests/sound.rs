//! What nothing is said about really breaks nothing: values are drawn, and shown to both schemas.

use super::{Document, answer_among, diff, sent};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Schemas of few words, so that two of them often have much in common.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({ "type": "string" })),
        Just(json!({ "type": ["string", "null"] })),
        Just(json!({ "type": "integer" })),
        Just(json!({ "type": "number" })),
        Just(json!({ "type": "integer", "minimum": 1 })),
        Just(json!({ "type": "string", "maxLength": 1 })),
        Just(json!({ "enum": ["a", "b"] })),
        Just(json!({ "enum": ["a", null] })),
        Just(json!({ "const": "a" })),
        Just(json!({})),
        Just(json!(false)),
        Just(json!({ "$ref": "#/components/schemas/Shared" })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let fields = proptest::collection::btree_map("[ab]", inner.clone(), 0..3);
        let required = proptest::collection::btree_set("[ab]", 0..2);
        let union = proptest::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (fields, required).prop_map(|(fields, required)| {
                json!({ "type": "object", "properties": fields, "required": required })
            }),
            inner.clone().prop_map(|schema| json!({ "type": "object", "additionalProperties": schema })),
            inner.clone().prop_map(|schema| json!({ "type": "array", "items": schema })),
            (inner.clone(), inner).prop_map(|(one, other)| json!({ "allOf": [one, other] })),
            union.prop_map(|list| json!({ "anyOf": list })),
        ]
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!("a")),
        Just(json!("bb")),
        Just(json!(0)),
        Just(json!(2)),
        Just(json!(0.5)),
        Just(json!(true)),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::btree_map("[ab]", inner.clone(), 0..3).prop_map(|fields| json!(fields)),
            proptest::collection::vec(inner, 0..2).prop_map(|list| json!(list)),
        ]
    })
}

const SHARED: &str = r##"{ "type": "object", "properties": { "a": { "$ref": "#/components/schemas/Shared" }, "b": { "type": "string" } } }"##;

/// How fields are taken that nobody has declared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reading {
    /// As the schema says.
    Exact,
    /// As an app takes an answer: it passes over them.
    Tolerant,
    /// As an app sends a request: it has none.
    Sent,
}

/// Whether the value is one of the schema's. By the words that are drawn above, and no others.
fn is_valid(schema: &Value, value: &Value, reading: Reading) -> bool {
    let Value::Object(schema) = schema else { return schema == &json!(true) };
    let valid = |schema: &Value, value: &Value| is_valid(schema, value, reading);
    let declared = schema.get("properties").map(fields).unwrap_or_default();
    let others =
        |value: &Value| fields(value).into_iter().filter(|(name, _)| !declared.contains_key(name)).collect::<Vec<_>>();
    let is_open = schema.get("type") != Some(&json!("object")) || schema.contains_key("additionalProperties");
    if reading == Reading::Sent && !is_open && !others(value).is_empty() {
        return false;
    }
    schema.iter().all(|(key, rule)| match key.as_str() {
        "$ref" => valid(&serde_json::from_str(SHARED).unwrap(), value),
        "type" => match rule {
            Value::Array(names) => names.iter().any(|name| is_of(name, value)),
            name => is_of(name, value),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maxLength" => value.as_str().is_none_or(|text| text.len() as u64 <= rule.as_u64().unwrap()),
        "properties" => fields(value).iter().all(|(name, value)| rule.get(name).is_none_or(|rule| valid(rule, value))),
        "required" => rule.as_array().unwrap().iter().all(|name| fields(value).contains_key(name.as_str().unwrap())),
        "additionalProperties" if reading == Reading::Tolerant && rule == &json!(false) => true,
        "additionalProperties" => others(value).iter().all(|(_, value)| valid(rule, value)),
        "items" => value.as_array().is_none_or(|list| list.iter().all(|value| valid(rule, value))),
        "allOf" => rule.as_array().unwrap().iter().all(|schema| valid(schema, value)),
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| valid(schema, value)),
        other => panic!("{other}"),
    })
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        other => panic!("{other}"),
    }
}

fn breaks(old: &Document, new: &Document) -> bool {
    diff(old, new).unwrap().iter().any(|change| change.rule.breaks())
}

fn answered(schema: &Value) -> Document {
    answer_among(schema.clone(), json!({ "Shared": serde_json::from_str::<Value>(SHARED).unwrap() }))
}

fn asked(schema: &Value) -> Document {
    let mut root = sent(schema.clone()).root().clone();
    root["components"] = json!({ "schemas": { "Shared": serde_json::from_str::<Value>(SHARED).unwrap() } });
    Document::of(root).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_document_is_the_same_as_itself(schema in schemas()) {
        prop_assert_eq!(diff(&answered(&schema), &answered(&schema)), Ok(Vec::new()));
        prop_assert_eq!(diff(&asked(&schema), &asked(&schema)), Ok(Vec::new()));
    }

    #[test]
    fn what_a_new_host_answers_is_what_old_apps_know(
        old in schemas(), new in schemas(), values in proptest::collection::vec(values(), 12),
    ) {
        if !breaks(&answered(&old), &answered(&new)) {
            for value in &values {
                let (comes, known) = (is_valid(&new, value, Reading::Exact), is_valid(&old, value, Reading::Tolerant));
                prop_assert!(!comes || known, "{} {} {}", old, new, value);
            }
        }
    }

    #[test]
    fn what_old_apps_send_is_good_for_a_new_host(
        old in schemas(), new in schemas(), values in proptest::collection::vec(values(), 12),
    ) {
        if !breaks(&asked(&old), &asked(&new)) {
            for value in &values {
                let (is_sent, is_good) = (is_valid(&old, value, Reading::Sent), is_valid(&new, value, Reading::Exact));
                prop_assert!(!is_sent || is_good, "{} {} {}", old, new, value);
            }
        }
    }
}
