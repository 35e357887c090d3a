//! Batch rules: from the names that an operator writes to the field numbers that the wire needs.

mod propose;
mod reply;

use super::config::BatchConfig;
pub use propose::propose;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use weft_wire::{KeyList, KeyPath, Request, Rule, Spec};

/// Looks up every name of `batch` in the messages of `single` and of the method that it goes `via`.
pub(super) fn resolve(
    batch: &BatchConfig,
    single: &MethodDescriptor,
) -> Result<(MethodDescriptor, Spec, Rule), String> {
    let service = single.parent_service();
    let via = method(service, &batch.via)?;
    if via.is_client_streaming() {
        return Err(format!("via: `{}` takes a stream; a batch is one message", batch.via));
    }
    if single.is_server_streaming() {
        return Err(format!(
            "`{}` answers with a stream, which can't be part of a batch: remove `batch`",
            single.name()
        ));
    }
    let key = paths(&single.input(), &batch.key, "key")?;
    let key_required = key.iter().any(|(_, present)| *present);
    let key: Vec<KeyPath> = key.into_iter().map(|(path, _)| path).collect();
    let spec = Spec {
        request: request(batch, single, &via)?,
        reply: reply::reply(batch, single, &via, &key)?,
        key,
        key_required,
    };
    let rule = Rule::new(spec.clone()).map_err(|error| error.to_string())?;
    Ok((via, spec, rule))
}

fn method(service: &ServiceDescriptor, name: &str) -> Result<MethodDescriptor, String> {
    service.methods().find(|method| method.name() == name).ok_or_else(|| {
        let known: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
        format!("via: `{}` has no method `{name}`; it has: {}", service.full_name(), known.join(", "))
    })
}

fn field(message: &MessageDescriptor, name: &str, role: &str) -> Result<FieldDescriptor, String> {
    let Some(found) = message.get_field_by_name(name) else {
        let known: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
        return Err(format!("{role}: `{}` has no field `{name}`; it has: {}", message.full_name(), known.join(", ")));
    };
    if found.is_group() {
        return Err(format!("{role}: `{}` is encoded as a group, which batches don't support", found.full_name()));
    }
    Ok(found)
}

/// A repeated field, in the message or in one inside it: the way to it, and the field.
fn repeated(message: &MessageDescriptor, name: &str, role: &str) -> Result<(Vec<u32>, FieldDescriptor), String> {
    let (mut path, found) = follow(message, name, role)?;
    if !found.is_list() && !found.is_map() {
        return Err(format!("{role}: `{}` is not a repeated field", found.full_name()));
    }
    path.push(found.number());
    Ok((path, found))
}

/// Follows a dotted name: the numbers of the messages on the way, none of which is repeated, and the field at the end.
fn follow(message: &MessageDescriptor, name: &str, role: &str) -> Result<(Vec<u32>, FieldDescriptor), String> {
    let (mut path, mut at) = (Vec::new(), message.clone());
    let (holders, last) = name.rsplit_once('.').map_or((None, name), |(holders, last)| (Some(holders), last));
    for part in holders.into_iter().flat_map(|holders| holders.split('.')) {
        let holder = field(&at, part, role)?;
        match holder.kind() {
            _ if holder.is_list() || holder.is_map() => {
                return Err(format!("{role}: `{}` is repeated; only the last field may be", holder.full_name()));
            }
            Kind::Message(inner) => at = inner,
            _ => return Err(format!("{role}: `{}` is no message", holder.full_name())),
        }
        path.push(holder.number());
    }
    Ok((path, field(&at, last, role)?))
}

/// Follows dotted names to scalar fields. The flag says that zero and absence differ there.
fn paths(message: &MessageDescriptor, names: &[String], role: &str) -> Result<Vec<(KeyPath, bool)>, String> {
    names.iter().map(|name| path(message, name, role)).collect()
}

pub(super) fn path(message: &MessageDescriptor, name: &str, role: &str) -> Result<(KeyPath, bool), String> {
    let mut numbers = Vec::new();
    let mut at = message.clone();
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        let found = field(&at, part, role)?;
        if found.is_list() || found.is_map() {
            return Err(format!("{role}: `{}` is repeated; a key is one value", found.full_name()));
        }
        numbers.push(found.number());
        match found.kind() {
            Kind::Message(inner) if parts.peek().is_some() => at = inner,
            kind if parts.peek().is_none() => {
                let presence = numbers.len() > 1 || found.supports_presence();
                return Ok((KeyPath { path: numbers, kind: scalar(&kind, &found, role)? }, presence));
            }
            _ => return Err(format!("{role}: `{}` is no message", found.full_name())),
        }
    }
    Err(format!("{role}: expected a field name"))
}

fn scalar(kind: &Kind, field: &FieldDescriptor, role: &str) -> Result<weft_wire::Kind, String> {
    Ok(match kind {
        Kind::Int32 => weft_wire::Kind::Int32,
        Kind::Int64 => weft_wire::Kind::Int64,
        Kind::Uint32 => weft_wire::Kind::Uint32,
        Kind::Uint64 => weft_wire::Kind::Uint64,
        Kind::Sint32 => weft_wire::Kind::Sint32,
        Kind::Sint64 => weft_wire::Kind::Sint64,
        Kind::Fixed32 => weft_wire::Kind::Fixed32,
        Kind::Fixed64 => weft_wire::Kind::Fixed64,
        Kind::Sfixed32 => weft_wire::Kind::Sfixed32,
        Kind::Sfixed64 => weft_wire::Kind::Sfixed64,
        Kind::Bool => weft_wire::Kind::Bool,
        Kind::Enum(_) => weft_wire::Kind::Enum,
        Kind::String => weft_wire::Kind::String,
        Kind::Bytes => weft_wire::Kind::Bytes,
        Kind::Float | Kind::Double => {
            return Err(format!("{role}: `{}` is a floating-point number, which is no key", field.full_name()));
        }
        Kind::Message(_) => {
            return Err(format!(
                "{role}: `{}` is a message; name a field in it: `{}.FIELD`",
                field.full_name(),
                field.name()
            ));
        }
    })
}

fn request(batch: &BatchConfig, single: &MethodDescriptor, via: &MethodDescriptor) -> Result<Request, String> {
    let (from, to) = (single.input(), via.input());
    let (path, keys) = repeated(&to, &batch.keys, "keys")?;
    if keys.is_map() {
        return Err(format!("keys: `{}` is a map; keys go into a repeated field", keys.full_name()));
    }
    if matches!(keys.kind(), Kind::Message(message) if message == from) {
        return Ok(Request::Requests { field: path });
    }
    let root = path.first().copied();
    let keys = key_list((path, &keys), &batch.key, "keys")?;
    let key_roots: Vec<&str> = batch.key.iter().filter_map(|name| name.split('.').next()).collect();
    let carry = from
        .fields()
        .filter(|field| !key_roots.contains(&field.name()))
        .filter_map(|field| {
            let same_name = to.get_field_by_name(field.name())?;
            let same = same_name.kind() == field.kind()
                && same_name.cardinality() == field.cardinality()
                && Some(same_name.number()) != root;
            same.then_some((field.number(), same_name.number()))
        })
        .collect();
    Ok(Request::Keys { keys, carry })
}

/// A list of scalars, or of messages that hold the key's parts under the names that they have in the single request.
fn key_list((path, field): (Vec<u32>, &FieldDescriptor), names: &[String], role: &str) -> Result<KeyList, String> {
    match field.kind() {
        Kind::Message(message) => {
            let paths = paths(&message, names, role)?.into_iter().map(|(path, _)| path).collect();
            Ok(KeyList::Messages { field: path, paths })
        }
        kind => Ok(KeyList::Scalars { field: path, kind: scalar(&kind, field, role)? }),
    }
}
