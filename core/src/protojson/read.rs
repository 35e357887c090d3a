//! JSON as messages, by proto3's mapping (<https://protobuf.dev/programming-guides/json/>).
//!
//! prost-reflect has a reader as well, which refuses whole numbers that are written as `"1e5"`, the largest `float` and an `Any` of
//! `Empty` without a value, takes numbers beyond what a field can hold for the largest one, and lets the second of two fields of one
//! name win. Its words for times, masks and free-form JSON are good.

use super::{
    SpecialForm, any_name,
    scalar::{Base64, Decimal, EnumNumber, Text, Truth, Whole},
};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
};
use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// A message to be read.
#[derive(Debug)]
pub(super) struct Wanted<'a>(pub(super) &'a MessageDescriptor);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = DynamicMessage;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<DynamicMessage, D::Error> {
        match SpecialForm::of(self.0) {
            None => from.deserialize_map(Fields(self.0)),
            Some(SpecialForm::Any) => from.deserialize_map(Packed(self.0)),
            Some(SpecialForm::Wrapper) => {
                let field = self.0.get_field(1).ok_or_else(|| D::Error::custom("a wrapper without a value"))?;
                let value = One(&field.kind()).deserialize(from)?;
                let mut message = DynamicMessage::new(self.0.clone());
                if let Some(value) = value {
                    message.try_set_field(&field, value).map_err(D::Error::custom)?;
                }
                Ok(message)
            }
            Some(SpecialForm::Timestamp | SpecialForm::Duration | SpecialForm::Other) => {
                let options = DeserializeOptions::new().deny_unknown_fields(false);
                DynamicMessage::deserialize_with_options(self.0.clone(), from, &options)
            }
        }
    }
}

struct Fields<'a>(&'a MessageDescriptor);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = DynamicMessage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DynamicMessage, A::Error> {
        let mut message = DynamicMessage::new(self.0.clone());
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let twice = || A::Error::custom(format!("`{name}` stands there twice"));
            let field = self.0.get_field_by_json_name(&name).or_else(|| self.0.get_field_by_name(&name));
            if let Some(field) = field {
                if !seen.insert(field.number()) {
                    return Err(twice());
                }
                let Some(value) = map.next_value_seed(Slot::of(&field))? else { continue };
                check_oneof(&message, &field)?;
                message.try_set_field(&field, value).map_err(A::Error::custom)?;
            } else if let Some(extension) = self.0.get_extension_by_json_name(&name) {
                if !seen.insert(extension.number()) {
                    return Err(twice());
                }
                let slot = Slot { kind: extension.kind(), is_list: extension.is_list(), is_map: extension.is_map() };
                let value = map.next_value_seed(slot)?;
                if let Some(value) = value.filter(|value| value.is_valid_for_extension(&extension)) {
                    message.set_extension(&extension, value);
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(message)
    }
}

fn check_oneof<E: Error>(message: &DynamicMessage, field: &FieldDescriptor) -> Result<(), E> {
    let Some(oneof) = field.containing_oneof() else { return Ok(()) };
    match oneof.fields().find(|other| message.has_field(other)) {
        Some(other) => {
            Err(E::custom(format!("`{}` and `{}` are not both possible", other.json_name(), field.json_name())))
        }
        None => Ok(()),
    }
}

/// What a field holds. `null` is the same as nothing, but where it is a value itself.
struct Slot {
    kind: Kind,
    is_list: bool,
    is_map: bool,
}

impl Slot {
    fn of(field: &FieldDescriptor) -> Self {
        Self { kind: field.kind(), is_list: field.is_list(), is_map: field.is_map() }
    }

    fn takes_null(&self) -> bool {
        let name = match &self.kind {
            _ if self.is_list || self.is_map => return false,
            Kind::Message(kind) => kind.full_name(),
            Kind::Enum(kind) => kind.full_name(),
            _ => return false,
        };
        matches!(name, "google.protobuf.Value" | "google.protobuf.NullValue")
    }
}

impl<'de> DeserializeSeed<'de> for Slot {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Slot {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        self.visit_unit()
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        if !self.takes_null() {
            return Ok(None);
        }
        One(&self.kind).deserialize(serde::de::value::UnitDeserializer::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        if self.is_map {
            from.deserialize_map(Entries(&self.kind)).map(Some)
        } else if self.is_list {
            from.deserialize_seq(Items(&self.kind)).map(Some)
        } else {
            One(&self.kind).deserialize(from)
        }
    }
}

/// One value; none where it is the name of an enum's value that is not known.
struct One<'a>(&'a Kind);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        let beyond = |_| D::Error::custom("out of range");
        Ok(Some(match self.0 {
            Kind::Double => Value::F64(from.deserialize_any(Decimal { narrow: false })?),
            Kind::Float => Value::F32(from.deserialize_any(Decimal { narrow: true })? as f32),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                Value::I32(from.deserialize_any(Whole)?.try_into().map_err(beyond)?)
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                Value::I64(from.deserialize_any(Whole)?.try_into().map_err(beyond)?)
            }
            Kind::Uint32 | Kind::Fixed32 => Value::U32(from.deserialize_any(Whole)?.try_into().map_err(beyond)?),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(from.deserialize_any(Whole)?.try_into().map_err(beyond)?),
            Kind::Bool => Value::Bool(from.deserialize_any(Truth)?),
            Kind::String => Value::String(from.deserialize_string(Text)?),
            Kind::Bytes => Value::Bytes(from.deserialize_str(Base64)?),
            Kind::Message(kind) => Value::Message(Wanted(kind).deserialize(from)?),
            Kind::Enum(kind) => return Ok(from.deserialize_any(EnumNumber(kind))?.map(Value::EnumNumber)),
        }))
    }
}

struct Items<'a>(&'a Kind);

impl<'de> Visitor<'de> for Items<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(One(self.0))? {
            list.extend(item);
        }
        Ok(Value::List(list))
    }
}

struct Entries<'a>(&'a Kind);

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let entry = self.0.as_message().and_then(|entry| entry.get_field(1).zip(entry.get_field(2)));
        let (key, value) = entry.ok_or_else(|| A::Error::custom("a map without key and value"))?;
        let (key, value) = (key.kind(), value.kind());
        let mut map = HashMap::new();
        while let Some(name) = entries.next_key::<String>()? {
            let name = map_key(&key, name)?;
            if let Some(value) = entries.next_value_seed(One(&value))? {
                map.insert(name, value);
            }
        }
        Ok(Value::Map(map))
    }
}

fn map_key<E: Error>(kind: &Kind, name: String) -> Result<MapKey, E> {
    let bad = |name: &str| E::custom(format!("{name:?} is no key of this map"));
    Ok(match kind {
        Kind::String => return Ok(MapKey::String(name)),
        Kind::Bool => MapKey::Bool(name.parse().map_err(|_| bad(&name))?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(name.parse().map_err(|_| bad(&name))?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(name.parse().map_err(|_| bad(&name))?),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(name.parse().map_err(|_| bad(&name))?),
        Kind::Uint64 | Kind::Fixed64 => MapKey::U64(name.parse().map_err(|_| bad(&name))?),
        _ => return Err(bad(&name)),
    })
}

/// An `Any`: what it holds can be read only when its `@type` is known, which may stand last.
struct Packed<'a>(&'a MessageDescriptor);

impl<'de> Visitor<'de> for Packed<'_> {
    type Value = DynamicMessage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DynamicMessage, A::Error> {
        let object: serde_json::Map<_, _> = serde::Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        let mut any = DynamicMessage::new(self.0.clone());
        if object.is_empty() {
            return Ok(any);
        }
        let (url, packed) = unpacked(object, self.0.parent_pool()).map_err(A::Error::custom)?;
        for (tag, value) in [(1, Value::String(url)), (2, Value::Bytes(packed.encode_to_vec().into()))] {
            any.try_set_field_by_number(tag, value).map_err(A::Error::custom)?;
        }
        Ok(any)
    }
}

fn unpacked(
    mut object: serde_json::Map<String, serde_json::Value>,
    pool: &DescriptorPool,
) -> Result<(String, DynamicMessage), String> {
    let Some(serde_json::Value::String(url)) = object.remove("@type") else {
        return Err("an `Any` needs an `@type`".to_owned());
    };
    let name = any_name(&url)?;
    let kind = pool.get_message_by_name(name).ok_or_else(|| format!("`@type`: `{name}` is not known here"))?;
    let content = if SpecialForm::of(&kind).is_none() {
        serde_json::Value::Object(object)
    } else {
        match object.remove("value") {
            Some(value) => value,
            None if name == "google.protobuf.Empty" => return Ok((url, DynamicMessage::new(kind))),
            None => return Err(format!("an `Any` of `{name}` needs a `value`")),
        }
    };
    let packed = Wanted(&kind).deserialize(content).map_err(|error| error.to_string())?;
    Ok((url, packed))
}
