//! Replies of backends, made from their protos: plausible, the same for the same seed and request, and about what was asked.
//!
//! What a reply has in common with its request, by name and type, it repeats. A batch method answers one item for each key, which is what
//! its single method would answer. Lists have as many items as they are told to, with ids that differ; so a test can let one list grow and
//! see which calls grow with it.

mod batch;
mod encode;
mod given;
mod known;
mod make;

pub use batch::Batch;
pub use given::Given;

use super::dice::mixed;
use crate::model::{Code, Failure};
use bytes::Bytes;
use make::Maker;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use std::collections::{BTreeMap, BTreeSet};

/// A repeated field: the full name of its message, and its own name.
pub type ListField = (String, String);

/// How many items lists have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    usual: usize,
    of: BTreeMap<ListField, usize>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self::all(3)
    }
}

impl Sizes {
    /// So many in each list.
    pub fn all(usual: usize) -> Self {
        Self { usual, of: BTreeMap::new() }
    }

    /// In this one, so many.
    #[must_use]
    pub fn with(mut self, field: ListField, size: usize) -> Self {
        self.of.insert(field, size);
        self
    }

    fn of(&self, field: &FieldDescriptor) -> usize {
        let key = (field.parent_message().full_name().to_owned(), field.name().to_owned());
        self.of.get(&key).copied().unwrap_or(self.usual)
    }
}

/// What the methods of some protos answer.
#[derive(Debug, Clone)]
pub struct Replies {
    pool: DescriptorPool,
    seed: u64,
    sizes: Sizes,
    /// By method, in the order in which they are asked whether they are meant.
    given: BTreeMap<String, Vec<Given>>,
    /// By the method that takes many keys.
    batches: BTreeMap<String, Batch>,
}

impl Replies {
    /// Knows the batch methods that follow AIP-231; others are told of by [`Replies::batched`].
    pub fn new(pool: DescriptorPool, seed: u64) -> Self {
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let batches = methods.filter_map(|via| Some((name(&via), Batch::by_shape(&via)?))).collect();
        Self { pool, seed, sizes: Sizes::default(), given: BTreeMap::new(), batches }
    }

    #[must_use]
    pub fn sized(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// `via`, a method by its full name, answers many keys as the batch says.
    #[must_use]
    pub fn batched(mut self, via: &str, batch: Batch) -> Self {
        self.batches.insert(via.to_owned(), batch);
        self
    }

    /// The method answers this instead of what would be made; of several, the first that is meant for the request.
    #[must_use]
    pub fn given(mut self, method: &str, given: Given) -> Self {
        self.given.entry(method.to_owned()).or_default().push(given);
        self
    }

    /// The reply of `catalog.v1.Films/GetFilm`. Of a method that answers with a stream, its messages, each as field 1 of one message.
    pub fn reply(&self, method: &str, request: &[u8]) -> Result<Bytes, Failure> {
        let found = self.method(method).ok_or_else(|| {
            Failure::new(Code::Unimplemented, format!("no service of the plugin's protos has `{method}`"))
        })?;
        let request = DynamicMessage::decode(found.input(), request).map_err(|error| {
            Failure::new(Code::InvalidArgument, format!("the request is no `{}`: {error}", found.input().full_name()))
        })?;
        let messages = self.messages(&found, &request)?;
        if !found.is_server_streaming() {
            return Ok(messages.first().map(encode::message).unwrap_or_default().into());
        }
        Ok(encode::stream(&messages).into())
    }

    /// The repeated fields of what the method answers, however deep, but for those that have an item for each key that was asked for.
    pub fn lists(&self, method: &str) -> BTreeSet<ListField> {
        let mut lists = BTreeSet::new();
        if let Some(found) = self.method(method) {
            collect(&found.output(), &mut BTreeSet::new(), &mut lists);
            if let Some(batch) = self.batches.get(method) {
                lists.remove(&batch.answering(&found));
            }
        }
        lists
    }

    /// The descriptor of a method by its full name.
    pub fn method(&self, name: &str) -> Option<MethodDescriptor> {
        let (service, name) = name.split_once('/')?;
        self.pool.get_service_by_name(service)?.methods().find(|method| method.name() == name)
    }

    /// One; or, of a stream, all.
    fn messages(&self, method: &MethodDescriptor, request: &DynamicMessage) -> Result<Vec<DynamicMessage>, Failure> {
        let name = name(method);
        let given = self.given.get(&name).into_iter().flatten().find(|given| given.is_for(request));
        if let Some(given) = given {
            return given.messages();
        }
        if let Some(batch) = self.batches.get(&name) {
            return batch.answer(self, method, request);
        }
        let seed = mixed(mixed(self.seed, &name), &format!("{:?}", encode::message(request)));
        let mut maker = Maker::new(&self.sizes, request);
        if !method.is_server_streaming() {
            return Ok(vec![maker.reply(&method.output(), seed)]);
        }
        Ok((0..self.sizes.usual).map(|at| maker.item(&method.output(), seed, at)).collect())
    }

    /// What the single method of a batch answers; what is made for it where there is none.
    fn single(&self, method: &MethodDescriptor, request: &DynamicMessage) -> Result<DynamicMessage, Failure> {
        let messages = self.messages(method, request)?;
        Ok(messages.into_iter().next().unwrap_or_else(|| DynamicMessage::new(method.output())))
    }

    /// A message about a key.
    fn made(&self, of: &MessageDescriptor, method: &MethodDescriptor, key: &Value) -> DynamicMessage {
        let nothing = DynamicMessage::new(method.input());
        Maker::new(&self.sizes, &nothing).reply(of, mixed(mixed(self.seed, &name(method)), &format!("{key:?}")))
    }
}

/// `catalog.v1.Films/GetFilm`.
fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn collect(message: &MessageDescriptor, seen: &mut BTreeSet<String>, lists: &mut BTreeSet<ListField>) {
    if known::is_known(message) || !seen.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        if field.is_list() || field.is_map() {
            lists.insert((message.full_name().to_owned(), field.name().to_owned()));
        }
        let inner = match field.kind() {
            Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
            kind => kind,
        };
        if let Kind::Message(inner) = inner {
            collect(&inner, seen, lists);
        }
    }
}

#[cfg(test)]
mod tests;
