//! What comes out is what serde_json writes.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn written<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn assert_same<T: Serialize + ?Sized>(value: &T) {
    assert_eq!(written(value).unwrap(), serde_json::to_string(value).unwrap());
}

#[derive(Serialize)]
enum Kinds {
    Unit,
    New(u8),
    Tuple(i8, char),
    Struct { a: Option<()>, b: Vec<u8> },
}

#[derive(Serialize)]
struct Nothing;

#[derive(Serialize)]
struct All {
    numbers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128),
    floats: [f64; 5],
    single: f32,
    kinds: [Kinds; 4],
    nothing: (Nothing, Option<u8>, Option<u8>, ()),
    empty: (Vec<u8>, BTreeMap<u8, u8>),
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[test]
fn all_kinds_of_values_are_as_serde_json_writes_them() {
    assert_same(&All {
        numbers: (i8::MIN, -1, 0, i64::MIN, i128::MIN, u8::MAX, 1, 2, u64::MAX, u128::MAX),
        floats: [0.0, -1.5, 1e300, f64::NAN, 1.0 / 3.0],
        single: 0.1,
        kinds: [Kinds::Unit, Kinds::New(1), Kinds::Tuple(-1, '"'), Kinds::Struct { a: None, b: vec![1, 2] }],
        nothing: (Nothing, None, Some(3), ()),
        empty: (vec![], BTreeMap::new()),
        more: [("more".to_owned(), json!({ "a\n": [1, 2.5, "x", null, {}] }))].into(),
    });
}

#[test]
fn keys_are_strings() {
    assert_same(&BTreeMap::from([(true, 1), (false, 2)]));
    assert_same(&BTreeMap::from([(-5, "a"), (5, "b")]));
    assert_same(&BTreeMap::from([('"', ())]));
    for key in [written(&BTreeMap::from([((), 1)])), written(&BTreeMap::from([(vec![1], 1)]))] {
        assert_eq!(key, Err(Error("key must be a string".to_owned())));
    }
}

#[test]
fn every_byte_is_escaped_wherever_it_stands() {
    for byte in 0..=0x7f_u8 {
        for before in 0..20 {
            let text = format!("{}{}ü{}", "a".repeat(before), char::from(byte), "b".repeat(9));
            assert_same(&text);
        }
    }
}

/// What serde_json hides in `RawValue`, and in `Number` with `arbitrary_precision`.
#[test]
fn json_that_is_written_already_stays_as_it_is() {
    struct Raw(&'static str);
    impl Serialize for Raw {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            use ser::SerializeStruct;
            let mut raw = serializer.serialize_struct(WRITTEN[0], 1)?;
            raw.serialize_field(WRITTEN[0], self.0)?;
            raw.end()
        }
    }
    assert_eq!(written(&[Raw("{ \"a\": 1 }"), Raw("1")]).unwrap(), "[{ \"a\": 1 },1]");
}

proptest! {
    #[test]
    fn any_string_is_as_serde_json_writes_it(text in "\\PC*|[\\x00-\\x7f]*") {
        assert_same(&text);
    }
}
