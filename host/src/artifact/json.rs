//! Messages in JSON for plugins that have no protobuf: converted once on the way out and once on the way back, by the artifact's
//! own descriptors.

use crate::model::{Code, Failure};
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};

/// JSON of `message` to protobuf. Unknown fields are passed over.
pub fn to_protobuf(message: MessageDescriptor, json: &[u8]) -> Result<Bytes, Failure> {
    let name = message.full_name().to_owned();
    let mut reader = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let parsed = DynamicMessage::deserialize_with_options(message, &mut reader, &options)
        .and_then(|parsed| reader.end().map(|()| parsed))
        .map_err(|error| Failure::new(Code::InvalidArgument, format!("the request is no JSON of `{name}`: {error}")))?;
    Ok(parsed.encode_to_vec().into())
}

/// Protobuf of `message` to JSON. Fields are named as in the proto's JSON mapping; zero values are written.
pub fn to_json(message: MessageDescriptor, reply: &Bytes) -> Result<Bytes, Failure> {
    let name = message.full_name().to_owned();
    let bad =
        |error: &dyn std::fmt::Display| Failure::new(Code::Internal, format!("the reply is no `{name}`: {error}"));
    let parsed = DynamicMessage::decode(message, reply.clone()).map_err(|error| bad(&error))?;
    let mut out = Vec::with_capacity(reply.len() * 2);
    let options = SerializeOptions::new().skip_default_fields(false);
    parsed.serialize_with_options(&mut serde_json::Serializer::new(&mut out), &options).map_err(|error| bad(&error))?;
    Ok(out.into())
}
