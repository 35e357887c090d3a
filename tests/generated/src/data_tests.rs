//! Generated messages as JSON.

use super::data::v1::{All, Colour, Inner, all::Choice, inner::Shade};
use weft_sdk::{
    prost_types::Timestamp,
    schemars::{JsonSchema, schema_for},
    serde::{Serialize, de::DeserializeOwned},
    serde_json::{Value, from_value, json, to_value},
};

fn read(json: Value) -> All {
    from_value(json).unwrap()
}

fn is_data<T: Serialize + DeserializeOwned + JsonSchema>() {}

#[test]
fn all_kinds_are_json_as_proto3_maps_them_there_and_back() {
    is_data::<super::boxes::v1::Box>();
    is_data::<super::old::v1::Card>();
    is_data::<super::mesh::v1::Net>();
    let json = json!({
        "bigNumber": "-9007199254740993", "id": "18446744073709551615", "ratio": 0.5, "raw": "AP8=",
        "colour": "COLOUR_RED", "colours": ["COLOUR_UNSPECIFIED", "COLOUR_RED", 7], "counts": { "a": "1" }, "maybe": 0,
        "at": "1970-01-01T00:00:01Z", "inner": { "shade": "SHADE_DARK" }, "floats": [1.5, "NaN", "-Infinity"], "type": true,
        "made": "2026-01-02T03:04:05.500Z", "took": "1.500s", "mask": "userName,a.bC",
        "open": { "x": [1.0, null, "t"] }, "anyValue": { "deep": true }, "list": [false], "wrapped": "5", "nothing": {},
        "any": { "@type": "type.googleapis.com/x.Y", "value": "AQ==" }, "inners": { "3": { "shade": "SHADE_DARK" } },
        "times": ["1970-01-01T00:00:00Z"],
    });
    let all = read(json.clone());
    assert_eq!((all.big_number, all.id, all.raw.as_slice()), (-9_007_199_254_740_993, u64::MAX, &[0, 255][..]));
    assert_eq!((all.colour, &all.colours[..]), (Colour::Red.into(), &[0, 1, 7][..]));
    assert_eq!(all.choice, Some(Choice::At(Timestamp { seconds: 1, nanos: 0 })));
    assert_eq!(all.inner.as_ref().unwrap().choice, Some(Choice::Shade(Shade::Dark.into())));
    assert_eq!(all.mask.as_ref().unwrap().paths, ["user_name", "a.b_c"]);
    assert!(all.floats[1].is_nan() && all.floats[2] == f32::NEG_INFINITY);
    assert_eq!(to_value(&all).unwrap(), json);
}

#[test]
fn what_is_not_set_is_left_out_and_null_sets_nothing() {
    assert_eq!(to_value(All::default()).unwrap(), json!({}));
    let nulls =
        read(json!({ "bigNumber": null, "colours": null, "counts": null, "maybe": null, "made": null, "raw": null }));
    assert_eq!(nulls, All::default());
    let set = All {
        maybe: Some(0),
        choice: Some(Choice::Number(0)),
        inners: [(0, Inner::default())].into(),
        ..All::default()
    };
    assert_eq!(to_value(&set).unwrap(), json!({ "maybe": 0, "number": "0", "inners": { "0": {} } }));
}

#[test]
fn names_of_the_proto_and_numbers_are_read_too_and_nonsense_is_refused() {
    let read_too = read(json!({ "big_number": 5, "colour": 1, "raw": "-_8", "ratio": "2.5", "any_value": 1 }));
    assert_eq!((read_too.big_number, read_too.colour, read_too.ratio), (5, 1, 2.5));
    for (wrong, why) in [
        (json!({ "bigNumber": "x" }), "a whole number"),
        (json!({ "id": "-1" }), "out of range"),
        (json!({ "colour": "COLOUR_PINK" }), "the name of an enum's value"),
        (json!({ "raw": "!" }), "base64"),
        (json!({ "made": "yesterday" }), ""),
        (json!({ "ratio": "inf" }), "a number"),
    ] {
        let told = from_value::<All>(wrong).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn schemas_say_what_is_written() {
    let schema = to_value(schema_for!(All)).unwrap();
    let kind = |name: &str| schema["properties"][name]["type"].clone();
    assert_eq!(
        (kind("bigNumber"), kind("raw"), kind("colour"), kind("ratio")),
        ("string".into(), "string".into(), "string".into(), "number".into())
    );
    assert_eq!(kind("made"), json!(["string", "null"]));
}
