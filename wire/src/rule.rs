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
        /// The path to the repeated field.
        field: Vec<u32>,
    },
}

/// A list of keys in a message, or in a message inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyList {
    /// `repeated K keys`, for keys of one part. Numbers are written packed, and read packed or not.
    Scalars {
        /// The path to the repeated field.
        field: Vec<u32>,
        /// Its type.
        kind: Kind,
    },
    /// `repeated Key keys`: messages with the key's parts, in the order of [`Spec::key`], at these paths.
    Messages {
        /// The path to the repeated field.
        field: Vec<u32>,
        /// One path for each part.
        paths: Vec<KeyPath>,
    },
}

/// How the batch reply answers each key: a repeated field or map whose elements are, or hold, an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The path to the repeated field or map. A message on the way may be repeated too, as those of a stream are.
    pub items: Vec<u32>,
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
    /// Where an item is no message, what it is. It needs a [`Reply::wrap`] of the same type.
    pub scalar: Option<Scalar>,
    /// The field of the batch reply that is not empty where it goes on elsewhere (`next_page_token`). What such a reply leaves out
    /// is [`Item::Elsewhere`](crate::Item::Elsewhere), not missing.
    pub more: Option<Vec<u32>>,
}

/// An item that is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scalar {
    /// How its type is encoded.
    pub encoding: Encoding,
    /// Whether an element that leaves it out says zero, as where its field has no presence. An entry of a map always does.
    pub absent_is_zero: bool,
    /// Whether a single reply says zero by writing it, as where its field has presence.
    pub zero_is_written: bool,
}

/// The wire types of scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "protobuf's own names")]
pub enum Encoding {
    Varint,
    I64,
    Len,
    I32,
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
    /// A scalar can't be a reply, which is a message.
    #[error("an item that is no message needs a field of the single reply")]
    Unwrapped,
    /// Elements that only their place tells apart can't be left out.
    #[error("an aligned reply can't leave items out")]
    AlignedMissing,
}

/// A [`Spec`] that was checked and made ready.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) key: Layout,
    pub(crate) key_required: bool,
    /// Of each part of the key that a string holds in decimal: the numbers that it can be in all places.
    pub(crate) decimals: Vec<Option<(i128, i128)>>,
    pub(crate) merger: Merger,
    pub(crate) splitter: Splitter,
}

impl Rule {
    /// Checks `spec` in itself: paths and numbers are valid, no field stands for two things, and keys have the same parts and
    /// kinds that agree wherever they stand.
    pub fn new(mut spec: Spec) -> Result<Self, BadRule> {
        let decimals = spec.find_decimals();
        let key = Layout::new(&spec.key)?;
        Ok(Self {
            key_required: spec.key_required,
            decimals,
            merger: Merger::new(spec.request, &key)?,
            splitter: Splitter::new(spec.reply, &key)?,
            key,
        })
    }
}

impl Spec {
    /// Where a part of the key is a number in one place and a string in another, the string holds the number in decimal.
    fn find_decimals(&mut self) -> Vec<Option<(i128, i128)>> {
        let parts = self.key.len();
        let mut found = Vec::with_capacity(parts);
        for part in 0..parts {
            let mut kinds = self.kinds_of(part);
            let is_decimal = kinds.iter().any(|kind| matches!(**kind, Kind::String | Kind::Decimal))
                && kinds.iter().any(|kind| kind.is_number());
            if is_decimal {
                kinds.iter_mut().filter(|kind| ***kind == Kind::String).for_each(|kind| **kind = Kind::Decimal);
            }
            let ranges = kinds.iter().map(|kind| kind.range());
            let range =
                ranges.reduce(|(low, high), (other_low, other_high)| (low.max(other_low), high.min(other_high)));
            found.push(range.filter(|_| self.key.get(part).is_some_and(|path| path.kind == Kind::Decimal)));
        }
        found
    }

    /// The kind of a part of the key, wherever it stands.
    fn kinds_of(&mut self, part: usize) -> Vec<&mut Kind> {
        let mut kinds: Vec<&mut Kind> = self.key.get_mut(part).map(|path| &mut path.kind).into_iter().collect();
        if let Request::Keys { keys, .. } = &mut self.request {
            kinds.extend(keys.kind_of(part));
        }
        kinds.extend(match &mut self.reply.shape {
            Shape::Keyed(paths) => paths.get_mut(part).map(|path| &mut path.kind),
            Shape::Map(kind) => Some(kind).filter(|_| part == 0),
            Shape::Aligned => None,
        });
        if let Missing::Listed(list) = &mut self.reply.missing {
            kinds.extend(list.kind_of(part));
        }
        kinds
    }
}

impl KeyList {
    fn kind_of(&mut self, part: usize) -> Option<&mut Kind> {
        match self {
            Self::Scalars { kind, .. } => Some(kind).filter(|_| part == 0),
            Self::Messages { paths, .. } => paths.get_mut(part).map(|path| &mut path.kind),
        }
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
