//! Methods that are asked for many things at once, by their keys.

use std::collections::BTreeMap;

use heck::ToSnakeCase;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto};

/// The one field of a request that tells one thing from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// As Rust spells it.
    pub(crate) field: String,
    /// The type of a key in Rust; `String` stands for all that becomes one.
    pub(crate) rust: &'static str,
    /// The field knows whether it is set.
    pub(crate) is_optional: bool,
}

/// The keys of methods `GetX` beside which there is a `BatchGet…` that takes a list of them (<https://google.aip.dev/231>), by the full
/// names of the methods (`catalog.v1.Films/GetFilm`).
pub(crate) fn keys(files: &[FileDescriptorProto]) -> BTreeMap<String, Key> {
    let mut messages = BTreeMap::new();
    // Of proto3 it is known which fields are an `Option`.
    for file in files.iter().filter(|file| file.syntax() == "proto3") {
        let prefix = prefix(file.package());
        for message in &file.message_type {
            messages.insert(format!("{prefix}.{}", message.name()), message);
        }
    }
    let mut keys = BTreeMap::new();
    for file in files {
        for service in &file.service {
            for (method, key) in of_service(service, &messages) {
                let service = format!("{}.{}", prefix(file.package()), service.name());
                keys.insert(format!("{}/{method}", service.trim_start_matches('.')), key);
            }
        }
    }
    keys
}

fn prefix(package: &str) -> String {
    if package.is_empty() { String::new() } else { format!(".{package}") }
}

fn of_service<'a>(
    service: &'a ServiceDescriptorProto,
    messages: &BTreeMap<String, &DescriptorProto>,
) -> Vec<(&'a str, Key)> {
    let unary = || service.method.iter().filter(|method| !method.client_streaming() && !method.server_streaming());
    let batches: Vec<_> = unary().filter(|method| method.name().starts_with("BatchGet")).collect();
    let key_of = |single: &'a prost_types::MethodDescriptorProto| {
        single.name().strip_prefix("Get").filter(|noun| !noun.is_empty())?;
        let request = messages.get(single.input_type())?;
        let batch = batches.iter().find_map(|batch| {
            let answers = messages
                .get(batch.output_type())?
                .field
                .iter()
                .any(|items| is_list(items) && items.type_name() == single.output_type());
            let list = messages.get(batch.input_type())?.field.iter().find(|field| is_list(field))?;
            answers.then_some(list)
        })?;
        let field = request.field.iter().find(|field| is_key_of(field, batch))?;
        let (rust, is_optional) = (rust(field.r#type())?, field.proto3_optional());
        Some((single.name(), Key { field: ident(request, field)?, rust, is_optional }))
    };
    unary().filter_map(key_of).collect()
}

fn is_list(field: &FieldDescriptorProto) -> bool {
    field.label() == Label::Repeated
}

/// Whether the list is one of this field's values: `ids` of `id`, `film_ids` of `film_id`, `names` of `name`.
fn is_key_of(field: &FieldDescriptorProto, list: &FieldDescriptorProto) -> bool {
    let is_plain = !is_list(field) && (field.oneof_index.is_none() || field.proto3_optional());
    is_plain && field.r#type() == list.r#type() && list.name().strip_suffix('s') == Some(field.name())
}

/// The field's name in Rust, where no other of the message has the same.
fn ident(message: &DescriptorProto, field: &FieldDescriptorProto) -> Option<String> {
    let name = field.name().to_snake_case();
    let is_alone = message.field.iter().filter(|other| other.name().to_snake_case() == name).count() == 1;
    // Those that need `r#` are no names of keys.
    let is_word = matches!(name.as_str(), "type" | "match" | "ref" | "use" | "mod" | "self" | "super" | "crate" | "in");
    (is_alone && !is_word).then_some(name)
}

fn rust(kind: Type) -> Option<&'static str> {
    Some(match kind {
        Type::String => "String",
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => "i32",
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => "i64",
        Type::Uint32 | Type::Fixed32 => "u32",
        Type::Uint64 | Type::Fixed64 => "u64",
        _ => return None,
    })
}
