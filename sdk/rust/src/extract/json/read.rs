//! A body that is read once more: the values as they are, and anything in place of those that are known to be wrong.

use std::fmt::{self, Write};

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::{Fault, Place};

/// The way to a value, from the end.
#[derive(Clone, Copy)]
struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    part: Part<'p>,
}

#[derive(Clone, Copy)]
enum Part<'p> {
    Key(&'p str),
    Index(usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}")?;
        }
        match self.part {
            Part::Key(key) if self.parent.is_some() => write!(f, ".{key}"),
            Part::Key(key) => f.write_str(key),
            Part::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A value that is read; none where something was wrong, and whatever is wanted is there.
#[derive(Clone, Copy)]
pub(super) struct At<'de, 'p> {
    value: Option<&'de Value>,
    path: &'p Path<'p>,
    told: &'p [Fault],
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

impl<'de, 'p> At<'de, 'p> {
    pub(super) fn whole(body: &'de Value, told: &'p [Fault]) -> Self {
        const BODY: &Path<'static> = &Path { parent: None, part: Part::Key("body") };
        Self { value: Some(body), path: BODY, told }
    }

    /// The value, unless it is known to be wrong.
    fn known(self) -> Option<&'de Value> {
        self.value.filter(|value| !self.told.iter().any(|fault| fault.place == Place::Value(address(value))))
    }

    /// Says where a fault is, if nobody has.
    fn place<T>(self, read: Result<T, Fault>) -> Result<T, Fault> {
        read.map_err(|mut fault| {
            if let (Place::Unknown, true, Some(value)) = (&fault.place, fault.path.is_empty(), self.known()) {
                fault.path = self.path.to_string();
                fault.place = match fault.missing {
                    Some(name) => {
                        let _ = write!(fault.path, ".{name}");
                        Place::Member(address(value), name.to_owned())
                    }
                    None => Place::Value(address(value)),
                };
            }
            fault
        })
    }

    fn unexpected<T>(self, expected: &str) -> Result<T, Fault> {
        let found = match self.value {
            Some(Value::Array(_)) => "a list".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
            Some(value) => format!("`{:.100}`", value.to_string()),
            None => "nothing".to_owned(),
        };
        self.place(Err(de::Error::custom(format_args!("expected {expected}, found {found}"))))
    }

    fn items(self, items: &'de [Value]) -> Items<'de, 'p> {
        Items { items: items.iter(), wild: 0, next: 0, of: self }
    }

    /// Anything for each of so many.
    fn wild_items(self, count: usize) -> Items<'de, 'p> {
        Items { items: [].iter(), wild: count, next: 0, of: self }
    }

    fn members(self, value: &'de Value, members: &'de Map<String, Value>) -> Members<'de, 'p> {
        let of = address(value);
        let added = self.told.iter().filter_map(|fault| match &fault.place {
            Place::Member(object, name) if *object == of && !members.contains_key(name) => Some(name.as_str()),
            _ => None,
        });
        Members { members: Some((of, members.iter())), wild: added.collect(), of: self, next: None }
    }
}

fn integer(value: &Value) -> Option<i128> {
    value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from))
}

macro_rules! integers {
    ($($method:ident $visit:ident $number:ident $expected:literal;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let Some(value) = self.known() else { return visitor.$visit($number::default()) };
            match integer(value).and_then(|number| $number::try_from(number).ok()) {
                Some(number) => self.place(visitor.$visit(number)),
                None => self.unexpected($expected),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for At<'de, '_> {
    type Error = Fault;

    each_integer!(integers);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.place(match self.known() {
            None | Some(Value::Null) => visitor.visit_unit(),
            Some(Value::Bool(value)) => visitor.visit_bool(*value),
            Some(Value::String(text)) => visitor.visit_str(text),
            Some(Value::Array(items)) => visitor.visit_seq(self.items(items)),
            Some(value @ Value::Object(members)) => visitor.visit_map(self.members(value, members)),
            Some(Value::Number(number)) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.known() {
            None => visitor.visit_bool(false),
            Some(Value::Bool(value)) => self.place(visitor.visit_bool(*value)),
            Some(_) => self.unexpected("`true` or `false`"),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Some(value) = self.known() else { return visitor.visit_f64(0.0) };
        match value.as_f64() {
            Some(number) => self.place(visitor.visit_f64(number)),
            None => self.unexpected("a number"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.known() {
            None => visitor.visit_str(""),
            Some(Value::String(text)) => self.place(visitor.visit_str(text)),
            Some(_) => self.unexpected("a string"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.known() {
            None => visitor.visit_char('x'),
            Some(Value::String(text)) if text.chars().count() == 1 => self.place(visitor.visit_str(text)),
            Some(_) => self.unexpected("one character"),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.known() {
            None | Some(Value::Null) => visitor.visit_none(),
            Some(_) => self.place(visitor.visit_some(self)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.place(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.known() {
            None => visitor.visit_seq(self.wild_items(0)),
            Some(Value::Array(items)) => self.place(visitor.visit_seq(self.items(items))),
            Some(_) => self.unexpected("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Fault> {
        match self.known() {
            None => visitor.visit_seq(self.wild_items(count)),
            Some(Value::Array(items)) if items.len() == count => self.place(visitor.visit_seq(self.items(items))),
            Some(Value::Array(items)) => {
                let text = format_args!("expected a list of {count}, found {}", items.len());
                self.place(Err(de::Error::custom(text)))
            }
            Some(_) => self.unexpected("a list"),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_tuple(count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.known() {
            None => visitor.visit_map(Members { members: None, wild: fields.to_vec(), of: self, next: None }),
            Some(value @ Value::Object(members)) => self.place(visitor.visit_map(self.members(value, members))),
            // As its fields in their order, if they are all there.
            Some(Value::Array(items)) if !fields.is_empty() && items.len() == fields.len() => {
                self.place(visitor.visit_seq(self.items(items)))
            }
            Some(_) => self.unexpected("an object"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (name, content) = match self.known() {
            None => (variants.first().copied().unwrap_or_default(), None),
            Some(Value::String(name)) => (name.as_str(), None),
            Some(Value::Object(members)) if members.len() == 1 => match members.iter().next() {
                Some((name, content)) => (name.as_str(), Some(content)),
                None => return self.unexpected("one of its variants"),
            },
            Some(_) => return self.unexpected(&format!("one of `{}`", variants.join("`, `"))),
        };
        self.place(visitor.visit_enum(Variant { name, content, of: self }))
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct identifier ignored_any }
}

struct Items<'de, 'p> {
    items: std::slice::Iter<'de, Value>,
    wild: usize,
    next: usize,
    of: At<'de, 'p>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let value = self.items.next();
        if value.is_none() {
            let Some(left) = self.wild.checked_sub(1) else { return Ok(None) };
            self.wild = left;
        }
        let path = Path { parent: Some(self.of.path), part: Part::Index(self.next) };
        self.next += 1;
        seed.deserialize(At { value, path: &path, told: self.of.told }).map(Some)
    }
}

struct Members<'de, 'p> {
    members: Option<(usize, serde_json::map::Iter<'de>)>,
    /// Names of which anything is there.
    wild: Vec<&'p str>,
    of: At<'de, 'p>,
    next: Option<(String, Option<&'de Value>)>,
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let mut object = 0;
        let mut next = None;
        if let Some((of, members)) = &mut self.members {
            object = *of;
            // Without those that the type does not have.
            let is_told = |name: &str| {
                self.of
                    .told
                    .iter()
                    .any(|fault| matches!(&fault.place, Place::Member(at, told) if *at == object && told == name))
            };
            next = members.find(|(name, _)| !is_told(name)).map(|(name, value)| (name.clone(), Some(value)));
        }
        let Some((name, value)) = next.or_else(|| self.wild.pop().map(|name| (name.to_owned(), None))) else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
        let key = seed.deserialize(key).map_err(|mut fault| {
            if fault.path.is_empty() && value.is_some() {
                fault.path = format!("{}.{name}", self.of.path);
                fault.place = Place::Member(object, name.clone());
            }
            fault
        })?;
        self.next = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((name, value)) = self.next.take() else { return Err(de::Error::custom("no value")) };
        let path = Path { parent: Some(self.of.path), part: Part::Key(&name) };
        seed.deserialize(At { value, path: &path, told: self.of.told })
    }
}

struct Variant<'de, 'p> {
    name: &'de str,
    content: Option<&'de Value>,
    of: At<'de, 'p>,
}

impl<'de, 'p> EnumAccess<'de> for Variant<'de, 'p> {
    type Error = Fault;
    type Variant = At<'de, 'p>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Fault> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        // What is in it is found at the place of the whole.
        Ok((seed.deserialize(name)?, At { value: self.content, ..self.of }))
    }
}

impl<'de> VariantAccess<'de> for At<'de, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple(count, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("", fields, visitor)
    }
}
