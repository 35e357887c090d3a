//! Bytes that nobody meant: no panic, and wherever prost reads a meaning, the same meaning.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use prost::Message;
use weft_wire::{Alone, Item, KeyList, KeyValue, Kind, Missing, Request, Rule, Shape, Spec};

use crate::support::{films_with, ids, int, len, message, path, scalars};

/// Rules that between them reach every shape and kind.
fn rules() -> Vec<Rule> {
    let composite = || vec![path(&[1, 1], Kind::String), path(&[1, 2], Kind::Sint32), path(&[2], Kind::Fixed64)];
    let results = |spec: &mut Spec| {
        (spec.reply.shape, spec.reply.missing) = (Shape::Aligned, Missing::Omitted);
        (spec.reply.item, spec.reply.status) = (vec![1, 1], Some(vec![2]));
    };
    vec![
        films_with(|_| {}),
        films_with(|spec| spec.reply.missing = Missing::Listed(scalars(2, Kind::Uint32))),
        films_with(|spec| (spec.reply.shape, spec.reply.wrap) = (Shape::Map(Kind::Uint32), Some(3))),
        films_with(results),
        films_with(|spec| {
            results(spec);
            (spec.reply.shape, spec.request) = (Shape::Aligned, Request::Requests { field: vec![1] });
            (spec.reply.missing, spec.key_required) = (Missing::Empty, true);
        }),
        films_with(|spec| {
            spec.key = composite();
            let keys = KeyList::Messages { field: vec![3], paths: composite() };
            spec.reply.missing = Missing::Listed(KeyList::Messages { field: vec![2], paths: composite() });
            spec.request = Request::Keys { keys, carry: vec![(3, 1), (4, 4)] };
            spec.reply.shape = Shape::Keyed(composite());
        }),
    ]
}

/// A field of any number and wire type, often well formed, numbers and lengths often small.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || vec(prop_oneof![0..4u8, any::<u8>()], 0..6);
    let leaf = prop_oneof![
        4 => (1..5u8, 0..4u8).prop_map(|(number, value)| int(number, value)),
        4 => (1..5u8, bytes()).prop_map(|(number, payload)| len(number, &payload)),
        1 => (1..5u8, any::<[u8; 8]>()).prop_map(|(number, value)| [&[number << 3 | 1], &value[..]].concat()),
        1 => (1..5u8, any::<[u8; 4]>()).prop_map(|(number, value)| [&[number << 3 | 5], &value[..]].concat()),
        1 => (1..5u8, vec(any::<u8>(), 1..11)).prop_map(|(number, varint)| [&[number << 3], &varint[..]].concat()),
        1 => bytes(),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = || vec(inner.clone(), 0..4).prop_map(|fields| fields.concat());
        prop_oneof![
            4 => (1..5u8, fields()).prop_map(|(number, inner)| len(number, inner.get(..127).unwrap_or(&inner))),
            1 => (1..5u8, fields()).prop_map(|(number, inner)| [&[number << 3 | 3], &inner[..], &[number << 3 | 4]].concat()),
        ]
    })
}

/// A film, or what was meant to be one.
fn film() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(field(), 0..4).prop_map(|fields| fields.concat()), (0..4u8).prop_map(|id| int(1, id))]
}

fn soup() -> impl Strategy<Value = Bytes> {
    vec(field(), 0..8).prop_map(|fields| message(&fields))
}

/// `GetFilm` as [`films`](crate::support::films) has it, with fields to carry.
#[derive(Clone, PartialEq, Message)]
struct Single {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(bytes = "vec", tag = "2")]
    token: Vec<u8>,
    #[prost(uint64, repeated, tag = "3")]
    views: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(uint32, repeated, tag = "1")]
    ids: Vec<u32>,
    #[prost(bytes = "vec", tag = "12")]
    token: Vec<u8>,
    #[prost(uint64, repeated, tag = "3")]
    views: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Film {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(bytes = "vec", tag = "2")]
    title: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Films {
    #[prost(message, repeated, tag = "1")]
    films: Vec<Film>,
}

fn any_keys(rule: &Rule) -> Vec<KeyValue> {
    let requests = (0..4u8).map(|id| [int(1, id), vec![]].concat());
    let nested = (0..4u8)
        .map(|id| [len(1, &[len(1, &[b'a'; 2]), int(2, id)].concat()), vec![0x11, id, 0, 0, 0, 0, 0, 0, 0]].concat());
    requests
        .chain(nested)
        .filter_map(|request| rule.split_request(&request.into()).ok())
        .map(|single| single.key)
        .collect()
}

/// Everything that a rule does, with bytes that nobody meant.
fn exercise(rule: &Rule, bytes: &Bytes) {
    let keys = any_keys(rule);
    assert!(!keys.is_empty());
    if let Ok(items) = rule.split_reply(bytes, &keys) {
        assert_eq!(items.len(), keys.len());
    }
    if let Ok(single) = rule.split_request(bytes) {
        let batch = rule.merge(&single.rest, &keys);
        let bound = keys.iter().map(|key| rule.key_len(&single.rest, key)).sum::<usize>() + rule.base_len(&single.rest);
        assert!(batch.len() <= bound && bound <= batch.len() + 4);
        let again = rule.split_reply(&batch, &[single.key]);
        assert!(again.is_err() || again.is_ok_and(|items| items.len() == 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..64)) {
        rules().iter().for_each(|rule| exercise(rule, &Bytes::from(bytes.clone())));
    }

    #[test]
    fn any_fields(bytes in soup()) {
        rules().iter().for_each(|rule| exercise(rule, &bytes));
    }

    #[test]
    fn a_reply_with_one_bit_off_or_cut_short(
        ids in vec(0..4u32, 0..6), place in any::<prop::sample::Index>(), bit in 0..8u8, cut in any::<bool>(),
    ) {
        let film = |id| Film { id, title: b"title".to_vec() };
        let mut reply = Films { films: ids.into_iter().map(film).collect() }.encode_to_vec();
        if !reply.is_empty() {
            let place = place.index(reply.len());
            if cut { reply.truncate(place) } else { reply[place] ^= 1 << bit }
        }
        rules().iter().for_each(|rule| exercise(rule, &Bytes::from(reply.clone())));
    }

    #[test]
    fn keys_of_another_rule(bytes in soup()) {
        for (one, other) in rules().iter().zip(rules().iter().skip(1)) {
            let keys = any_keys(other);
            one.merge(&bytes, &keys);
            let _ = one.split_reply(&bytes, &keys);
        }
    }

    /// Where prost reads a single request, the batch asks the same of the backend.
    #[test]
    fn a_request_means_what_prost_reads(bytes in soup()) {
        let rule = films_with(|spec| {
            spec.request = Request::Keys { keys: scalars(1, Kind::Uint32), carry: vec![(2, 12), (3, 3)] };
        });
        let split = rule.split_request(&bytes);
        match (Single::decode(bytes), split) {
            (Ok(meant), Ok(single)) => {
                let batch = Batch::decode(rule.merge(&single.rest, &[single.key])).unwrap();
                prop_assert_eq!(batch, Batch { ids: vec![meant.id], token: meant.token, views: meant.views });
            }
            (Ok(_), Err(error)) => prop_assert!(matches!(error, Alone::Field(_)), "{error}"),
            (Err(_), _) => {}
        }
    }

    /// Where prost reads a batch reply, each key gets the film that stands there for it.
    #[test]
    fn a_reply_means_what_prost_reads(films in vec(film(), 0..4)) {
        let rule = films_with(|_| {});
        let keys = ids(&rule, &[0, 1, 2, 3]);
        let reply = message(&films.iter().map(|film| len(1, film.get(..127).unwrap_or(film))).collect::<Vec<_>>());
        let Ok(meant) = Films::decode(reply.clone()) else { return Ok(()) };
        match rule.split_reply(&reply, &keys) {
            Ok(items) => for (id, item) in (0..4).zip(items) {
                let expected = meant.films.iter().find(|film| film.id == id);
                match item {
                    Item::Found(film) => prop_assert_eq!(Some(&Film::decode(film).unwrap()), expected),
                    other => prop_assert!(other == Item::Missing && expected.is_none()),
                }
            },
            Err(error) => {
                let mut ids: Vec<_> = meant.films.iter().map(|film| film.id).collect();
                ids.sort_unstable();
                prop_assert!(ids.windows(2).any(|pair| pair[0] == pair[1]), "{error}");
            }
        }
    }
}
