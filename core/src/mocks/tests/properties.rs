//! Whatever a schema is, what is made from it fits it.

use super::endpoint;
use crate::mocks::{
    difference, generate,
    schema::{check, understood},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn schemas() -> impl Strategy<Value = Value> {
    let bound = |key: &'static str| proptest::option::of(0..40_u32).prop_map(move |most| most.map(|most| (key, most)));
    let leaf = prop_oneof![
        (bound("minLength"), proptest::option::of("date|date-time|uuid|email|uri|ipv4")).prop_map(|(least, format)| {
            let mut schema = json!({"type": "string"});
            match format {
                Some(format) => schema["format"] = json!(format),
                None => least.into_iter().for_each(|(key, count)| schema[key] = json!(count)),
            }
            schema
        }),
        (-50..50_i64, 0..100_i64)
            .prop_map(|(least, span)| json!({"type": "integer", "minimum": least, "maximum": least + span})),
        Just(json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})),
        Just(json!({"type": "integer", "format": "uint8", "multipleOf": 5})),
        Just(json!({"type": ["string", "null"], "maxLength": 3})),
        Just(json!({"type": "string", "pattern": "^[A-Z]{3}-\\d{2,4}$"})),
        Just(json!({"enum": ["a", 1, null]})),
        Just(json!({"type": "boolean"})),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::btree_map("[a-e]|title|films|id", (inner.clone(), any::<bool>()), 0..5).prop_map(|members| {
                let required: Vec<_> = members.iter().filter(|(_, (_, needed))| *needed).map(|(name, _)| name.clone()).collect();
                let properties: Map<String, Value> = members.into_iter().map(|(name, (schema, _))| (name, schema)).collect();
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            }),
            (inner.clone(), 0..3_u32, 0..4_u32)
                .prop_map(|(items, least, span)| json!({"type": "array", "items": items, "minItems": least, "maxItems": least + span})),
            inner.clone().prop_map(|more| json!({"type": "object", "additionalProperties": more})),
            inner.clone().prop_map(|one| json!({"anyOf": [one, {"type": "null"}]})),
            (inner.clone(), inner).prop_map(|(one, other)| json!({
                "oneOf": [
                    {"type": "object", "properties": {"kind": {"const": "one"}, "value": one}, "required": ["kind", "value"]},
                    {"type": "object", "properties": {"kind": {"const": "other"}, "value": other}, "required": ["kind"]},
                ]
            })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_made_fits(schema in schemas(), seed: u64) {
        prop_assert_eq!(understood(&schema), vec![]);
        let made = generate::value(&schema, seed);
        prop_assert!(made.is_ok(), "{}: {:?}", schema, made);
        let made = made.unwrap();
        prop_assert_eq!(check(&schema, &made), vec![]);
        prop_assert_eq!(difference::differences(&[endpoint(&schema)], &[endpoint(&schema)]), Vec::<String>::new());
    }
}
