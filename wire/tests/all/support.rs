//! Rules to begin with, and bytes by hand.

use bytes::Bytes;
use weft_wire::{KeyList, KeyPath, KeyValue, Kind, Missing, Reply, Request, Rule, Shape, Spec};

pub(crate) fn path(path: &[u32], kind: Kind) -> KeyPath {
    KeyPath { path: path.to_vec(), kind }
}

/// `GetFilm { uint32 id = 1 }`, `BatchGetFilms { repeated uint32 ids = 1 }`, `{ repeated Film films = 1 }`, `Film { uint32 id = 1 }`;
/// films that don't exist are omitted.
pub(crate) fn films() -> Spec {
    Spec {
        key: vec![path(&[1], Kind::Uint32)],
        key_required: false,
        request: Request::Keys { keys: scalars(1, Kind::Uint32), carry: vec![] },
        reply: Reply {
            items: vec![1],
            shape: Shape::Keyed(vec![path(&[1], Kind::Uint32)]),
            item: vec![],
            status: None,
            missing: Missing::Omitted,
            wrap: None,
            scalar: None,
            more: None,
        },
    }
}

pub(crate) fn films_with(change: impl FnOnce(&mut Spec)) -> Rule {
    let mut spec = films();
    change(&mut spec);
    Rule::new(spec).unwrap()
}

pub(crate) fn scalars(field: u32, kind: Kind) -> KeyList {
    KeyList::Scalars { field: vec![field], kind }
}

/// The keys of requests `{ uint32 id = 1 }`, ids below 128.
pub(crate) fn ids(rule: &Rule, ids: &[u8]) -> Vec<KeyValue> {
    ids.iter().map(|id| rule.split_request(&Bytes::copy_from_slice(&[0x08, *id])).unwrap().key).collect()
}

/// A length-delimited field; number below 16, payload below 128 bytes.
pub(crate) fn len(number: u8, payload: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, payload.len() as u8], payload].concat()
}

/// A varint field; number below 16, value below 128.
pub(crate) fn int(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

pub(crate) fn message(fields: &[Vec<u8>]) -> Bytes {
    fields.concat().into()
}
