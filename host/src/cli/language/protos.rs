//! What granted methods take and answer, as a description in JSON that the SDKs of other languages make clients of: messages with their
//! fields, enums with their values, services with their methods.

use crate::artifact::read_descriptors;
use anyhow::anyhow;
use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, ServiceDescriptor,
    prost_types::field_options::JsType,
};
use serde_json::{Map, Value, json};
use weft_build::Granted;

/// Of what granted methods need, and nothing else.
pub(super) fn described(granted: &Granted) -> anyhow::Result<Value> {
    let pool = read_descriptors(&granted.commented)
        .map_err(|error| anyhow!("these protos are nothing that a host would read: {error}"))?;
    let mut types = Types::default();
    let services = services(&pool, granted, &mut types);
    let Types { messages, enums } = types;
    Ok(json!({ "messages": messages, "enums": enums, "services": services }))
}

#[derive(Default)]
struct Types {
    messages: Map<String, Value>,
    enums: Map<String, Value>,
}

fn services(pool: &DescriptorPool, granted: &Granted, types: &mut Types) -> Map<String, Value> {
    let is_granted = |service: &ServiceDescriptor| {
        let own = format!("{}/", service.full_name());
        granted.methods.iter().any(|method| method.starts_with(&own))
    };
    let mut services = Map::new();
    for service in pool.services().filter(is_granted) {
        let methods = service.methods().map(|method| {
            let name = format!("{}/{}", service.full_name(), method.name());
            let number = granted.methods.binary_search(&name).ok();
            if number.is_some() {
                types.message(&method.input());
                types.message(&method.output());
            }
            json!({
                "name": method.name(),
                "number": number,
                "input": method.input().full_name(),
                "output": method.output().full_name(),
                "stream": method.is_client_streaming(),
                "doc": doc(&service.parent_file(), method.path()),
            })
        });
        let methods: Vec<Value> = methods.collect();
        let described = json!({
            "package": service.package_name(),
            "methods": methods,
            "doc": doc(&service.parent_file(), service.path()),
        });
        services.insert(service.full_name().to_owned(), described);
    }
    services
}

impl Types {
    /// The message, and all that it needs.
    fn message(&mut self, message: &MessageDescriptor) {
        let mut pending = vec![message.clone()];
        while let Some(message) = pending.pop() {
            if self.messages.contains_key(message.full_name()) {
                continue;
            }
            let fields: Vec<Value> = message.fields().map(|field| self.field(&field, &mut pending)).collect();
            let described = json!({
                "package": message.package_name(),
                "fields": fields,
                "doc": doc(&message.parent_file(), message.path()),
            });
            self.messages.insert(message.full_name().to_owned(), described);
        }
    }

    fn field(&mut self, field: &FieldDescriptor, pending: &mut Vec<MessageDescriptor>) -> Value {
        let kind = field.kind();
        let entry = kind.as_message().filter(|_| field.is_map());
        let map = entry.map(|entry| {
            let [key, value] = [entry.map_entry_key_field(), entry.map_entry_value_field()];
            json!([self.field(&key, pending), self.field(&value, pending)])
        });
        let name = match &kind {
            Kind::Message(message) => {
                if map.is_none() {
                    pending.push(message.clone());
                }
                Some(message.full_name().to_owned())
            }
            Kind::Enum(kind) => {
                self.enumeration(kind);
                Some(kind.full_name().to_owned())
            }
            _ => None,
        };
        let options = field.field_descriptor_proto().options.as_ref();
        let js_type = options.and_then(|options| options.jstype).and_then(|kind| JsType::try_from(kind).ok());
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        json!({
            "name": field.name(),
            "json": field.json_name(),
            "number": field.number(),
            "kind": if field.is_group() { "group" } else { word(&kind) },
            "type": name,
            "repeated": field.is_list(),
            "packed": field.is_packed(),
            "presence": field.supports_presence(),
            "map": map,
            "oneof": oneof.map(|oneof| oneof.name().to_owned()),
            "jstype": match js_type {
                Some(JsType::JsNumber) => Some("number"),
                Some(JsType::JsString) => Some("string"),
                _ => None,
            },
            "doc": doc(&field.parent_message().parent_file(), field.path()),
        })
    }

    fn enumeration(&mut self, kind: &EnumDescriptor) {
        let values: Vec<Value> = kind.values().map(|value| json!([value.name(), value.number()])).collect();
        let described = json!({
            "package": kind.package_name(),
            "values": values,
            "doc": doc(&kind.parent_file(), kind.path()),
        });
        self.enums.insert(kind.full_name().to_owned(), described);
    }
}

/// As protos write it.
fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Message(_) => "message",
        Kind::Enum(_) => "enum",
    }
}

/// The comment before what stands at this path of the file.
fn doc(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let found = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    found.map(|location| location.leading_comments().trim().to_owned()).unwrap_or_default()
}
