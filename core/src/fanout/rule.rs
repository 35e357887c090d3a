//! Batch rules: from the names that an operator writes to the field numbers that the wire needs, and proposals for methods that
//! follow AIP-231.

use super::config::{BatchConfig, Missing};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use weft_wire::{KeyList, KeyPath, Reply, Request, Rule, Shape, Spec};

/// Looks up every name of `batch` in the messages of `single` and of the method that it goes `via`.
pub(super) fn resolve(
    batch: &BatchConfig,
    single: &MethodDescriptor,
) -> Result<(MethodDescriptor, Spec, Rule), String> {
    let service = single.parent_service();
    let via = method(service, &batch.via)?;
    if via.is_client_streaming() || via.is_server_streaming() {
        return Err(format!("via: `{}` streams; a batch goes through a unary method", batch.via));
    }
    let key = paths(&single.input(), &batch.key, "key")?;
    let key_required = key.iter().any(|(_, present)| *present);
    let key: Vec<KeyPath> = key.into_iter().map(|(path, _)| path).collect();
    let spec =
        Spec { request: request(batch, single, &via)?, reply: reply(batch, single, &via, &key)?, key, key_required };
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

fn repeated(message: &MessageDescriptor, name: &str, role: &str) -> Result<FieldDescriptor, String> {
    let found = field(message, name, role)?;
    if found.is_list() || found.is_map() {
        return Ok(found);
    }
    Err(format!("{role}: `{}` is not a repeated field", found.full_name()))
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
    let keys = repeated(&to, &batch.keys, "keys")?;
    if keys.is_map() {
        return Err(format!("keys: `{}` is a map; keys go into a repeated field", keys.full_name()));
    }
    if matches!(keys.kind(), Kind::Message(message) if message == from) {
        return Ok(Request::Requests { field: keys.number() });
    }
    let list = key_list(&keys, &batch.key, "keys")?;
    let key_roots: Vec<&str> = batch.key.iter().filter_map(|name| name.split('.').next()).collect();
    let carry = from
        .fields()
        .filter(|field| !key_roots.contains(&field.name()))
        .filter_map(|field| {
            let twin = to.get_field_by_name(field.name())?;
            let same = twin.kind() == field.kind()
                && twin.cardinality() == field.cardinality()
                && twin.number() != keys.number();
            same.then_some((field.number(), twin.number()))
        })
        .collect();
    Ok(Request::Keys { keys: list, carry })
}

/// A list of scalars, or of messages that hold the key's parts under the names that they have in the single request.
fn key_list(field: &FieldDescriptor, names: &[String], role: &str) -> Result<KeyList, String> {
    match field.kind() {
        Kind::Message(message) => {
            let paths = paths(&message, names, role)?.into_iter().map(|(path, _)| path).collect();
            Ok(KeyList::Messages { field: field.number(), paths })
        }
        kind => Ok(KeyList::Scalars { field: field.number(), kind: scalar(&kind, field, role)? }),
    }
}

fn reply(
    batch: &BatchConfig,
    single: &MethodDescriptor,
    via: &MethodDescriptor,
    key: &[KeyPath],
) -> Result<Reply, String> {
    let output = via.output();
    let items = repeated(&output, &batch.items, "items")?;
    let Kind::Message(mut element) = items.kind() else {
        return Err(format!("items: `{}` does not hold messages", items.full_name()));
    };
    let mut shape = match (&batch.item_key, items.is_map()) {
        (Some(_), true) => return Err(format!("item-key: `{}` is a map, whose keys are known", items.full_name())),
        (None, true) => {
            let key_field = element.map_entry_key_field();
            Shape::Map(scalar(&key_field.kind(), &key_field, "items")?)
        }
        (None, false) => Shape::Aligned,
        (Some(_), false) => Shape::Keyed(Vec::new()),
    };
    if items.is_map() {
        let Kind::Message(value) = element.map_entry_value_field().kind() else {
            return Err(format!("items: the values of `{}` are no messages", items.full_name()));
        };
        element = value;
    }
    if let (Shape::Keyed(found), Some(names)) = (&mut shape, &batch.item_key) {
        *found = paths(&element, names, "item-key")?.into_iter().map(|(path, _)| path).collect();
        if found.len() != key.len() {
            return Err(format!("item-key: has {} parts, but `key` has {}", found.len(), key.len()));
        }
    }
    let holder_of_item = element.clone();
    let mut item = Vec::new();
    if let Some(name) = &batch.item {
        let holder = field(&element, name, "item")?;
        let Kind::Message(inner) = holder.kind() else {
            return Err(format!("item: `{}` is no message", holder.full_name()));
        };
        item.push(holder.number());
        element = inner;
    }
    let status = match &batch.status {
        Some(name) => Some(vec![status_field(&holder_of_item, name)?]),
        None => None,
    };
    let missing = missing(batch, &output)?;
    let (wrap, more) = (wrap(batch, single, &element)?, more(&output));
    Ok(Reply { items: items.number(), shape, item, status, missing, wrap, more })
}

/// Where a list that is cut into pages says that there is another one (<https://google.aip.dev/158>).
fn more(output: &MessageDescriptor) -> Option<u32> {
    let token = output.get_field_by_name("next_page_token")?;
    (token.kind() == Kind::String && !token.is_list()).then(|| token.number())
}

fn status_field(element: &MessageDescriptor, name: &str) -> Result<u32, String> {
    let found = field(element, name, "status")?;
    match found.kind() {
        Kind::Message(message) if message.full_name() == "google.rpc.Status" => Ok(found.number()),
        _ => Err(format!("status: `{}` is no google.rpc.Status", found.full_name())),
    }
}

fn missing(batch: &BatchConfig, output: &MessageDescriptor) -> Result<weft_wire::Missing, String> {
    if let Some(name) = &batch.missing_list {
        let list = repeated(output, name, "missing-list")?;
        return Ok(weft_wire::Missing::Listed(key_list(&list, &batch.key, "missing-list")?));
    }
    Ok(match batch.missing {
        Missing::Omitted => weft_wire::Missing::Omitted,
        Missing::Empty => weft_wire::Missing::Empty,
        Missing::Fails => weft_wire::Missing::Never,
    })
}

/// The single reply is the item, or holds it in `wrap`; anything else can't be put together.
fn wrap(batch: &BatchConfig, single: &MethodDescriptor, item: &MessageDescriptor) -> Result<Option<u32>, String> {
    let output = single.output();
    let Some(name) = &batch.wrap else {
        if *item == output {
            return Ok(None);
        }
        let holders: Vec<_> = output
            .fields()
            .filter(|f| matches!(f.kind(), Kind::Message(m) if m == *item))
            .map(|f| f.name().to_owned())
            .collect();
        let hint = if holders.is_empty() {
            String::new()
        } else {
            format!("; if it holds the item, set wrap = \"{}\"", holders.join("\" or \""))
        };
        return Err(format!(
            "items: `{}` replies with `{}`, but the items are `{}`{hint}",
            single.name(),
            output.full_name(),
            item.full_name()
        ));
    };
    let holder = field(&output, name, "wrap")?;
    let others = beside(&output, &holder);
    if !others.is_empty() {
        return Err(format!(
            "wrap: `{}` has more than `{name}`: of a batch, `{}` would be empty where the method's own reply may say otherwise; \
             leave out `batch`, or serve a method that replies with the item alone",
            output.full_name(),
            others.join("`, `")
        ));
    }
    match holder.kind() {
        Kind::Message(message) if message == *item => Ok(Some(holder.number())),
        _ => Err(format!("wrap: `{}` does not hold a `{}`", holder.full_name(), item.full_name())),
    }
}

/// Fields that may have something to say where `holder` has: all others, but for those of its own oneof.
fn beside(message: &MessageDescriptor, holder: &FieldDescriptor) -> Vec<String> {
    let oneof = holder.containing_oneof();
    let is_beside = |field: &FieldDescriptor| {
        field.number() != holder.number() && (oneof.is_none() || field.containing_oneof() != oneof)
    };
    message.fields().filter(is_beside).map(|field| field.name().to_owned()).collect()
}

/// For each method `GetX` whose service has a `BatchGetXs` after AIP-231: the configuration to paste, ready but for a look at it.
pub fn propose(pool: &DescriptorPool, method: &str) -> Option<String> {
    let (service, name) = method.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    let single = service.methods().find(|m| m.name() == name)?;
    let noun = name.strip_prefix("Get").filter(|noun| !noun.is_empty())?;
    let via = service.methods().find(|m| {
        let plural = m.name().strip_prefix("BatchGet");
        plural.is_some_and(|plural| {
            plural.starts_with(noun.trim_end_matches('y')) || (noun == "Person" && plural == "People")
        })
    })?;
    let scalar_fields: Vec<_> = single.input().fields().filter(|f| !f.is_list() && !f.is_map()).collect();
    let list = via.input().fields().find(FieldDescriptor::is_list)?;
    let items = via.output().fields().find(FieldDescriptor::is_list)?;
    let Kind::Message(item) = items.kind() else { return None };
    let key = scalar_fields
        .iter()
        .find(|field| matches!(list.kind(), Kind::Message(m) if m == single.input()) || list.kind() == field.kind())?;
    let item_key = item.fields().find(|f| f.name() == key.name() && f.kind() == key.kind());
    let wrap =
        single.output().fields().find(|f| item != single.output() && matches!(f.kind(), Kind::Message(m) if m == item));
    if wrap.as_ref().is_some_and(|wrap| !beside(&single.output(), wrap).is_empty()) {
        return None;
    }
    let mut rule = format!(
        "batch = {{ via = \"{}\", key = \"{}\", keys = \"{}\", items = \"{}\"",
        via.name(),
        key.name(),
        list.name(),
        items.name()
    );
    if let Some(item_key) = item_key {
        rule += &format!(", item-key = \"{}\"", item_key.name());
    }
    if let Some(wrap) = wrap {
        rule += &format!(", wrap = \"{}\"", wrap.name());
    }
    rule += ", missing = \"fails\", max = 100 }";
    Some(rule)
}
