//! Reads path parameters and query pairs into any type that serde can read. All values are text.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::Problem;

type Pair = (String, String);

/// Reads a `T`: a struct takes values by their names, a tuple by their order, a single value has to be the only one.
pub(super) fn from_pairs<T: DeserializeOwned>(pairs: &[Pair]) -> Result<T, Fault> {
    T::deserialize(All(pairs))
}

/// What is wrong, and with which name.
#[derive(Debug)]
pub(super) struct Fault {
    name: Option<String>,
    message: String,
}

impl Fault {
    /// A 400 that names the field, as in `query.page`.
    pub(super) fn into_problem(self, source: &str) -> Problem {
        match self.name {
            Some(name) => Problem::invalid(&format!("{source}.{name}"), self.message),
            None => Problem::invalid(source, self.message),
        }
    }

    fn at(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| name.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { name: None, message: message.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { name: Some(field.to_owned()), message: "is required, but missing".to_owned() }
    }
}

/// All pairs.
#[derive(Clone, Copy)]
struct All<'a>(&'a [Pair]);

impl<'a> All<'a> {
    fn only(self) -> Result<Values<'a>, Fault> {
        match self.0 {
            [(name, _)] => Ok(Values { name, pairs: self.0 }),
            pairs => Err(de::Error::custom(format_args!("expected one value, found {}", pairs.len()))),
        }
    }
}

/// Hands the single value to the deserializer for values.
macro_rules! only {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let values = self.only()?;
            de::Deserializer::$method(values, visitor).map_err(|fault| fault.at(values.name))
        }
    )+};
}

impl<'de> de::Deserializer<'de> for All<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Map { all: self.0, next: 0 })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Seq { pairs: self.0.iter(), name: None })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &str, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let values = self.only()?;
        values.deserialize_enum(name, variants, visitor).map_err(|fault| fault.at(values.name))
    }

    only! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_option
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit_struct map struct identifier ignored_any }
}

/// Goes through the names, each once.
struct Map<'a> {
    all: &'a [Pair],
    next: usize,
}

impl<'a> Map<'a> {
    fn peek(&mut self) -> Option<&'a Pair> {
        loop {
            let (pair, before) = (self.all.get(self.next)?, self.all.get(..self.next)?);
            if before.iter().all(|(name, _)| *name != pair.0) {
                return Some(pair);
            }
            self.next += 1;
        }
    }
}

impl<'de> MapAccess<'de> for Map<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.peek().map(|(name, _)| seed.deserialize(StrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((name, _)) = self.peek() else { return Err(de::Error::custom("no value")) };
        let pairs = self.all.get(self.next..).unwrap_or_default();
        self.next += 1;
        seed.deserialize(Values { name, pairs }).map_err(|fault| fault.at(name))
    }
}

/// Goes through values: of all pairs, or of those with one name.
struct Seq<'a> {
    pairs: std::slice::Iter<'a, Pair>,
    name: Option<&'a str>,
}

impl<'de> SeqAccess<'de> for Seq<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let wanted = self.name;
        let Some(pair) = self.pairs.find(|(name, _)| wanted.is_none_or(|wanted| wanted == name)) else {
            return Ok(None);
        };
        let values = Values { name: &pair.0, pairs: std::slice::from_ref(pair) };
        seed.deserialize(values).map(Some).map_err(|fault| fault.at(&pair.0))
    }
}

/// The values of one name. The first of `pairs` has it, others may.
#[derive(Clone, Copy)]
struct Values<'a> {
    name: &'a str,
    pairs: &'a [Pair],
}

impl<'a> Values<'a> {
    fn one(self) -> Result<&'a str, Fault> {
        let mut values = self.pairs.iter().filter(|(name, _)| name == self.name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(de::Error::custom("is required, but missing")),
            (Some(_), Some(_)) => Err(de::Error::custom("is given more than once")),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $number:ident $expected:literal;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let value = self.one()?;
            match value.parse::<$number>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(unexpected($expected, value)),
            }
        }
    )+};
}

impl<'de> de::Deserializer<'de> for Values<'_> {
    type Error = Fault;

    each_integer!(numbers);

    numbers! {
        deserialize_f32 visit_f32 f32 "a number";
        deserialize_f64 visit_f64 f64 "a number";
        deserialize_char visit_char char "one character";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.one()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.one()? {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            other => Err(unexpected("`true` or `false`", other)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Seq { pairs: self.pairs.iter(), name: Some(self.name) })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_enum(StrDeserializer::new(self.one()?), name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 str string bytes byte_buf unit unit_struct tuple_struct map struct identifier ignored_any
    }
}

fn unexpected(expected: &str, found: &str) -> Fault {
    de::Error::custom(format_args!("expected {expected}, found `{found:.100}`"))
}
