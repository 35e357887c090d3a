//! The wire codec: what merges and splits messages without decoding them.

use crate::input::Input;
use bytes::Bytes;
use std::collections::HashSet;
use weft_wire::{Fields, Item, KeyList, KeyPath, KeyValue, Kind, Missing, Reply, Request, Rule, Shape, Spec};

/// Any rule, requests and reply: nothing panics, a batch keeps the length that was foretold, and each key gets one answer.
pub fn batch(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let Ok(rule) = Rule::new(input.spec()) else { return false };
    let mut rest = None;
    let mut keys: Vec<KeyValue> = Vec::new();
    for _ in 0..input.below(6) {
        let request = Bytes::copy_from_slice(input.chunk());
        let Ok(single) = rule.split_request(&request) else { continue };
        assert_eq!(rule.split_request(&request).as_ref(), Ok(&single), "the same request is split in the same way");
        // Only requests with equal rests share a batch; duplicates take one place.
        if rest.get_or_insert_with(|| single.rest.clone()) == &single.rest && !keys.contains(&single.key) {
            keys.push(single.key);
        }
    }
    let rest = rest.unwrap_or_default();
    let merged = rule.merge(&rest, &keys);
    let foretold = keys.iter().map(|key| rule.key_len(&rest, key)).sum::<usize>() + rule.base_len(&rest);
    assert!(merged.len() <= foretold && (keys.is_empty() || foretold <= merged.len() + 4 * Input::MOST_DEPTH));
    for reply in [Bytes::copy_from_slice(input.rest()), merged] {
        if let Ok(items) = rule.split_reply(&reply, &keys) {
            assert_eq!(items.len(), keys.len());
        }
    }
    !keys.is_empty()
}

/// A backend that answers as it should, in any order and with anything in its items: everybody gets what is theirs.
pub fn answers(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let id = || vec![KeyPath { path: vec![1], kind: Kind::Uint32 }];
    let keyed = input.below(2) == 0;
    let spec = Spec {
        key: id(),
        key_required: false,
        request: Request::Keys { keys: KeyList::Scalars { field: vec![1], kind: Kind::Uint32 }, carry: vec![] },
        reply: Reply {
            items: vec![1],
            shape: if keyed { Shape::Keyed(id()) } else { Shape::Aligned },
            item: vec![],
            status: None,
            missing: if keyed { Missing::Omitted } else { Missing::Never },
            wrap: None,
            scalar: None,
            more: None,
        },
    };
    let Ok(rule) = Rule::new(spec) else { return false };
    // Ids below 128 and payloads below 120 bytes, so that each takes one byte on the wire.
    let mut asked = HashSet::new();
    let (mut keys, mut expected, mut elements) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..input.below(20) {
        let (id, has_item, payload) = (input.below(128) as u8, !keyed || input.below(4) > 0, input.chunk());
        let Ok(single) = rule.split_request(&Bytes::copy_from_slice(&[0x08, id])) else { continue };
        if !asked.insert(id) {
            continue;
        }
        keys.push(single.key);
        let payload = &payload[..payload.len().min(110)];
        let item = [&[0x08, id, 0x12, payload.len() as u8], payload].concat();
        if has_item {
            elements.push([&[0x0a, item.len() as u8], &item[..]].concat());
        }
        expected.push(if has_item { Item::Found(item.into()) } else { Item::Missing });
    }
    if keyed && !elements.is_empty() {
        let middle = input.below(elements.len());
        elements.rotate_left(middle);
    }
    let found = rule.split_reply(&elements.concat().into(), &keys);
    assert_eq!(found.as_ref(), Ok(&expected));
    !keys.is_empty()
}

/// Any fields of any message, read as text: as many as were asked for, or none.
pub fn fields(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let paths: Vec<KeyPath> = (0..input.below(4)).map(|_| input.path(None)).collect();
    let Ok(fields) = Fields::new(&paths) else { return false };
    if let Ok(values) = fields.read(input.rest()) {
        assert_eq!(values.len(), paths.len());
    }
    true
}
