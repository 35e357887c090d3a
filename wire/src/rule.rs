//! What a batch rule says, in field numbers, and its check.

use crate::{
    key::Kind,
    layout::{KeyPath, Layout},
    reply::Splitter,
    request::Merger,
};

/// How single calls of one method become one call of its coarse-grained method, and back.
///
/// Field numbers and kinds come from the methods' descriptors; that they are true is the caller's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Where the key stands in the single request; several paths make a composite key.
    pub key: Vec<KeyPath>,
    /// Whether a request that leaves out a part of the key is sent alone; otherwise that part is zero. To be set where the two
    /// differ: for fields that track presence (`optional`, `oneof`, proto2) and those in nested messages.
    pub key_required: bool,
    /// What the batch request looks like.
    pub request: Request,
    /// What the batch reply looks like.
    pub reply: Reply,
}

/// How the batch request carries single requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A list of keys, and beside it what the single requests have in common.
    Keys {
        /// Where the keys go.
        keys: KeyList,
        /// The other fields of the single request that the batch request has too, of the same type: (number there, number
        /// here). A single request with any further field is sent alone.
        carry: Vec<(u32, u32)>,
    },
    /// `repeated GetXRequest requests`: the single requests themselves (AIP-231).
    Requests {
        /// The repeated field.
        field: u32,
    },
}

/// A list of keys in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyList {
    /// `repeated K keys`, for keys of one part. Numbers are written packed, and read packed or not.
    Scalars {
        /// The repeated field.
        field: u32,
        /// Its type.
        kind: Kind,
    },
    /// `repeated Key keys`: messages with the key's parts, in the order of [`Spec::key`], at these paths.
    Messages {
        /// The repeated field.
        field: u32,
        /// One path for each part.
        paths: Vec<KeyPath>,
    },
}

/// How the batch reply answers each key: a repeated field or map whose elements are, or hold, an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The repeated field or map.
    pub items: u32,
    /// Which element answers which key.
    pub shape: Shape,
    /// Where the item stands in an element, if that is a wrapper such as
    /// `message Result { oneof { Item item = 1; google.rpc.Status error = 2; } }`. Empty: the element is the item.
    pub item: Vec<u32>,
    /// Where a `google.rpc.Status` for one item stands in an element; one whose code isn't 0 fails that item alone.
    pub status: Option<Vec<u32>>,
    /// How the reply says that there is no such item.
    pub missing: Missing,
    /// The field of the single reply that holds the item; `None`: the single reply is the item.
    pub wrap: Option<u32>,
    /// The field of the batch reply that is not empty where it goes on elsewhere (`next_page_token`). What such a reply leaves out
    /// is [`Item::Elsewhere`](crate::Item::Elsewhere), not missing.
    pub more: Option<u32>,
}

/// Which element of the reply answers which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// The nth element answers the nth key. Where elements carry their key, [`Shape::Keyed`] is safer.
    Aligned,
    /// Elements carry their key, its parts in the order of [`Spec::key`] at these paths, and stand in any order. Elements with
    /// keys that were not asked for are ignored.
    Keyed(Vec<KeyPath>),
    /// `map<K, V>` with this `K`, for keys of one part. The elements that [`Reply::item`] and [`Reply::status`] speak of are the
    /// values.
    Map(Kind),
}

/// How a reply says that an item doesn't exist. A reply that leaves a key unanswered in any other way is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It can't: the method fails as a whole, or gives each item a status.
    Never,
    /// There is no element for the key, or an element without an item at [`Reply::item`].
    Omitted,
    /// The item is empty, or the element has none at [`Reply::item`].
    Empty,
    /// The key is in this list of the reply.
    Listed(KeyList),
}

/// Why a [`Spec`] is no rule. Numbers are field numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// See [`MAX_PARTS`](crate::MAX_PARTS).
    #[error("a key has between 1 and {} parts", crate::MAX_PARTS)]
    Parts,
    /// See [`MAX_DEPTH`](crate::MAX_DEPTH).
    #[error("a path has between 1 and {} fields", crate::MAX_DEPTH)]
    Path,
    /// Protobuf has no such field number.
    #[error("{0} is no field number")]
    Number(u32),
    /// Two things that can't stand in one field.
    #[error("field {0} stands for two things")]
    Overlap(u32),
    /// The places that hold a key disagree about how many parts it has.
    #[error("the single request's key has {key} parts, here it has {here}")]
    Arity {
        /// Parts of [`Spec::key`].
        key: usize,
        /// Parts here.
        here: usize,
    },
    /// Not every key could be written so, or none could ever be found so.
    #[error("a key of kind {key:?} can't be one of kind {here:?}")]
    Kind {
        /// The kind in [`Spec::key`].
        key: Kind,
        /// The kind here.
        here: Kind,
    },
    /// Elements that only their place tells apart can't be left out.
    #[error("an aligned reply can't leave items out")]
    AlignedMissing,
}

/// A [`Spec`] that was checked and made ready.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) key: Layout,
    pub(crate) key_required: bool,
    pub(crate) merger: Merger,
    pub(crate) splitter: Splitter,
}

impl Rule {
    /// Checks `spec` in itself: paths and numbers are valid, no field stands for two things, and keys have the same parts and
    /// kinds that agree wherever they stand.
    pub fn new(spec: Spec) -> Result<Self, BadRule> {
        let key = Layout::new(&spec.key)?;
        Ok(Self {
            key_required: spec.key_required,
            merger: Merger::new(spec.request, &key)?,
            splitter: Splitter::new(spec.reply, &key)?,
            key,
        })
    }
}

/// Refuses a place for keys with `here` kinds unless `agree`s with those of the single request's `key`.
pub(crate) fn check_kinds(key: &Layout, here: &[Kind], agrees: fn(Kind, Kind) -> bool) -> Result<(), BadRule> {
    let kinds = key.kinds();
    if kinds.len() != here.len() {
        return Err(BadRule::Arity { key: kinds.len(), here: here.len() });
    }
    match kinds.iter().zip(here).find(|(key, here)| !agrees(**key, **here)) {
        Some((&key, &here)) => Err(BadRule::Kind { key, here }),
        None => Ok(()),
    }
}
