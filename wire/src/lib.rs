//! Batching of unary calls on the protobuf wire: many single requests become one batch request, and its reply becomes
//! many single replies, without decoding a single item.
//!
//! A [`Spec`] says by field numbers how a single method relates to its coarse-grained one; [`Rule::new`] checks it once.
//! Then, for each batch:
//!
//! 1. [`Rule::split_request`] takes the key out of a single request. What is left is the *rest*: only requests with equal
//!    rests may share a batch.
//! 2. [`Rule::merge`] writes the batch request of one rest and many keys. [`Rule::base_len`] and [`Rule::key_len`] tell its
//!    length beforehand, for those who cut batches at a byte bound.
//! 3. [`Rule::split_reply`] gives one [`Item`] for each key.
//!
//! ```
//! use bytes::Bytes;
//! use weft_wire::*;
//!
//! // GetFilm({ id = 1 }) → Film { id = 1, … };   BatchGetFilms({ ids = 1 }) → { films = 1 }
//! let id = || vec![KeyPath { path: vec![1], kind: Kind::Uint32 }];
//! let rule = Rule::new(Spec {
//!     key: id(),
//!     key_required: false,
//!     request: Request::Keys { keys: KeyList::Scalars { field: vec![1], kind: Kind::Uint32 }, carry: vec![] },
//!     reply: Reply { items: vec![1], shape: Shape::Keyed(id()), item: vec![], status: None, missing: Missing::Omitted, wrap: None, scalar: None, more: None },
//! })?;
//!
//! let seven = rule.split_request(&Bytes::from_static(b"\x08\x07"))?;
//! let nine = rule.split_request(&Bytes::from_static(b"\x08\x09"))?;
//! assert_eq!(seven.rest, nine.rest);
//!
//! let keys = [seven.key, nine.key];
//! assert_eq!(rule.merge(&seven.rest, &keys), b"\x0a\x02\x07\x09"[..]);
//!
//! let items = rule.split_reply(&Bytes::from_static(b"\x0a\x02\x08\x09"), &keys)?;
//! assert_eq!(items, [Item::Missing, Item::Found(Bytes::from_static(b"\x08\x09"))]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What protobuf's encoding rules ask of a reader that sees only part of a message is kept: fields stand in any order, the
//! last occurrence of a scalar wins, occurrences of a message concatenate, a key that is left out is zero, lists of numbers
//! are read packed and unpacked, groups are skipped. Message fields that an edition encodes as groups
//! (`message_encoding = DELIMITED`) can't be keys or items.
//!
//! Every function is total: no input makes it panic, and its time and memory are linear in the input.
//!
//! The modules, in reading order: `rule` (the shapes and their check), `request`, `reply`, `element` (what one element of a
//! reply says); below them `list` (lists of keys), `route` (where lists stand in a message), `layout` (where keys stand in a message), `key` (keys as values) and `field`
//! (the wire format itself). Beside them `read` (fields as text).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod element;
mod field;
mod key;
mod layout;
mod list;
mod read;
mod reply;
mod request;
mod route;
mod rule;

pub use field::Malformed;
pub use key::{KeyValue, Kind};
pub use layout::{KeyPath, MAX_DEPTH, MAX_PARTS};
pub use read::Fields;
pub use reply::{BadReply, Failure, Item};
pub use request::{Alone, Single};
pub use rule::{BadRule, Encoding, KeyList, Missing, Reply, Request, Rule, Scalar, Shape, Spec};
