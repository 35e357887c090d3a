//! Forms of scalars that JSON has no words for.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use super::Form;

/// 64-bit numbers, as strings: JavaScript has no others of that size. Numbers are read too.
#[derive(Debug)]
pub struct Long;

impl<T: fmt::Display + TryFrom<i128>> Form<T> for Long {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let number = deserializer.deserialize_any(Whole)?;
        T::try_from(number).map_err(|_| D::Error::custom(format_args!("{number} is out of range")))
    }
}

/// A whole number, or a string that is one.
struct Whole;

impl Visitor<'_> for Whole {
    type Value = i128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or a string that is one")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i128, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i128, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i128, E> {
        text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// Floating-point numbers; those that JSON has no number for are the strings `NaN`, `Infinity` and `-Infinity`.
#[derive(Debug)]
pub struct Float;

macro_rules! floats {
    ($($type:ty, $write:ident)*) => {$(
        impl Form<$type> for Float {
            fn write<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                match *value {
                    value if value.is_finite() => serializer.$write(value),
                    value if value.is_nan() => serializer.serialize_str("NaN"),
                    value if value > 0.0 => serializer.serialize_str("Infinity"),
                    _ => serializer.serialize_str("-Infinity"),
                }
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                deserializer.deserialize_any(Number).map(|number| number as $type)
            }
        }
    )*};
}

floats! { f32, serialize_f32 f64, serialize_f64 }

struct Number;

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
    }
}

/// Bytes, in base64. The alphabet for URLs is read too, and padding is needed by nobody.
#[derive(Debug)]
pub struct Base64;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl<T: AsRef<[u8]> + From<Vec<u8>>> Form<T> for Base64 {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encoded(value.as_ref()))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        decoded(&text).map(T::from).ok_or_else(|| D::Error::custom("expected base64"))
    }
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * place)) as usize & 63).copied().unwrap_or_default();
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// In the alphabet for URLs, without padding (RFC 4648, section 5).
#[cfg(feature = "cursors")]
pub(crate) fn encoded_for_urls(bytes: &[u8]) -> String {
    encoded(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for letter in group {
            let letter = match letter {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            };
            bits = bits << 6 | u32::try_from(LETTERS.iter().position(|known| *known == letter)?).ok()?;
        }
        let whole = (bits << (6 * (4 - group.len()))).to_be_bytes();
        // One letter alone is no byte.
        bytes.extend_from_slice(whole.get(1..group.len()).filter(|bytes| !bytes.is_empty())?);
    }
    Some(bytes)
}

/// An enum whose values have names. Generated code says so of those that are data.
pub trait Named: Sized {
    /// The name of this number.
    fn name(number: i32) -> Option<&'static str>;
    /// The number of this name.
    fn number(name: &str) -> Option<i32>;
}

/// The numbers of an enum, by their names; those without one as numbers.
pub struct Enumeration<E>(PhantomData<E>);

impl<E> fmt::Debug for Enumeration<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enumeration")
    }
}

impl<E: Named> Form<i32> for Enumeration<E> {
    fn write<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        match E::name(*value) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_i32(*value),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        deserializer.deserialize_any(Value::<E>(PhantomData))
    }
}

struct Value<E>(PhantomData<E>);

impl<E: Named> Visitor<'_> for Value<E> {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an enum's value, or its number")
    }

    fn visit_str<X: Error>(self, name: &str) -> Result<i32, X> {
        E::number(name).ok_or_else(|| X::invalid_value(serde::de::Unexpected::Str(name), &self))
    }

    fn visit_i64<X: Error>(self, number: i64) -> Result<i32, X> {
        i32::try_from(number).map_err(X::custom)
    }

    fn visit_u64<X: Error>(self, number: u64) -> Result<i32, X> {
        i32::try_from(number).map_err(X::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_there_and_back() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decoded(text).unwrap(), bytes.as_bytes());
            assert_eq!(decoded(text.trim_end_matches('=')).unwrap(), bytes.as_bytes());
        }
        assert_eq!(decoded("-_8"), decoded("+/8="));
        assert_eq!((decoded("Z"), decoded("Zg!=")), (None, None));
    }
}
