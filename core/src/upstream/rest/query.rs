//! Fields as query parameters, as `google.api.http` maps them: those that are set, nested ones as `a.b`, lists as repeated parameters.

use crate::protojson::{self, is_one_value as is_scalar};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use std::collections::HashSet;

/// What may stand unencoded in a path segment or a query value (RFC 3986, `unreserved`).
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Messages nest no deeper than they may on the wire (prost's own bound).
const DEEPEST: usize = 100;

fn is_free_form(message: &MessageDescriptor) -> bool {
    matches!(
        message.full_name(),
        "google.protobuf.Any" | "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue"
    )
}

/// The first field, as `a.b`, that can't be a query parameter. Those of which `skip` is true stand elsewhere.
pub(super) fn unsayable(message: &MessageDescriptor, skip: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut seen = HashSet::from([message.full_name().to_owned()]);
    let mut open = vec![(String::new(), message.clone())];
    while let Some((prefix, message)) = open.pop() {
        for field in message.fields() {
            let place = format!("{prefix}{}", field.name());
            if prefix.is_empty() && skip(field.name()) {
                continue;
            }
            let Kind::Message(inner) = field.kind() else { continue };
            if field.is_map() || field.is_list() && !is_scalar(&inner) || is_free_form(&inner) {
                return Some(place);
            }
            if !is_scalar(&inner) && seen.insert(inner.full_name().to_owned()) {
                open.push((format!("{place}."), inner));
            }
        }
    }
    None
}

/// Adds all fields that are set. Fails with the name of one that can't be said, such as a time that is none.
pub(super) fn add(target: &mut String, has_query: bool, message: &DynamicMessage) -> Result<(), String> {
    let mut separator = if has_query { '&' } else { '?' };
    let mut open = vec![(String::new(), message, 0)];
    while let Some((prefix, message, depth)) = open.pop() {
        for (field, value) in message.fields() {
            let name = format!("{prefix}{}", field.json_name());
            let items = match value {
                Value::List(items) => items.as_slice(),
                one => std::slice::from_ref(one),
            };
            for item in items {
                if let (Value::Message(inner), true) = (item, depth < DEEPEST)
                    && !is_scalar(&inner.descriptor())
                {
                    open.push((format!("{name}."), inner, depth + 1));
                } else {
                    let text = text(item, &field).ok_or_else(|| name.clone())?;
                    target.push(separator);
                    target.extend(utf8_percent_encode(&name, ENCODED));
                    target.push('=');
                    target.extend(utf8_percent_encode(&text, ENCODED));
                    separator = '&';
                }
            }
        }
    }
    Ok(())
}

/// A value as it stands in a path or a query; a list as its items with commas.
pub(super) fn text(value: &Value, field: &FieldDescriptor) -> Option<String> {
    Some(match value {
        Value::Bool(truth) => truth.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => float(f64::from(*number), number),
        Value::F64(number) => float(*number, number),
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => URL_SAFE.encode(bytes),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(kind) => kind.get_value(*number).map_or(number.to_string(), |value| value.name().to_owned()),
            _ => number.to_string(),
        },
        Value::List(items) => items.iter().filter_map(|item| text(item, field)).collect::<Vec<_>>().join(","),
        Value::Message(message) if is_scalar(&message.descriptor()) => scalar(message)?,
        Value::Message(_) | Value::Map(_) => return None,
    })
}

fn float(number: f64, shown: &dyn std::fmt::Display) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => shown.to_string(),
    }
}

/// A wrapper's value, or a time as its text.
fn scalar(message: &DynamicMessage) -> Option<String> {
    let descriptor = message.descriptor();
    if descriptor.name().ends_with("Value") {
        let field = descriptor.get_field(1)?;
        return text(&message.get_field(&field), &field);
    }
    protojson::text_of(message)
}
