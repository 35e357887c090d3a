//! The half of a batch rule that says how a batch reply becomes single replies.

use super::{field, follow, key_list, paths, repeated, scalar};
use crate::fanout::config::{BatchConfig, Missing};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use weft_wire::{Encoding, KeyPath, Reply, Scalar, Shape};

/// A stream is received as one message that holds its messages in this field.
const STREAMED: u32 = 1;

/// What answers the keys one by one: the elements of a list, the values of a map, or the messages of a stream.
struct Elements {
    path: Vec<u32>,
    /// What holds them, to be named in mistakes.
    name: String,
    kind: Kind,
    /// Of a map.
    key: Option<weft_wire::Kind>,
    /// The field of the list, or of the values.
    field: Option<FieldDescriptor>,
}

/// What a key is answered with.
enum Item {
    Message(MessageDescriptor),
    Scalar(FieldDescriptor),
}

pub(super) fn reply(
    batch: &BatchConfig,
    single: &MethodDescriptor,
    via: &MethodDescriptor,
    key: &[KeyPath],
) -> Result<Reply, String> {
    let elements = elements(batch, via)?;
    let shape = shape(batch, &elements, key)?;
    let (item, found) = item(batch, &elements)?;
    let status = match (&batch.status, &elements.kind) {
        (Some(name), Kind::Message(element)) => Some(status_path(element, name)?),
        (Some(_), _) => return Err(format!("status: the elements of `{}` are no messages", elements.name)),
        (None, _) => None,
    };
    let missing = missing(batch, via)?;
    let (wrap, scalar) = wrap(batch, single, &found)?;
    Ok(Reply { more: more(via, &elements.path), items: elements.path, shape, item, status, missing, wrap, scalar })
}

fn elements(batch: &BatchConfig, via: &MethodDescriptor) -> Result<Elements, String> {
    let (output, streams) = (via.output(), via.is_server_streaming());
    let Some(name) = &batch.items else {
        if !streams {
            return Err(format!("items: name the repeated field of `{}` that holds the items", output.full_name()));
        }
        let (path, name) = (vec![STREAMED], output.full_name().to_owned());
        return Ok(Elements { path, name, kind: Kind::Message(output), key: None, field: None });
    };
    let (mut path, field) = repeated(&output, name, "items")?;
    if streams {
        path.insert(0, STREAMED);
    }
    let name = field.full_name().to_owned();
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let key = Some(scalar(&key.kind(), &key, "items")?);
        return Ok(Elements { path, name, kind: value.kind(), key, field: Some(value) });
    }
    Ok(Elements { path, name, kind: field.kind(), key: None, field: Some(field) })
}

fn shape(batch: &BatchConfig, elements: &Elements, key: &[KeyPath]) -> Result<Shape, String> {
    match (&batch.item_key, elements.key, &elements.kind) {
        (Some(_), Some(_), _) => Err(format!("item-key: `{}` is a map, whose keys are known", elements.name)),
        (None, Some(kind), _) => Ok(Shape::Map(kind)),
        (None, None, _) => Ok(Shape::Aligned),
        (Some(names), None, Kind::Message(element)) => {
            let found: Vec<_> = paths(element, names, "item-key")?.into_iter().map(|(path, _)| path).collect();
            if found.len() != key.len() {
                return Err(format!("item-key: has {} parts, but `key` has {}", found.len(), key.len()));
            }
            Ok(Shape::Keyed(found))
        }
        (Some(_), None, _) => Err(format!(
            "item-key: the elements of `{}` are no messages, so they hold no key; without it they stand in the order of the keys",
            elements.name
        )),
    }
}

/// Where the item stands in an element, and what it is.
fn item(batch: &BatchConfig, elements: &Elements) -> Result<(Vec<u32>, Item), String> {
    match (&batch.item, &elements.kind, &elements.field) {
        (None, Kind::Message(element), _) => Ok((Vec::new(), Item::Message(element.clone()))),
        (None, _, Some(field)) => Ok((Vec::new(), Item::Scalar(field.clone()))),
        (Some(name), Kind::Message(element), _) => {
            let (mut path, found) = follow(element, name, "item")?;
            path.push(found.number());
            match found.kind() {
                _ if found.is_list() || found.is_map() => {
                    Err(format!("item: `{}` is repeated; an item is one value", found.full_name()))
                }
                Kind::Message(inner) => Ok((path, Item::Message(inner))),
                _ if path.len() == 1 => Ok((path, Item::Scalar(found))),
                // Nobody could tell a message that is left out from one that holds zero.
                _ => Err(format!(
                    "item: `{}` is no message; one that is stands in the element itself",
                    found.full_name()
                )),
            }
        }
        _ => Err(format!("item: the elements of `{}` are no messages, so they hold nothing", elements.name)),
    }
}

/// Where a list that is cut into pages says that there is another one (<https://google.aip.dev/158>): beside the list, or in the
/// outermost message. A stream ends where there is no more.
fn more(via: &MethodDescriptor, items: &[u32]) -> Option<Vec<u32>> {
    if via.is_server_streaming() {
        return None;
    }
    let token = |message: &MessageDescriptor| {
        let token = message.get_field_by_name("next_page_token")?;
        (token.kind() == Kind::String && !token.is_list()).then(|| token.number())
    };
    let around = items.split_last().map_or(&[][..], |(_, around)| around);
    let mut holder = via.output();
    for number in around {
        let Kind::Message(inner) = holder.get_field(*number)?.kind() else { return None };
        holder = inner;
    }
    let beside = token(&holder).map(|number| around.iter().copied().chain([number]).collect());
    beside.or_else(|| token(&via.output()).map(|number| vec![number]))
}

fn status_path(element: &MessageDescriptor, name: &str) -> Result<Vec<u32>, String> {
    let (mut path, found) = follow(element, name, "status")?;
    path.push(found.number());
    match found.kind() {
        Kind::Message(message) if message.full_name() == "google.rpc.Status" && !found.is_list() => Ok(path),
        _ => Err(format!("status: `{}` is no google.rpc.Status", found.full_name())),
    }
}

fn missing(batch: &BatchConfig, via: &MethodDescriptor) -> Result<weft_wire::Missing, String> {
    let Some(name) = &batch.missing_list else {
        return Ok(match batch.missing {
            Missing::Omitted => weft_wire::Missing::Omitted,
            Missing::Empty => weft_wire::Missing::Empty,
            Missing::Fails => weft_wire::Missing::Never,
        });
    };
    let (mut path, list) = repeated(&via.output(), name, "missing-list")?;
    match (via.is_server_streaming(), &batch.items) {
        (true, None) => {
            return Err("missing-list: each message of the stream is an item, which lists nothing".to_owned());
        }
        (true, Some(_)) => path.insert(0, STREAMED),
        (false, _) => {}
    }
    Ok(weft_wire::Missing::Listed(key_list((path, &list), &batch.key, "missing-list")?))
}

/// The single reply is the item, or holds it in `wrap`; anything else can't be put together.
fn wrap(batch: &BatchConfig, single: &MethodDescriptor, item: &Item) -> Result<(Option<u32>, Option<Scalar>), String> {
    let output = single.output();
    let Some(name) = &batch.wrap else {
        if matches!(item, Item::Message(item) if *item == output) {
            return Ok((None, None));
        }
        let holders: Vec<_> = output.fields().filter(|f| holds(f, item)).map(|f| f.name().to_owned()).collect();
        let hint = if holders.is_empty() {
            String::new()
        } else {
            format!("; if it holds the item, set wrap = \"{}\"", holders.join("\" or \""))
        };
        return Err(format!(
            "items: `{}` replies with `{}`, but the items are {}{hint}",
            single.name(),
            output.full_name(),
            described(item)
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
    if !holds(&holder, item) {
        return Err(format!("wrap: `{}` does not hold the items, which are {}", holder.full_name(), described(item)));
    }
    let scalar = match item {
        Item::Message(_) => None,
        Item::Scalar(field) => Some(Scalar {
            encoding: encoding(&field.kind()),
            absent_is_zero: !field.supports_presence(),
            zero_is_written: holder.supports_presence(),
        }),
    };
    Ok((Some(holder.number()), scalar))
}

/// Whether the field is of the item's own type.
fn holds(holder: &FieldDescriptor, item: &Item) -> bool {
    let same = match (item, holder.kind()) {
        (Item::Message(item), Kind::Message(message)) => message == *item,
        (Item::Message(_), _) => false,
        (Item::Scalar(field), kind) => field.kind() == kind,
    };
    same && !holder.is_list() && !holder.is_map()
}

fn described(item: &Item) -> String {
    match item {
        Item::Message(message) => format!("`{}`", message.full_name()),
        Item::Scalar(field) => format!("values of type `{:?}`", field.kind()).to_lowercase(),
    }
}

fn encoding(kind: &Kind) -> Encoding {
    match kind {
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => Encoding::I64,
        Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => Encoding::I32,
        Kind::String | Kind::Bytes | Kind::Message(_) => Encoding::Len,
        _ => Encoding::Varint,
    }
}

/// Fields that may have something to say where `holder` has: all others, but for those of its own oneof.
pub(super) fn beside(message: &MessageDescriptor, holder: &FieldDescriptor) -> Vec<String> {
    let oneof = holder.containing_oneof();
    let is_beside = |field: &FieldDescriptor| {
        field.number() != holder.number() && (oneof.is_none() || field.containing_oneof() != oneof)
    };
    message.fields().filter(is_beside).map(|field| field.name().to_owned()).collect()
}
