//! Methods that answer many keys at once: each key with what the single method answers it with.

use super::{ListField, Replies};
use crate::{
    mocks::names,
    model::{Code, Failure},
};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, Value,
};
use std::collections::HashMap;

/// How the messages of a batch method hold keys and items. Names are those of the protos; a dot steps into a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The method of the same service that answers one key.
    pub single: Option<String>,
    /// The fields of the single request that are the key.
    pub key: Vec<String>,
    /// The repeated field of the request that has the keys.
    pub keys: String,
    /// The repeated field or map of the reply that takes the items; `None`: the messages of a stream are the items.
    pub items: Option<String>,
    /// The fields of an element that are its key; `None`: elements stand in the order of the keys, or in a map.
    pub item_key: Option<Vec<String>>,
    /// The field of an element that holds the item.
    pub item: Option<String>,
    /// The field of the single reply that holds the item.
    pub wrap: Option<String>,
}

impl Batch {
    /// Of a method after AIP-231, known by the shape of its messages: keys go in, and what comes out has them.
    pub(super) fn by_shape(via: &MethodDescriptor) -> Option<Self> {
        let (input, output) = (via.input(), via.output());
        let keys = input.fields().find(FieldDescriptor::is_list)?;
        let items = output.fields().find(|field| (field.is_list() || field.is_map()) && item_of(field).is_some())?;
        let item = item_of(&items)?;
        let names = ["id", "name", names::singular(keys.name())];
        let mut singles = via.parent_service().methods().filter(|method| is_single(method, via));
        let single = singles.find_map(|method| {
            let wrap = wrap(&method, &item)?;
            let key = method.input().fields().find(|field| match keys.kind() {
                Kind::Message(of) => of == method.input() && is_scalar(field),
                kind => is_scalar(field) && field.kind() == kind && names.contains(&field.name()),
            })?;
            Some((method, wrap, key))
        });
        let (single, wrap, key) = match single {
            Some((method, wrap, key)) => (Some(method.name().to_owned()), wrap, key.name().to_owned()),
            None if via.name().starts_with("Batch") || via.name().starts_with("Multi") => {
                (None, None, names::singular(keys.name()).to_owned())
            }
            None => return None,
        };
        let of_item = item.fields().find(|field| field.name() == key || (!items.is_map() && field.name() == names[2]));
        let item_key = of_item.filter(is_scalar).map(|field| vec![field.name().to_owned()]);
        if single.is_none() && item_key.is_none() && !items.is_map() {
            return None;
        }
        let (keys, items) = (keys.name().to_owned(), Some(items.name().to_owned()));
        Some(Self { single, key: vec![key], keys, items, item_key, item: None, wrap })
    }

    /// The field that has an item for each key.
    pub(super) fn answering(&self, via: &MethodDescriptor) -> ListField {
        let mut holder = via.output();
        let path = self.items.as_deref().unwrap_or_default();
        let (around, last) = path.rsplit_once('.').map_or(("", path), |(around, last)| (around, last));
        for part in around.split('.').filter(|part| !part.is_empty()) {
            match holder.get_field_by_name(part).map(|field| field.kind()) {
                Some(Kind::Message(inner)) => holder = inner,
                _ => break,
            }
        }
        (holder.full_name().to_owned(), last.to_owned())
    }

    /// The reply; of a stream, its messages. A key that nothing is known of is left out.
    pub(super) fn answer(
        &self,
        replies: &Replies,
        via: &MethodDescriptor,
        request: &DynamicMessage,
    ) -> Result<Vec<DynamicMessage>, Failure> {
        let service = via.parent_service();
        let single = self.single.as_ref().and_then(|name| service.methods().find(|method| method.name() == name));
        let mut answered = Vec::new();
        for key in walk(request, &self.keys).as_ref().and_then(Value::as_list).unwrap_or_default() {
            let values = self.values(key);
            let item = match &single {
                Some(single) => replies.single(single, &self.request(single, key, &values)),
                None => self.made(replies, via, key),
            };
            match item {
                Ok(reply) => {
                    let item = match &self.wrap {
                        Some(wrap) => walk(&reply, wrap),
                        None => Some(Value::Message(reply)),
                    };
                    answered.extend(item.map(|item| (values, item)));
                }
                Err(failure) if failure.code == Code::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(self.packed(via, answered))
    }

    /// An item for a key that no single method answers.
    fn made(&self, replies: &Replies, via: &MethodDescriptor, key: &Value) -> Result<DynamicMessage, Failure> {
        let elements = match &self.items {
            Some(path) => field_at(&via.output(), path).and_then(|field| item_of(&field)),
            None => Some(via.output()),
        };
        let of = match (elements, &self.item) {
            (Some(element), Some(path)) => field_at(&element, path).and_then(|field| item_of(&field)),
            (element, _) => element,
        };
        let of = of.ok_or_else(|| {
            let text =
                format!("what `{}` answers a key with is no message, and no method answers one key", via.full_name());
            Failure::new(Code::Unimplemented, text)
        })?;
        Ok(replies.made(&of, via, key))
    }

    /// The parts of a key, as they stand in a request.
    fn values(&self, key: &Value) -> Vec<Value> {
        match key {
            Value::Message(message) => self.key.iter().filter_map(|name| walk(message, name)).collect(),
            value => vec![value.clone()],
        }
    }

    fn request(&self, single: &MethodDescriptor, key: &Value, values: &[Value]) -> DynamicMessage {
        if let Value::Message(message) = key
            && message.descriptor() == single.input()
        {
            return message.clone();
        }
        let mut request = DynamicMessage::new(single.input());
        for (name, value) in self.key.iter().zip(values) {
            put(&mut request, name, value.clone());
        }
        request
    }

    fn packed(&self, via: &MethodDescriptor, answered: Vec<(Vec<Value>, Value)>) -> Vec<DynamicMessage> {
        let mut reply = DynamicMessage::new(via.output());
        let Some(path) = &self.items else {
            let elements = answered.into_iter().filter_map(|(key, item)| self.element(&via.output(), &key, item));
            return elements.filter_map(|element| element.as_message().cloned()).collect();
        };
        let Some(field) = field_at(&via.output(), path) else { return vec![reply] };
        let of = match field.kind() {
            Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
            kind => kind,
        };
        let elements = answered.into_iter().filter_map(|(key, item)| {
            let element = match &of {
                Kind::Message(of) => self.element(of, &key, item)?,
                _ => item,
            };
            Some((key, element))
        });
        let value = if field.is_map() {
            let entries =
                elements.filter_map(|(key, element)| Some((key.into_iter().next()?.into_map_key()?, element)));
            Value::Map(entries.collect::<HashMap<_, _>>())
        } else {
            Value::List(elements.map(|(_, element)| element).collect())
        };
        put(&mut reply, path, value);
        vec![reply]
    }

    /// The item, or what holds it, with its key.
    fn element(&self, of: &MessageDescriptor, key: &[Value], item: Value) -> Option<Value> {
        let mut element = match (&self.item, item) {
            (None, Value::Message(item)) => item,
            (None, item) => return Some(item),
            (Some(path), item) => {
                let mut element = DynamicMessage::new(of.clone());
                put(&mut element, path, item);
                element
            }
        };
        for (name, value) in self.item_key.iter().flatten().zip(key) {
            put(&mut element, name, value.clone());
        }
        Some(Value::Message(element))
    }
}

fn is_scalar(field: &FieldDescriptor) -> bool {
    !field.is_list() && !field.is_map() && !matches!(field.kind(), Kind::Message(_))
}

fn is_single(method: &MethodDescriptor, via: &MethodDescriptor) -> bool {
    method != via && !method.is_server_streaming() && !method.is_client_streaming() && method.name().starts_with("Get")
}

/// The message of a repeated field, or of a map's values.
fn item_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => match entry.map_entry_value_field().kind() {
            Kind::Message(of) => Some(of),
            _ => None,
        },
        Kind::Message(of) => Some(of),
        _ => None,
    }
}

/// Where the single reply has the item: in this field, or it is the item itself. `None` where it has none.
#[expect(clippy::option_option, reason = "not found, the reply itself, or a field of it")]
fn wrap(single: &MethodDescriptor, item: &MessageDescriptor) -> Option<Option<String>> {
    if single.output() == *item {
        return Some(None);
    }
    let output = single.output();
    let holder = output.fields().find(|field| {
        !field.is_list() && !field.is_map() && matches!(field.kind(), Kind::Message(of) if of == *item)
    })?;
    Some(Some(holder.name().to_owned()))
}

fn field_at(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => message.get_field_by_name(path),
        Some((first, rest)) => match message.get_field_by_name(first)?.kind() {
            Kind::Message(inner) => field_at(&inner, rest),
            _ => None,
        },
    }
}

fn walk(message: &DynamicMessage, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => message.get_field_by_name(path).map(std::borrow::Cow::into_owned),
        Some((first, rest)) => walk(message.get_field_by_name(first)?.as_message()?, rest),
    }
}

/// Sets the field at the end of the path. One that is not there, or of another type, takes nothing.
fn put(message: &mut DynamicMessage, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(message.try_set_field_by_name(path, value)),
        Some((first, rest)) => {
            if let Some(Value::Message(inner)) = message.get_field_by_name_mut(first) {
                put(inner, rest, value);
            }
        }
    }
}
