//! Forms of protobuf's well-known types.

use std::fmt::Display;
use std::str::FromStr;

use prost_types::value::Kind;
use prost_types::{Any, FieldMask, ListValue, Struct, Value};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Base64, Form, One};

/// `Timestamp` (`"2026-01-01T00:00:00Z"`) and `Duration` (`"1.5s"`).
#[derive(Debug)]
pub struct Text;

impl<T: Display + FromStr<Err: Display>> Form<T> for Text {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// `FieldMask`: paths in lower camel case, with commas between them.
#[derive(Debug)]
pub struct Mask;

impl Form<FieldMask> for Mask {
    fn write<S: Serializer>(value: &FieldMask, serializer: S) -> Result<S::Ok, S::Error> {
        let paths: Vec<String> = value.paths.iter().map(|path| camel(path)).collect();
        serializer.serialize_str(&paths.join(","))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FieldMask, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(FieldMask { paths: text.split(',').filter(|path| !path.is_empty()).map(snake).collect() })
    }
}

fn camel(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut upper = false;
    for letter in path.chars() {
        match letter {
            '_' => upper = true,
            letter if std::mem::take(&mut upper) => camel.push(letter.to_ascii_uppercase()),
            letter => camel.push(letter),
        }
    }
    camel
}

fn snake(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `Empty`: an object without members.
#[derive(Debug)]
pub struct Nothing;

impl Form<()> for Nothing {
    fn write<S: Serializer>((): &(), serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(std::iter::empty::<((), ())>())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| ())
    }
}

/// `Any`: its type, and the bytes of what is in it, of which nothing is known here.
#[derive(Debug)]
pub struct Packed;

#[derive(Serialize, Deserialize)]
struct Parts {
    #[serde(rename = "@type")]
    type_url: String,
    #[serde(default, serialize_with = "One::<Base64>::serialize", deserialize_with = "One::<Base64>::deserialize")]
    value: Vec<u8>,
}

impl Form<Any> for Packed {
    fn write<S: Serializer>(value: &Any, serializer: S) -> Result<S::Ok, S::Error> {
        Parts { type_url: value.type_url.clone(), value: value.value.clone() }.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Any, D::Error> {
        Parts::deserialize(deserializer).map(|Parts { type_url, value }| Any { type_url, value })
    }
}

/// `Struct`: an object.
#[derive(Debug)]
pub struct Object;

/// `Value`: anything.
#[derive(Debug)]
pub struct Anything;

/// `ListValue`: an array.
#[derive(Debug)]
pub struct Items;

macro_rules! dynamic {
    ($($form:ident, $type:ty, $json:ty, $write:expr, $read:expr;)*) => {$(
        impl Form<$type> for $form {
            fn write<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                let json: Option<$json> = $write(value);
                json.ok_or_else(|| S::Error::custom("a `Value` holds NaN or an infinity"))?.serialize(serializer)
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                <$json>::deserialize(deserializer).map($read)
            }
        }
    )*};
}

dynamic! {
    Object, Struct, serde_json::Map<String, serde_json::Value>, object, to_struct;
    Anything, Value, serde_json::Value, anything, to_value;
    Items, ListValue, Vec<serde_json::Value>, items, to_list;
}

fn object(value: &Struct) -> Option<serde_json::Map<String, serde_json::Value>> {
    value.fields.iter().map(|(name, value)| Some((name.clone(), anything(value)?))).collect()
}

fn items(list: &ListValue) -> Option<Vec<serde_json::Value>> {
    list.values.iter().map(anything).collect()
}

fn anything(value: &Value) -> Option<serde_json::Value> {
    Some(match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(value)) => (*value).into(),
        Some(Kind::NumberValue(value)) => serde_json::Number::from_f64(*value)?.into(),
        Some(Kind::StringValue(value)) => value.clone().into(),
        Some(Kind::StructValue(value)) => object(value)?.into(),
        Some(Kind::ListValue(value)) => items(value)?.into(),
    })
}

fn to_struct(json: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct { fields: json.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

fn to_list(json: Vec<serde_json::Value>) -> ListValue {
    ListValue { values: json.into_iter().map(to_value).collect() }
}

fn to_value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        serde_json::Value::String(value) => Kind::StringValue(value),
        serde_json::Value::Array(values) => Kind::ListValue(to_list(values)),
        serde_json::Value::Object(values) => Kind::StructValue(to_struct(values)),
    };
    Value { kind: Some(kind) }
}
