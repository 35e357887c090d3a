//! Messages as bytes, the same ones each time: entries of maps stand in the order of their keys.

use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

pub(super) fn message(of: &DynamicMessage) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, value) in of.fields() {
        match (value, field.kind()) {
            (Value::Map(map), Kind::Message(entry)) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| (*key).clone());
                for (key, value) in entries {
                    let (of_key, of_value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                    let mut inner = one(&entry, &of_key, Value::from(key.clone()));
                    match value {
                        Value::Message(value) => put(of_value.number(), &message(value), &mut inner),
                        value => inner.extend(one(&entry, &of_value, value.clone())),
                    }
                    put(field.number(), &inner, &mut out);
                }
            }
            (Value::Message(inner), _) if !field.is_group() => put(field.number(), &message(inner), &mut out),
            (Value::List(items), Kind::Message(_)) if !field.is_group() => {
                let inner = items.iter().filter_map(Value::as_message);
                inner.for_each(|inner| put(field.number(), &message(inner), &mut out));
            }
            (value, _) => out.extend(one(&of.descriptor(), &field, value.clone())),
        }
    }
    out
}

/// Each as field 1.
pub(super) fn stream(messages: &[DynamicMessage]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|inner| put(1, &message(inner), &mut out));
    out
}

fn put(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A message with this field and no other.
fn one(message: &prost_reflect::MessageDescriptor, field: &FieldDescriptor, value: Value) -> Vec<u8> {
    let mut alone = DynamicMessage::new(message.clone());
    // What does not fit was never set.
    let _ = alone.try_set_field(field, value);
    alone.encode_to_vec()
}
