//! JSON to messages and back: what goes in comes out, and what nobody meant is an error and nothing worse.

use super::*;
use proptest::{collection::vec, option, prelude::*};
use prost_reflect::DescriptorPool;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// More than anything here needs.
const MOST: usize = 16 << 20;

/// One of everything that protobuf's JSON mapping knows.
const PROTO: &str = r#"
syntax = "proto3";
package t.v1;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Kind { NONE = 0; FILM = 1; SERIES = -2; }
message Rich {
  int32 small = 1;
  uint64 large = 2;
  sint64 signed = 3;
  double ratio = 4;
  bool flag = 5;
  string text = 6;
  bytes blob = 7;
  Kind kind = 8;
  Rich child = 9;
  repeated Rich children = 10;
  repeated uint32 numbers = 11;
  map<string, int64> counts = 12;
  map<int32, Rich> by_number = 13;
  optional string nick_name = 14;
  oneof choice { string name = 15; uint32 id = 16; }
  google.protobuf.Timestamp at = 17;
  google.protobuf.Duration took = 18;
  google.protobuf.Struct more = 19;
  google.protobuf.StringValue wrapped = 20;
  google.protobuf.FieldMask mask = 21;
  google.protobuf.Any any = 22;
  repeated Kind kinds = 23;
  google.protobuf.Value value = 24;
}
"#;

static RICH: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.proto"), PROTO).unwrap();
    let files = protox::compile(["t.proto"], [folder.path()]).unwrap();
    let pool = DescriptorPool::decode(files.encode_to_vec().as_slice()).unwrap();
    pool.get_message_by_name("t.v1.Rich").unwrap()
});

/// As read from JSON and written again.
fn there_and_back(value: &Value) -> Result<Value, String> {
    let message = to_protobuf(RICH.clone(), value.to_string().as_bytes()).map_err(|failure| failure.message)?;
    Ok(serde_json::from_slice(&to_json(RICH.clone(), &message, MOST).unwrap()).unwrap())
}

fn rich() -> impl Strategy<Value = Value> {
    let scalars = (
        any::<i32>(),
        any::<u64>(),
        any::<i64>(),
        -1e9..1e9_f64,
        any::<bool>(),
        ".{0,12}",
        vec(any::<u8>(), 0..9),
    )
        .prop_map(|(small, large, signed, ratio, flag, text, blob)| {
            use base64::Engine as _;
            let blob = base64::engine::general_purpose::STANDARD.encode(blob);
            json!({
                "small": small, "large": large.to_string(), "signed": signed.to_string(), "ratio": ratio, "flag": flag,
                "text": text, "blob": blob,
            })
        });
    let lists = (
        prop_oneof![Just("NONE"), Just("FILM"), Just("SERIES")],
        vec(any::<u32>(), 0..4),
        proptest::collection::btree_map("[a-z]{0,3}", any::<i64>().prop_map(|n| n.to_string()), 0..3),
        option::of("[a-z]{0,5}"),
        prop_oneof![
            Just(json!({})),
            any::<u32>().prop_map(|id| json!({ "id": id })),
            ".{0,4}".prop_map(|n| json!({ "name": n }))
        ],
    )
        .prop_map(|(kind, numbers, counts, nick_name, choice)| {
            let mut value = json!({ "kind": kind, "numbers": numbers, "counts": counts, "kinds": [kind, "FILM"] });
            if let Some(nick_name) = nick_name {
                value["nickName"] = nick_name.into();
            }
            merged(value, choice)
        });
    let known = (0..4_000_000_000_i64, -1_000_000..1_000_000_i32, option::of(".{0,4}")).prop_map(|(at, took, wrapped)| {
        let mut value = json!({
            "took": format!("{took}s"), "mask": "text,child.nickName", "more": { "a": [1.5, null, "x", { "b": true }] },
            "at": format!("19{:02}-0{}-1{}T10:20:30Z", at % 100, 1 + at % 9, at % 10), "value": [true, 2.5],
            "any": { "@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s" },
        });
        if let Some(wrapped) = wrapped {
            value["wrapped"] = wrapped.into();
        }
        value
    });
    let leaf = (scalars, lists, known).prop_map(|(a, b, c)| merged(merged(a, b), c));
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), vec(inner.clone(), 0..3), inner).prop_map(|(value, children, by_number)| {
            let nested = json!({ "children": children, "byNumber": { "-7": by_number } });
            merged(value, nested)
        })
    })
}

fn merged(one: Value, other: Value) -> Value {
    let (Value::Object(mut one), Value::Object(other)) = (one, other) else { return Value::Null };
    one.extend(other);
    Value::Object(one)
}

/// Without what protobuf leaves out: zeros, empty lists, nothing.
fn without_defaults(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let defaults =
                [json!(0), json!(0.0), json!(false), json!(""), json!("0"), json!("NONE"), json!([]), json!({})];
            let members = members.iter().filter(|(name, value)| {
                // Where a field tracks whether it is there, its zero says something.
                let tracks = ["nickName", "name", "id", "wrapped"].contains(&name.as_str());
                !value.is_null() && (tracks || !defaults.contains(value))
            });
            Value::Object(members.map(|(name, value)| (name.clone(), without_defaults(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_defaults).collect()),
        other => other.clone(),
    }
}

/// JSON that nobody meant, often under names that mean something.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec![
            "small", "large", "ratio", "text", "blob", "kind", "child", "children", "numbers", "counts", "byNumber", "by_number",
            "nickName", "name", "id", "at", "took", "more", "wrapped", "mask", "any", "@type", "value",
        ]).prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        proptest::sample::select(vec![
            "NaN",
            "-Infinity",
            "1e400",
            "9999-12-31T23:59:59Z",
            "-1s",
            "a,b.c",
            "FILM",
            "////"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_goes_in_comes_out(value in rich()) {
        let back = there_and_back(&value).unwrap();
        prop_assert_eq!(without_defaults(&back), without_defaults(&value));
        prop_assert_eq!(there_and_back(&back).unwrap(), back);
    }

    #[test]
    fn json_that_nobody_meant_is_read_or_refused(value in any_json()) {
        if let Ok(back) = there_and_back(&value) {
            prop_assert_eq!(there_and_back(&back), Ok(back));
        }
    }

    #[test]
    fn text_that_is_no_json_is_refused(text in vec(any::<u8>(), 0..60)) {
        if let Err(failure) = to_protobuf(RICH.clone(), &text) {
            prop_assert_eq!(failure.code, Code::InvalidArgument);
        }
    }

    #[test]
    fn bytes_that_nobody_meant_are_read_or_refused(bytes in vec(prop_oneof![0..32_u8, any::<u8>()], 0..80)) {
        let bytes = Bytes::from(bytes);
        for read in [to_json(RICH.clone(), &bytes, MOST), list_to_json(RICH.clone(), &bytes, MOST)] {
            match read {
                Ok(json) => drop(serde_json::from_slice::<Value>(&json).unwrap()),
                Err(failure) => prop_assert_eq!(failure.code, Code::Internal),
            }
        }
    }
}

#[test]
fn mistakes_are_told_with_the_field_where_they_stand() {
    for (json, place) in [
        (json!({ "small": "seven" }), "`small`: "),
        (json!({ "children": [{}, { "child": { "flag": 1 } }] }), "`children[1].child.flag`: "),
        (json!({ "counts": { "a": {} } }), "`counts.a`: "),
        (json!({ "kind": 1.5 }), "`kind`: "),
        (json!({ "at": "yesterday" }), "`at`: "),
        (json!([]), "t.v1.Rich`: "),
    ] {
        let message = there_and_back(&json).unwrap_err();
        assert!(message.contains(place), "{json}: {message}");
    }
}

#[test]
fn unknown_fields_are_passed_over_and_both_spellings_are_known() {
    let value =
        json!({ "unheard": { "of": [1, { "x": null }] }, "nick_name": "a", "byNumber": { "1": { "more2": 3 } } });
    let back = there_and_back(&value).unwrap();
    assert_eq!((&back["nickName"], &back["byNumber"]["1"]["small"]), (&json!("a"), &json!(0)));
}

#[test]
fn depth_is_bounded_on_both_ways() {
    let deep = |levels: usize| format!("{}{}", "{\"child\":".repeat(levels), "{}".to_owned() + &"}".repeat(levels));
    assert!(to_protobuf(RICH.clone(), deep(50).as_bytes()).is_ok());
    for levels in [127, 1_000, 100_000] {
        let refused = to_protobuf(RICH.clone(), deep(levels).as_bytes());
        if let Ok(message) = refused {
            // What JSON lets through, protobuf may refuse.
            let _ = to_json(RICH.clone(), &message, MOST);
        }
    }
    let nested = (0..1_000).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut message = vec![0x4a];
        prost::encoding::encode_varint(inner.len() as u64, &mut message);
        message.extend(inner);
        message
    });
    assert_eq!(to_json(RICH.clone(), &nested.into(), MOST).unwrap_err().code, Code::Internal);
}

#[test]
fn what_two_bytes_become_is_bounded() {
    // Empty messages, two bytes each.
    let empty: Bytes = [0x0a, 0].repeat(1_000).into();
    let one = to_json(RICH.clone(), &Bytes::new(), MOST).unwrap();
    let list = list_to_json(RICH.clone(), &empty, MOST).unwrap();
    assert_eq!(list.len(), 1_000 * (one.len() + 1) + 1);
    assert_eq!(list_to_json(RICH.clone(), &empty, list.len()).unwrap(), list);
    for (bytes, most) in [(&empty, list.len() - 2), (&empty, 0), (&empty, one.len())] {
        assert_eq!(list_to_json(RICH.clone(), bytes, most).unwrap_err().code, Code::ResourceExhausted);
    }
    assert_eq!(to_json(RICH.clone(), &Bytes::new(), one.len()).unwrap(), one);
    assert_eq!(to_json(RICH.clone(), &Bytes::new(), one.len() - 1).unwrap_err().code, Code::ResourceExhausted);
}
