//! Messages as JSON, by proto3's mapping (<https://protobuf.dev/programming-guides/json/>).
//!
//! prost-reflect has a writer as well, which makes null of wrapped numbers that are not finite, can't write an `Any` without a type,
//! takes times that are none, and follows an `Any` in an `Any` as deep as somebody has packed them, until the stack ends.

use super::{SpecialForm, any_name};
use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, SerializeOptions, Value};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

/// Messages in messages, those that are packed into an `Any` included. What is read from the wire at once is bounded by the same number.
const DEEPEST: usize = 100;

/// A message to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    message: &'a DynamicMessage,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
struct Form {
    /// Whether fields that can't tell zero from unset are written when they are zero.
    zeros: bool,
    depth: usize,
}

impl<'a> Written<'a> {
    pub(super) fn with_zeros(message: &'a DynamicMessage) -> Self {
        Self { message, form: Form { zeros: true, depth: 0 } }
    }

    pub(super) fn of_set_fields(message: &'a DynamicMessage) -> Self {
        Self { message, form: Form { zeros: false, depth: 0 } }
    }

    /// The first field, of a message that is nothing but that.
    fn wrapped<S: Serializer>(self, to: S) -> Result<S::Ok, S::Error> {
        let field =
            self.message.descriptor().get_field(1).ok_or_else(|| S::Error::custom("a wrapper without a value"))?;
        Item { value: &self.message.get_field(&field), kind: &field.kind(), form: self.form }.serialize(to)
    }

    fn fields<M: SerializeMap>(self, map: &mut M) -> Result<(), M::Error> {
        for field in self.message.descriptor().fields() {
            if self.message.has_field(&field) || self.form.zeros && !field.supports_presence() {
                let value = self.message.get_field(&field);
                map.serialize_entry(field.json_name(), &Item { value: &value, kind: &field.kind(), form: self.form })?;
            }
        }
        for (extension, value) in self.message.extensions() {
            map.serialize_entry(extension.json_name(), &Item { value, kind: &extension.kind(), form: self.form })?;
        }
        Ok(())
    }

    fn any<S: Serializer>(self, to: S) -> Result<S::Ok, S::Error> {
        let (url, value) = (self.message.get_field_by_number(1), self.message.get_field_by_number(2));
        let url = url.as_deref().and_then(Value::as_str).unwrap_or_default();
        let value = value.as_deref().and_then(Value::as_bytes).cloned().unwrap_or_default();
        if url.is_empty() && value.is_empty() {
            return to.serialize_map(Some(0))?.end();
        }
        let name = any_name(url).map_err(S::Error::custom)?;
        let kind = self.message.descriptor().parent_pool().get_message_by_name(name);
        let kind =
            kind.ok_or_else(|| S::Error::custom(format!("an `Any` holds a `{name}`, which is not known here")))?;
        let is_special = SpecialForm::of(&kind).is_some();
        let packed = DynamicMessage::decode(kind, value).map_err(S::Error::custom)?;
        let packed = Written { message: &packed, form: self.form.deeper()? };
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("@type", url)?;
        if is_special {
            map.serialize_entry("value", &packed)?;
        } else {
            packed.fields(&mut map)?;
        }
        map.end()
    }

    /// Seconds and nanoseconds, as they may be.
    fn check_time<E: Error>(self, is_duration: bool) -> Result<(), E> {
        let number = |tag| match self.message.get_field_by_number(tag).as_deref() {
            Some(Value::I64(number)) => *number,
            Some(Value::I32(number)) => i64::from(*number),
            _ => 0,
        };
        let (seconds, nanos) = (number(1), number(2));
        let is_sound = if is_duration { nanos.abs() <= 999_999_999 } else { (0..=999_999_999).contains(&nanos) };
        let is_one_way = !is_duration || seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
        if is_sound && is_one_way { Ok(()) } else { Err(E::custom(format!("{seconds} s and {nanos} ns are no time"))) }
    }
}

impl Form {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DEEPEST {
            return Err(E::custom(format!("messages nest deeper than {DEEPEST}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let form = SpecialForm::of(&self.message.descriptor());
        match form {
            None => {
                let mut map = to.serialize_map(None)?;
                self.fields(&mut map)?;
                return map.end();
            }
            Some(SpecialForm::Any) => return self.any(to),
            Some(SpecialForm::Wrapper) => return self.wrapped(to),
            Some(SpecialForm::Timestamp) => self.check_time(false)?,
            Some(SpecialForm::Duration) => self.check_time(true)?,
            Some(SpecialForm::Other) => {}
        }
        self.message.serialize_with_options(to, &SerializeOptions::new())
    }
}

/// A value of a field, of a list or of a map.
struct Item<'a> {
    value: &'a Value,
    kind: &'a Kind,
    form: Form,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { value, kind, form } = *self;
        match value {
            Value::Bool(truth) => to.serialize_bool(*truth),
            Value::I32(number) => to.serialize_i32(*number),
            Value::U32(number) => to.serialize_u32(*number),
            // JavaScript has no such numbers.
            Value::I64(number) => to.collect_str(number),
            Value::U64(number) => to.collect_str(number),
            Value::F32(number) if number.is_finite() => to.serialize_f32(*number),
            Value::F32(number) => to.serialize_str(not_finite(f64::from(*number))),
            Value::F64(number) if number.is_finite() => to.serialize_f64(*number),
            Value::F64(number) => to.serialize_str(not_finite(*number)),
            Value::String(text) => to.serialize_str(text),
            Value::Bytes(bytes) => to.collect_str(&Base64Display::new(bytes, &STANDARD)),
            Value::EnumNumber(number) => match kind {
                Kind::Enum(kind) if kind.full_name() == "google.protobuf.NullValue" => to.serialize_unit(),
                Kind::Enum(kind) => match kind.get_value(*number) {
                    Some(value) => to.serialize_str(value.name()),
                    None => to.serialize_i32(*number),
                },
                _ => to.serialize_i32(*number),
            },
            Value::Message(message) => Written { message, form: form.deeper()? }.serialize(to),
            Value::List(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for value in items {
                    list.serialize_element(&Item { value, kind, form })?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let entry = kind.as_message().and_then(|entry| entry.get_field(2));
                let kind = entry.ok_or_else(|| S::Error::custom("a map whose entries have no value"))?.kind();
                let mut map = to.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(&Name(key), &Item { value, kind: &kind, form })?;
                }
                map.end()
            }
        }
    }
}

fn not_finite(number: f64) -> &'static str {
    match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

struct Name<'a>(&'a MapKey);

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MapKey::Bool(key) => to.collect_str(key),
            MapKey::I32(key) => to.collect_str(key),
            MapKey::I64(key) => to.collect_str(key),
            MapKey::U32(key) => to.collect_str(key),
            MapKey::U64(key) => to.collect_str(key),
            MapKey::String(key) => to.serialize_str(key),
        }
    }
}
