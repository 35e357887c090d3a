//! Protobuf messages as JSON and back, by their descriptors: for plugins that have no protobuf, for REST backends, and for values that a
//! manifest gives.

mod read;
mod scalar;
mod write;

use crate::model::{Code, Failure};
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage};
use read::Wanted;
use serde::{Serialize, de::DeserializeSeed};
use std::io;
use write::Written;

/// JSON of `message` to protobuf. Unknown fields are passed over; what is wrong is told with the field where it stands.
pub fn to_protobuf(message: MessageDescriptor, json: &[u8]) -> Result<Bytes, Failure> {
    let name = message.full_name().to_owned();
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let parsed = Wanted(&message).deserialize(tracked);
    let parsed = parsed.and_then(|parsed| reader.end().map(|()| parsed)).map_err(|error| {
        let path = track.path();
        // The message itself has no name.
        let place = if path.iter().len() == 0 { String::new() } else { format!("`{path}`: ") };
        Failure::new(Code::InvalidArgument, format!("the request is no JSON of `{name}`: {place}{error}"))
    })?;
    Ok(parsed.encode_to_vec().into())
}

/// Protobuf of `message` to JSON of `most` bytes. Fields are named as in the proto's JSON mapping; zero values are written. So two
/// bytes of an empty message may become hundreds, which is why there is a bound.
pub fn to_json(message: MessageDescriptor, reply: &Bytes, most: usize) -> Result<Bytes, Failure> {
    let name = message.full_name().to_owned();
    let bad =
        |error: &dyn std::fmt::Display| Failure::new(Code::Internal, format!("the reply is no `{name}`: {error}"));
    let parsed = DynamicMessage::decode(message, reply.clone()).map_err(|error| bad(&error))?;
    let mut out = Bounded { bytes: Vec::with_capacity(most.min(reply.len() * 2)), most };
    let written = Written::with_zeros(&parsed).serialize(&mut serde_json::Serializer::new(&mut out));
    written.map_err(|error| if error.is_io() { too_large(&name) } else { bad(&error) })?;
    Ok(out.bytes.into())
}

/// JSON of the fields that are set, and of no others: what nobody said stays unsaid.
pub fn of_set_fields(message: &DynamicMessage, most: usize) -> Result<Bytes, Failure> {
    let name = message.descriptor().full_name().to_owned();
    let mut out = Bounded { bytes: Vec::new(), most };
    let written = Written::of_set_fields(message).serialize(&mut serde_json::Serializer::new(&mut out));
    written.map_err(|error| {
        let text = format!("the request can't be written as JSON of `{name}`: {error}");
        if error.is_io() { too_large(&name) } else { Failure::new(Code::InvalidArgument, text) }
    })?;
    Ok(out.bytes.into())
}

/// As [`to_json`], for a list of messages in `repeated` field 1: the reply of a streaming method.
pub fn list_to_json(message: MessageDescriptor, list: &Bytes, most: usize) -> Result<Bytes, Failure> {
    let bad = || Failure::new(Code::Internal, format!("the reply is no list of `{}`", message.full_name()));
    let (mut rest, mut out) = (list.clone(), b"[".to_vec());
    while !rest.is_empty() {
        let tag = prost::encoding::decode_varint(&mut rest).map_err(|_| bad())?;
        let length = prost::encoding::decode_varint(&mut rest).map_err(|_| bad())?;
        let length =
            usize::try_from(length).ok().filter(|length| tag == 0x0a && *length <= rest.len()).ok_or_else(bad)?;
        if out.len() > 1 {
            out.push(b',');
        }
        // With room for the bracket.
        let left = most.saturating_sub(out.len() + 1);
        out.extend_from_slice(&to_json(message.clone(), &rest.split_to(length), left)?);
    }
    out.push(b']');
    Ok(out.into())
}

/// Messages that JSON writes otherwise than as an object of their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpecialForm {
    Any,
    Timestamp,
    Duration,
    /// As the one value that it has.
    Wrapper,
    /// Masks, free-form JSON, and nothing.
    Other,
}

impl SpecialForm {
    fn of(message: &MessageDescriptor) -> Option<Self> {
        Some(match message.full_name().strip_prefix("google.protobuf.")? {
            "Any" => Self::Any,
            "Timestamp" => Self::Timestamp,
            "Duration" => Self::Duration,
            "BoolValue" | "BytesValue" | "StringValue" | "FloatValue" | "DoubleValue" | "Int32Value" | "Int64Value"
            | "UInt32Value" | "UInt64Value" => Self::Wrapper,
            "FieldMask" | "Struct" | "ListValue" | "Value" | "Empty" => Self::Other,
            _ => return None,
        })
    }
}

/// Whether JSON writes these messages as one text, number or truth.
pub fn is_one_value(message: &MessageDescriptor) -> bool {
    let is_mask = message.full_name() == "google.protobuf.FieldMask";
    let form = SpecialForm::of(message);
    is_mask || matches!(form, Some(SpecialForm::Timestamp | SpecialForm::Duration | SpecialForm::Wrapper))
}

/// What JSON makes of a time or a mask; none where it is none.
pub fn text_of(message: &DynamicMessage) -> Option<String> {
    match Written::of_set_fields(message).serialize(serde_json::value::Serializer).ok()? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    }
}

/// The name of the message in an `Any`, out of its `@type`.
fn any_name(url: &str) -> Result<&str, String> {
    let name = url.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty());
    name.ok_or_else(|| format!("{url:?} is no `@type` such as \"type.googleapis.com/google.protobuf.Duration\""))
}

fn too_large(name: &str) -> Failure {
    Failure::new(Code::ResourceExhausted, format!("a `{name}` is over the bound in JSON"))
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
