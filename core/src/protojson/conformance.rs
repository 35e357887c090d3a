//! Proto3's JSON mapping against the cases of protobuf's own conformance suite, and those that services have sent.

use super::*;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use std::sync::LazyLock;

const PROTO: &str = r#"
syntax = "proto3";
package c.v1;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Colour { NONE = 0; RED = 1; }
message All {
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; float f32 = 5; double f64 = 6; bool truth = 7; string text = 8;
  bytes blob = 9; Colour colour = 10; repeated int32 list = 11; map<int32, int32> by_number = 12; map<bool, bool> by_truth = 13;
  oneof choice { int32 left = 14; string right = 15; google.protobuf.NullValue nothing = 16; }
  All inner = 17; repeated Colour colours = 18;
  google.protobuf.Any any = 20; google.protobuf.Timestamp at = 21; google.protobuf.Duration took = 22;
  google.protobuf.FieldMask mask = 23; google.protobuf.Struct object = 24; google.protobuf.Value value = 25;
  google.protobuf.Empty empty = 26; google.protobuf.DoubleValue double_value = 27; google.protobuf.FloatValue float_value = 28;
  google.protobuf.Int32Value int_value = 29; google.protobuf.Int64Value long_value = 30; google.protobuf.BoolValue bool_value = 31;
  google.protobuf.StringValue string_value = 32; google.protobuf.BytesValue bytes_value = 33;
  repeated google.protobuf.Value values = 34; repeated google.protobuf.Int32Value int_values = 35;
}
"#;

static ALL: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.proto"), PROTO).unwrap();
    let files = protox::compile(["c.proto"], [folder.path()]).unwrap();
    let pool = DescriptorPool::decode(files.encode_to_vec().as_slice()).unwrap();
    pool.get_message_by_name("c.v1.All").unwrap()
});

const MOST: usize = 1 << 20;

/// One field there and back: what it comes out as, where it is not left out.
fn through(field: &str, text: &str) -> Result<Value, String> {
    let message = to_protobuf(ALL.clone(), format!("{{{field:?}: {text}}}").as_bytes()).map_err(|f| f.message)?;
    let json: Value = serde_json::from_slice(&to_json(ALL.clone(), &message, MOST).unwrap()).unwrap();
    Ok(json.get(field).cloned().unwrap_or(Value::Null))
}

/// One field of `message`, which is on the wire.
fn written(field: &str, message: &[u8]) -> Result<Value, Failure> {
    let json = to_json(ALL.clone(), &Bytes::copy_from_slice(message), MOST)?;
    Ok(serde_json::from_slice::<Value>(&json).unwrap()[field].clone())
}

#[test]
fn what_is_read_is_what_was_meant() {
    let cases = [
        ("i32", "\"1e5\"", json!(100_000)),
        ("i32", "\"1.0\"", json!(1)),
        ("i32", "1e5", json!(100_000)),
        ("i32", "-1.0", json!(-1)),
        ("i32", "\"-2147483648\"", json!(i32::MIN)),
        ("i32", "2147483647.0", json!(i32::MAX)),
        ("i32", "\"1500e-2\"", json!(15)),
        ("i32", "\"0.12e2\"", json!(12)),
        ("i64", "\"9223372036854775807\"", json!("9223372036854775807")),
        ("i64", "-9223372036854775808", json!("-9223372036854775808")),
        ("i64", "\"9.223372036854775807e18\"", json!("9223372036854775807")),
        ("u64", "18446744073709551615", json!("18446744073709551615")),
        ("u32", "4.294967295e9", json!(u32::MAX)),
        ("f32", "3.4028235e+38", json!(3.4028235e38)),
        ("f32", "\"-Infinity\"", json!("-Infinity")),
        ("f64", "\"NaN\"", json!("NaN")),
        ("f64", "1.7976931348623157e308", json!(f64::MAX)),
        ("f64", "\"1.5\"", json!(1.5)),
        ("blob", "\"-_8\"", json!("+/8=")),
        ("colour", "1", json!("RED")),
        ("colour", "7", json!(7)),
        ("colour", "\"UNHEARD\"", json!("NONE")),
        ("colours", "[\"UNHEARD\", \"RED\"]", json!(["RED"])),
        ("byNumber", "{\"-1\": \"2\"}", json!({"-1": 2})),
        ("byTruth", "{\"true\": false}", json!({"true": false})),
        ("nothing", "null", json!(null)),
        ("value", "null", json!(null)),
        ("values", "[null, 1, [true]]", json!([null, 1.0, [true]])),
        ("doubleValue", "\"NaN\"", json!("NaN")),
        ("doubleValue", "\"Infinity\"", json!("Infinity")),
        ("floatValue", "\"-Infinity\"", json!("-Infinity")),
        ("floatValue", "0", json!(0.0)),
        ("intValue", "\"0e1\"", json!(0)),
        ("longValue", "\"-5\"", json!("-5")),
        ("intValues", "[0, 1]", json!([0, 1])),
        ("bytesValue", "\"\"", json!("")),
        ("took", "\"-0.5s\"", json!("-0.500s")),
        ("took", "\"1.000000001s\"", json!("1.000000001s")),
        ("took", "\"315576000000s\"", json!("315576000000s")),
        ("at", "\"1970-01-01T00:00:00.010Z\"", json!("1970-01-01T00:00:00.010Z")),
        ("at", "\"1969-12-31T23:59:59+01:00\"", json!("1969-12-31T22:59:59Z")),
        ("mask", "\"i32,inner.byNumber\"", json!("i32,inner.byNumber")),
        ("empty", "{}", json!({})),
        ("any", "{}", json!({})),
        (
            "any",
            "{\"@type\": \"type.googleapis.com/google.protobuf.Empty\"}",
            json!({"@type": "type.googleapis.com/google.protobuf.Empty", "value": {}}),
        ),
        (
            "any",
            "{\"value\": \"1.5s\", \"@type\": \"type.googleapis.com/google.protobuf.Duration\"}",
            json!({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"}),
        ),
        (
            "any",
            "{\"@type\": \"x/google.protobuf.Any\", \"value\": {\"@type\": \"x/google.protobuf.Int32Value\", \"value\": \"1e1\"}}",
            json!({"@type": "x/google.protobuf.Any", "value": {"@type": "x/google.protobuf.Int32Value", "value": 10}}),
        ),
    ];
    for (field, text, expected) in cases {
        assert_eq!(through(field, text), Ok(expected), "{field}: {text}");
    }
}

#[test]
fn what_no_field_can_hold_is_refused() {
    let cases = [
        ("i32", "2147483648"),
        ("i32", "\"-2147483649\""),
        ("i32", "0.5"),
        ("i32", "\"1.5\""),
        ("i32", "\"1e-1\""),
        ("i32", "\"1e99999999999\""),
        ("i32", "\"1e2147483647\""),
        ("i32", "\" 1\""),
        ("i32", "\"\""),
        ("i32", "\".5\""),
        ("i32", "\"0x1\""),
        ("i64", "9223372036854775808"),
        ("i64", "9.223372036854775808e18"),
        ("u64", "1.8446744073709551616e19"),
        ("u32", "-1"),
        ("u64", "\"-1\""),
        ("f32", "3.502823e+38"),
        ("f32", "\"-3.502823e+38\""),
        ("f64", "\"1.89769e+308\""),
        ("f64", "\"inf\""),
        ("f64", "\"nan\""),
        ("f64", "\"+Infinity\""),
        ("truth", "\"true\""),
        ("text", "1"),
        ("blob", "\"!\""),
        ("list", "[null]"),
        ("list", "[\"a\"]"),
        ("intValues", "[null]"),
        ("byNumber", "{\"1\": null}"),
        ("byNumber", "{\"one\": 1}"),
        ("took", "\"1\""),
        ("took", "\"315576000001s\""),
        ("at", "\"0000-01-01T00:00:00Z\""),
        ("at", "\"1970-01-01t00:00:00Z\""),
        ("mask", "\"by_number\""),
        ("any", "{\"@type\": \"\", \"value\": \"\"}"),
        ("any", "{\"@type\": \"x/none.such\", \"value\": 1}"),
        ("any", "{\"@type\": \"x/google.protobuf.Duration\"}"),
        ("any", "{\"value\": \"1s\"}"),
    ];
    for (field, text) in cases {
        let read = through(field, text);
        assert!(read.as_ref().is_err_and(|error| error.contains(field)), "{field}: {text}: {read:?}");
    }
    for text in ["{\"left\": 1, \"right\": \"a\"}", "{\"i32\": 1, \"i32\": 2}", "{\"byNumber\": {}, \"by_number\": {}}"]
    {
        assert!(to_protobuf(ALL.clone(), text.as_bytes()).is_err(), "{text}");
    }
    assert!(to_protobuf(ALL.clone(), b"{\"left\": null, \"right\": \"a\"}").is_ok(), "null is not there");
}

/// Seconds and nanoseconds of the field `tag` on the wire.
fn time(tag: u8, seconds: i64, nanos: i32) -> Vec<u8> {
    let mut time = Vec::new();
    prost::encoding::int64::encode(1, &seconds, &mut time);
    prost::encoding::int32::encode(2, &nanos, &mut time);
    [&[(tag << 3 | 2) & 0x7f | 0x80, tag >> 4, time.len() as u8][..], &time].concat()
}

#[test]
fn times_that_are_none_are_refused_and_not_told_as_others() {
    assert_eq!(written("took", &time(22, -1, -500_000_000)).unwrap(), "-1.500s");
    assert_eq!(written("took", &time(22, 0, -1)).unwrap(), "-0.000000001s");
    for (seconds, nanos) in [(1, -1), (-1, 1), (0, 1_000_000_000), (0, -1_000_000_000), (315_576_000_001, 0)] {
        assert_eq!(written("took", &time(22, seconds, nanos)).unwrap_err().code, Code::Internal, "{seconds} {nanos}");
    }
    for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (253_402_300_800, 0)] {
        assert_eq!(written("at", &time(21, seconds, nanos)).unwrap_err().code, Code::Internal, "{seconds} {nanos}");
    }
}

/// An `Any` in an `Any`: some forty bytes a level, so that a reply of four megabytes has a hundred thousand of them.
#[test]
fn what_is_packed_into_itself_has_a_bound() {
    let pack = |inner: Vec<u8>| {
        let mut any = Vec::new();
        prost::encoding::string::encode(1, &"x/google.protobuf.Any".to_owned(), &mut any);
        prost::encoding::bytes::encode(2, &inner, &mut any);
        any
    };
    let nested = |levels: usize| {
        let any = (0..levels).fold(Vec::new(), |inner, _| pack(inner));
        let mut message = Vec::new();
        prost::encoding::bytes::encode(20, &any, &mut message);
        message
    };
    assert!(written("any", &nested(90)).is_ok());
    let refused = written("any", &nested(5_000)).unwrap_err();
    assert_eq!(refused.code, Code::Internal);
    assert!(refused.message.contains("deeper than 100"), "{}", refused.message);
}
