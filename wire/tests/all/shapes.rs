//! Lists inside messages, items that are no messages, and numbers that are written in decimal.

use bytes::Bytes;
use proptest::{collection::btree_set, prelude::*};
use prost::Message;
use weft_wire::{Alone, BadReply, Encoding, Item, Kind, Malformed, Missing, Request, Rule, Scalar, Shape, Spec};

use crate::support::{films, films_with, ids, int, len, message, path};

#[derive(Clone, PartialEq, Message)]
struct Single {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Numbers {
    #[prost(sint64, repeated, tag = "1")]
    ids: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Filter {
    #[prost(message, optional, tag = "2")]
    numbers: Option<Numbers>,
}

/// `BatchGet { Filter filter = 3; }`
#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(message, optional, tag = "3")]
    filter: Option<Filter>,
}

/// Strings in the single request; numbers in the batch, two messages deep; strings again in the items.
fn decimal() -> Rule {
    films_with(|spec| {
        spec.key = vec![path(&[1], Kind::String)];
        let keys = weft_wire::KeyList::Scalars { field: vec![3, 2, 1], kind: Kind::Sint64 };
        spec.request = Request::Keys { keys, carry: vec![] };
        spec.reply.items = vec![4, 5];
        spec.reply.shape = Shape::Keyed(vec![path(&[1], Kind::String)]);
    })
}

fn single(id: &str) -> Bytes {
    Single { id: id.to_owned() }.encode_to_vec().into()
}

proptest! {
    #[test]
    fn numbers_and_their_digits_are_one_key(numbers in btree_set(prop_oneof![any::<i64>(), -2..2i64], 1..20)) {
        let rule = decimal();
        let split = |n: &i64| rule.split_request(&single(&n.to_string())).unwrap();
        let keys: Vec<_> = numbers.iter().map(|n| split(n).key).collect();
        let batch = rule.merge(b"", &keys);
        let bound = rule.base_len(b"") + keys.iter().map(|key| rule.key_len(b"", key)).sum::<usize>();
        prop_assert!(batch.len() <= bound && bound <= batch.len() + 12);
        let ids: Vec<_> = numbers.iter().copied().collect();
        prop_assert_eq!(Batch::decode(batch).unwrap().filter.unwrap().numbers.unwrap().ids, ids);
        // In pieces, and in another order.
        let items = numbers.iter().rev().map(|n| Single { id: n.to_string() }.encode_to_vec());
        let reply: Vec<u8> = items.flat_map(|item| len(4, &len(5, &item))).collect();
        let found: Vec<_> = numbers.iter().map(|n| Item::Found(single(&n.to_string()))).collect();
        prop_assert_eq!(rule.split_reply(&reply.into(), &keys).unwrap(), found);
    }
}

#[test]
fn only_plain_numbers_that_all_places_can_hold_travel_with_others() {
    let rule = decimal();
    for id in ["", "07", "+7", "-0", "7 ", "x", "9223372036854775808", "99999999999999999999", "\u{661}"] {
        assert_eq!(rule.split_request(&single(id)).unwrap_err(), Alone::NotNumber, "{id}");
    }
    let strays = [len(4, &len(5, &single("07"))), len(4, &len(5, &single("x")))].concat();
    let keys = [rule.split_request(&single("7")).unwrap().key];
    assert_eq!(rule.split_reply(&strays.clone().into(), &keys).unwrap(), [Item::Missing]);
    assert_eq!(rule.strays(&strays.into(), &keys), 2);
    let unsigned = films_with(|spec| spec.key = vec![path(&[1], Kind::String)]);
    assert_eq!(unsigned.split_request(&single("-1")).unwrap_err(), Alone::NotNumber);
    assert_eq!(unsigned.split_request(&single("4294967296")).unwrap_err(), Alone::NotNumber);
    assert!(unsigned.split_request(&single("4294967295")).is_ok());
}

#[test]
fn a_list_inside_messages_takes_no_more_than_was_said() {
    for whole in [false, true] {
        let rule = films_with(|spec| {
            let keys = weft_wire::KeyList::Messages { field: vec![9, 9, 9], paths: vec![path(&[1], Kind::Uint32)] };
            spec.request = Request::Keys { keys, carry: vec![] };
            if whole {
                spec.request = Request::Requests { field: vec![9, 9, 9] };
            }
        });
        let keys = ids(&rule, &[1, 2, 3]);
        let list = [1, 2, 3].map(|id| len(9, &int(1, id))).concat();
        let batch = rule.merge(b"", &keys);
        assert_eq!(batch, len(9, &len(9, &list)));
        let bound = rule.base_len(b"") + keys.iter().map(|key| rule.key_len(b"", key)).sum::<usize>();
        assert!(batch.len() <= bound && bound <= batch.len() + 8);
        assert!(rule.merge(b"", &[]).is_empty());
    }
}

fn counts(change: impl FnOnce(&mut Spec)) -> Rule {
    let mut spec = films();
    spec.reply.wrap = Some(3);
    spec.reply.scalar = Some(Scalar { encoding: Encoding::Varint, absent_is_zero: false, zero_is_written: false });
    spec.reply.shape = Shape::Map(Kind::Uint32);
    change(&mut spec);
    Rule::new(spec).unwrap()
}

fn split(rule: &Rule, reply: &[Vec<u8>]) -> Result<Vec<Item>, BadReply> {
    rule.split_reply(&message(reply), &ids(rule, &[7, 8, 9]))
}

fn found(single: &[u8]) -> Item {
    Item::Found(Bytes::copy_from_slice(single))
}

#[test]
fn scalars_of_a_map_are_answers() {
    let entry = |id, count: &[u8]| len(1, &[int(1, id), count.to_vec()].concat());
    let reply = [entry(7, &int(2, 5)), entry(8, b"")];
    assert_eq!(split(&counts(|_| ()), &reply).unwrap(), [found(&int(3, 5)), found(b""), Item::Missing]);
    let written = counts(|spec| spec.reply.scalar.as_mut().unwrap().zero_is_written = true);
    assert_eq!(split(&written, &reply).unwrap(), [found(&int(3, 5)), found(&int(3, 0)), Item::Missing]);
    let text = [entry(7, &len(2, b"five"))];
    assert_eq!(split(&counts(|_| ()), &text), Err(BadReply::Malformed(Malformed::Type(2))));
    let twice = [entry(7, &int(2, 5)), entry(7, &int(2, 6))];
    assert_eq!(split(&counts(|_| ()), &twice).unwrap()[0], found(&int(3, 6)), "as in a map");
}

#[test]
fn scalars_in_the_order_of_the_keys_come_packed_and_not() {
    let aligned = counts(|spec| (spec.reply.shape, spec.reply.missing) = (Shape::Aligned, Missing::Never));
    let expected = [found(&int(3, 5)), found(b""), found(&int(3, 6))];
    for reply in [vec![len(1, &[5, 0, 6])], vec![int(1, 5), len(1, &[0, 6])]] {
        assert_eq!(split(&aligned, &reply).unwrap(), expected);
    }
    assert_eq!(split(&aligned, &[len(1, &[5, 0])]), Err(BadReply::Count { keys: 3, items: 2 }));
    assert_eq!(split(&aligned, &[len(1, &[5, 0, 6, 7])]), Err(BadReply::Count { keys: 3, items: 4 }));
    assert_eq!(split(&aligned, &[len(1, &[5, 0, 0x80])]), Err(BadReply::Malformed(Malformed::Truncated)));
    let texts = counts(|spec| {
        (spec.reply.shape, spec.reply.missing) = (Shape::Aligned, Missing::Empty);
        spec.reply.scalar.as_mut().unwrap().encoding = Encoding::Len;
    });
    let reply = [len(1, b"a"), len(1, b""), len(1, b"\x08\x01")];
    assert_eq!(split(&texts, &reply).unwrap(), [found(&len(3, b"a")), Item::Missing, found(&len(3, b"\x08\x01"))]);
}

#[test]
fn scalars_in_elements_may_be_left_out() {
    let keyed = |absent_is_zero| {
        counts(|spec| {
            spec.reply.shape = Shape::Keyed(vec![path(&[1], Kind::Uint32)]);
            spec.reply.item = vec![2];
            spec.reply.scalar.as_mut().unwrap().absent_is_zero = absent_is_zero;
        })
    };
    let reply = [len(1, &[int(1, 7), int(2, 5), int(2, 6)].concat()), len(1, &int(1, 8))];
    assert_eq!(split(&keyed(true), &reply).unwrap(), [found(&int(3, 6)), found(b""), Item::Missing]);
    assert_eq!(split(&keyed(false), &reply).unwrap(), [found(&int(3, 6)), Item::Missing, Item::Missing]);
}

#[test]
fn what_a_cut_reply_leaves_out_is_elsewhere() {
    let rule = films_with(|_| {});
    let reply = message(&[len(1, &int(1, 8))]);
    let items = rule.split_cut_reply(&reply, &ids(&rule, &[7, 8])).unwrap();
    assert_eq!(items, [Item::Elsewhere, found(&int(1, 8))]);
    let aligned = films_with(|spec| (spec.reply.shape, spec.reply.missing) = (Shape::Aligned, Missing::Never));
    let items = aligned.split_cut_reply(&reply, &ids(&aligned, &[7, 8])).unwrap();
    assert_eq!(items, [found(&int(1, 8)), Item::Elsewhere]);
}
