//! Each kind of key, there and back, against prost.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};
use prost::Message;
use weft_wire::{Item, Kind, Missing, Reply, Request, Rule, Shape, Spec};

use crate::support::{path, scalars};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Region {
    Unknown = 0,
    Europe = 1,
    Moon = -1,
}

/// Keys of one kind in every place where keys stand. Scalar and locale have other numbers in each message, so that nothing fits
/// by chance.
fn rule(kind: Kind) -> Rule {
    Rule::new(Spec {
        key: vec![path(&[2], kind)],
        key_required: false,
        request: Request::Keys { keys: scalars(3, kind), carry: vec![(1, 7)] },
        reply: Reply {
            items: vec![1],
            shape: Shape::Keyed(vec![path(&[6], kind)]),
            item: vec![],
            status: None,
            missing: Missing::Listed(scalars(2, kind)),
            wrap: None,
            scalar: None,
            more: None,
        },
    })
    .unwrap()
}

fn locale() -> impl Strategy<Value = String> {
    select(vec!["", "de", "en-GB"]).prop_map(str::to_owned)
}

/// `$one` and `$many` are prost's attributes for a field and a repeated field of the kind, `$values` makes values of it.
macro_rules! kinds {
    ($($name:ident: $kind:ident, $type:ty, ($($one:tt)*), ($($many:tt)*), $values:expr;)*) => {$(
        mod $name {
            use super::*;

            #[derive(Clone, PartialEq, Message)]
            struct Single {
                #[prost(string, tag = "1")]
                locale: String,
                #[prost($($one)*, tag = "2")]
                id: $type,
            }

            #[derive(Clone, PartialEq, Message)]
            struct Batch {
                #[prost($($many)*, tag = "3")]
                ids: Vec<$type>,
                #[prost(string, tag = "7")]
                locale: String,
            }

            #[derive(Clone, PartialEq, Message)]
            struct Film {
                #[prost(string, tag = "1")]
                title: String,
                #[prost($($one)*, tag = "6")]
                id: $type,
            }

            #[derive(Clone, PartialEq, Message)]
            struct Films {
                #[prost(message, repeated, tag = "1")]
                films: Vec<Film>,
                #[prost($($many)*, tag = "2")]
                missing: Vec<$type>,
            }

            proptest! {
                #[test]
                fn there_and_back(
                    ids in vec($values, 1..20),
                    locale in locale(),
                    order in any::<prop::sample::Index>(),
                    found in any::<u32>(),
                ) {
                    let mut ids: Vec<$type> = ids;
                    ids.sort();
                    ids.dedup();
                    let rule = rule(Kind::$kind);
                    let single = |id: &$type| Single { locale: locale.clone(), id: id.clone() }.encode_to_vec();
                    let singles: Vec<_> = ids.iter().map(|id| rule.split_request(&single(id).into()).unwrap()).collect();
                    let rest = singles[0].rest.clone();
                    prop_assert!(singles.iter().all(|single| single.rest == rest));

                    let keys: Vec<_> = singles.into_iter().map(|single| single.key).collect();
                    let batch = rule.merge(&rest, &keys);
                    let bound = rule.base_len(&rest) + keys.iter().map(|key| rule.key_len(&rest, key)).sum::<usize>();
                    prop_assert!(batch.len() <= bound && bound <= batch.len() + 4);
                    prop_assert_eq!(Batch::decode(batch).unwrap(), Batch { ids: ids.clone(), locale });

                    let title = |id: &$type| Film { title: format!("film {id:?}"), id: id.clone() };
                    let is_found = |place: usize| found & 1 << place != 0;
                    let mut reply = Films::default();
                    for (place, id) in ids.iter().enumerate() {
                        if is_found(place) { reply.films.push(title(id)) } else { reply.missing.push(id.clone()) }
                    }
                    let middle = order.index(reply.films.len() + 1);
                    reply.films.rotate_left(middle);
                    reply.missing.reverse();
                    let items = rule.split_reply(&reply.encode_to_vec().into(), &keys).unwrap();
                    for (place, (item, id)) in items.into_iter().zip(&ids).enumerate() {
                        match item {
                            Item::Found(film) => {
                                prop_assert!(is_found(place));
                                prop_assert_eq!(Film::decode(film).unwrap(), title(id));
                            }
                            other => prop_assert!(other == Item::Missing && !is_found(place)),
                        }
                    }
                }

                #[test]
                fn rests_are_equal_if_requests_are_but_for_the_key(
                    (a, b) in ($values, $values), same in any::<bool>(), locales in (locale(), locale()),
                ) {
                    let a = Single { locale: locales.0, id: a };
                    let b = Single { locale: locales.1, id: if same { a.id.clone() } else { b } };
                    let rule = rule(Kind::$kind);
                    let split = |single: &Single| rule.split_request(&single.encode_to_vec().into()).unwrap();
                    prop_assert_eq!(split(&a).key == split(&b).key, a.id == b.id);
                    prop_assert_eq!(split(&a).rest == split(&b).rest, a.locale == b.locale);
                }
            }
        }
    )*};
}

kinds! {
    int32: Int32, i32, (int32), (int32, repeated), prop_oneof![any::<i32>(), -2..2];
    int64: Int64, i64, (int64), (int64, repeated), prop_oneof![any::<i64>(), -2..2i64];
    uint32: Uint32, u32, (uint32), (uint32, repeated), prop_oneof![any::<u32>(), ..2u32];
    uint64: Uint64, u64, (uint64), (uint64, repeated), prop_oneof![any::<u64>(), ..2u64];
    sint32: Sint32, i32, (sint32), (sint32, repeated), prop_oneof![any::<i32>(), -2..2];
    sint64: Sint64, i64, (sint64), (sint64, repeated), prop_oneof![any::<i64>(), -2..2i64];
    fixed32: Fixed32, u32, (fixed32), (fixed32, repeated), prop_oneof![any::<u32>(), ..2u32];
    fixed64: Fixed64, u64, (fixed64), (fixed64, repeated), prop_oneof![any::<u64>(), ..2u64];
    sfixed32: Sfixed32, i32, (sfixed32), (sfixed32, repeated), prop_oneof![any::<i32>(), -2..2];
    sfixed64: Sfixed64, i64, (sfixed64), (sfixed64, repeated), prop_oneof![any::<i64>(), -2..2i64];
    unpacked: Uint64, u64, (uint64), (uint64, repeated, packed = "false"), prop_oneof![any::<u64>(), ..2u64];
    boolean: Bool, bool, (bool), (bool, repeated), any::<bool>();
    enumeration: Enum, i32, (enumeration = "Region"), (enumeration = "Region", repeated), -1..2;
    string: String, String, (string), (string, repeated), "[a-cé]{0,3}";
    byte_string: Bytes, Vec<u8>, (bytes = "vec"), (bytes = "vec", repeated), vec(any::<u8>(), 0..3);
}

/// Numbers are told apart by value, whatever the kind of the field that they stand in.
#[test]
fn one_number_has_one_form() {
    let split = |kind, request: &[u8]| rule(kind).split_request(&Bytes::copy_from_slice(request)).unwrap().key;
    let minus_one = split(Kind::Sint32, b"\x10\x01");
    let ten_bytes = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(split(Kind::Int32, ten_bytes), minus_one);
    assert_eq!(split(Kind::Enum, ten_bytes), minus_one);
    assert_eq!(split(Kind::Sfixed32, b"\x15\xff\xff\xff\xff"), minus_one);
    assert_ne!(split(Kind::Fixed32, b"\x15\xff\xff\xff\xff"), minus_one);
    assert_ne!(split(Kind::Uint64, ten_bytes), minus_one);
    assert_eq!(split(Kind::Bool, b"\x10\x02"), split(Kind::Bool, b"\x10\x01"));
    let upper_bits_too = b"\x10\xff\xff\xff\xff\x1f";
    assert_eq!(split(Kind::Int32, upper_bits_too), minus_one);
    assert_eq!(split(Kind::Uint32, upper_bits_too), split(Kind::Fixed32, b"\x15\xff\xff\xff\xff"));
    assert_eq!(split(Kind::Sint32, upper_bits_too), split(Kind::Int32, b"\x10\x80\x80\x80\x80\x08"));
}
