//! A batch reply in, single replies out: the wire rules one by one.

use bytes::Bytes;
use weft_wire::{BadReply, Failure, Item, KeyList, Kind, Malformed, Missing, Rule, Shape, Spec};

use crate::support::{films_with, ids, int, len, message, path, scalars};

fn found(item: &[u8]) -> Item {
    Item::Found(Bytes::copy_from_slice(item))
}

/// Splits a reply to a request for films 7, 8 and 9.
fn split(rule: &Rule, fields: &[Vec<u8>]) -> Result<Vec<Item>, BadReply> {
    rule.split_reply(&message(fields), &ids(rule, &[7, 8, 9]))
}

fn film(id: u8) -> Vec<u8> {
    [int(1, id), len(2, b"title")].concat()
}

fn aligned(spec: &mut Spec) {
    spec.reply.shape = Shape::Aligned;
    spec.reply.missing = Missing::Never;
}

/// `message Result { oneof result { Film film = 1; google.rpc.Status error = 2; } }`
fn results(spec: &mut Spec) {
    aligned(spec);
    spec.reply.item = vec![1];
    spec.reply.status = Some(vec![2]);
}

#[test]
fn keyed_items_come_in_any_order_and_the_omitted_are_missing() {
    let rule = films_with(|_| {});
    let items = split(&rule, &[len(1, &film(9)), len(1, &film(7))]).unwrap();
    assert_eq!(items, [found(&film(7)), Item::Missing, found(&film(9))]);
    assert_eq!(split(&rule, &[]).unwrap(), [Item::Missing, Item::Missing, Item::Missing]);
}

#[test]
fn items_are_slices_of_the_reply() {
    let rule = films_with(|_| {});
    let reply = message(&[len(1, &film(7))]);
    let items = rule.split_reply(&reply, &ids(&rule, &[7])).unwrap();
    let [Item::Found(item)] = &items[..] else { panic!("{items:?}") };
    assert!(reply.as_ptr_range().contains(&item.as_ptr()));
}

#[test]
fn what_was_not_asked_for_is_ignored() {
    let rule = films_with(|_| {});
    let more = [len(1, &film(7)), len(1, &film(1)), int(5, 1), len(6, b"next page"), len(1, &film(8))];
    assert_eq!(split(&rule, &more).unwrap(), [found(&film(7)), found(&film(8)), Item::Missing]);
}

#[test]
fn what_a_reply_leaves_out_while_it_goes_on_elsewhere_is_not_missing() {
    for change in [|_: &mut Spec| {}, aligned, |spec: &mut Spec| spec.reply.missing = Missing::Never] {
        let rule = films_with(|spec| {
            change(spec);
            spec.reply.more = Some(vec![6]);
        });
        let cut = split(&rule, &[len(1, &film(7)), len(6, b"next page")]).unwrap();
        assert_eq!(cut, [found(&film(7)), Item::Elsewhere, Item::Elsewhere]);
        let emptied = split(&rule, &[len(1, &film(7)), len(6, b"next page"), len(6, b"")]);
        assert_ne!(emptied, Ok(cut), "the last occurrence counts");
    }
    let rule = films_with(|spec| spec.reply.more = Some(vec![6]));
    let whole = split(&rule, &[len(1, &film(7)), len(6, b"")]).unwrap();
    assert_eq!(whole, [found(&film(7)), Item::Missing, Item::Missing]);
    let listed = films_with(|spec| {
        spec.reply.missing = Missing::Listed(scalars(2, Kind::Uint32));
        spec.reply.more = Some(vec![6]);
    });
    let told = split(&listed, &[len(1, &film(7)), int(2, 8), int(6, 1)]).unwrap();
    assert_eq!(told, [found(&film(7)), Item::Missing, Item::Elsewhere], "what is said to be missing is");
    assert_eq!(
        Rule::new(Spec {
            reply: weft_wire::Reply { more: Some(vec![1]), ..crate::support::films().reply },
            ..crate::support::films()
        })
        .err(),
        Some(weft_wire::BadRule::Overlap(1))
    );
}

#[test]
fn items_of_other_keys_are_counted() {
    let rule = films_with(|_| {});
    let strays = |reply: &[Vec<u8>]| rule.strays(&message(reply), &ids(&rule, &[7, 8, 9]));
    assert_eq!(strays(&[len(1, &film(9)), len(1, &film(7))]), 0);
    assert_eq!(strays(&[len(1, &film(1)), len(1, &film(7)), len(1, &film(2))]), 2);
    let by_place = films_with(aligned);
    assert_eq!(by_place.strays(&message(&[len(1, &film(1))]), &ids(&by_place, &[7])), 0);
}

#[test]
fn an_item_without_its_key_has_key_zero() {
    let rule = films_with(|_| {});
    let keys = ids(&rule, &[0, 7]);
    let reply = message(&[len(1, &film(7)), len(1, b"\x12\x01t")]);
    assert_eq!(rule.split_reply(&reply, &keys).unwrap(), [found(b"\x12\x01t"), found(&film(7))]);
    let reply = message(&[len(1, b"")]);
    assert_eq!(rule.split_reply(&reply, &keys).unwrap(), [found(b""), Item::Missing]);
}

#[test]
fn the_last_of_an_items_keys_counts() {
    let rule = films_with(|_| {});
    let item = [int(1, 9), int(1, 7)].concat();
    assert_eq!(split(&rule, &[len(1, &item)]).unwrap(), [found(&item), Item::Missing, Item::Missing]);
}

#[test]
fn two_answers_to_one_key_must_agree() {
    let rule = films_with(|_| {});
    let twice = [len(1, &film(8)), len(1, &film(8))];
    assert_eq!(split(&rule, &twice).unwrap(), [Item::Missing, found(&film(8)), Item::Missing]);
    assert_eq!(split(&rule, &[len(1, &film(8)), len(1, &int(1, 8))]), Err(BadReply::Twice(1)));
}

#[test]
fn aligned_items_are_told_by_their_place() {
    let rule = films_with(aligned);
    let three = [len(1, b""), len(1, &film(1)), len(1, &film(9))];
    assert_eq!(split(&rule, &three).unwrap(), [found(b""), found(&film(1)), found(&film(9))]);
    assert_eq!(split(&rule, &three[..2]), Err(BadReply::Count { keys: 3, items: 2 }));
    assert_eq!(split(&rule, &[three.concat(), len(1, b"")]), Err(BadReply::Count { keys: 3, items: 4 }));
}

#[test]
fn an_empty_item_is_missing_if_the_rule_says_so() {
    let rule = films_with(|spec| {
        aligned(spec);
        spec.reply.missing = Missing::Empty;
    });
    let items = split(&rule, &[len(1, &film(7)), len(1, b""), len(1, &film(9))]).unwrap();
    assert_eq!(items, [found(&film(7)), Item::Missing, found(&film(9))]);
}

#[test]
fn missing_keys_are_listed_packed_or_not() {
    let rule = films_with(|spec| spec.reply.missing = Missing::Listed(scalars(2, Kind::Uint32)));
    let expected = [Item::Missing, found(&film(8)), Item::Missing];
    assert_eq!(split(&rule, &[len(1, &film(8)), len(2, &[9, 3, 7])]).unwrap(), expected);
    assert_eq!(split(&rule, &[int(2, 7), len(1, &film(8)), int(2, 9)]).unwrap(), expected);
    assert_eq!(split(&rule, &[int(2, 7), len(1, &film(8))]), Err(BadReply::Unanswered(2)));
    let both = [int(2, 7), len(1, &film(8)), int(2, 9), int(2, 8)];
    assert_eq!(split(&rule, &both), Err(BadReply::Twice(1)), "found and missing");
    assert_eq!(split(&rule, &[len(2, &[9, 0x87])]), Err(BadReply::Malformed(Malformed::Truncated)));
}

#[test]
fn missing_keys_may_be_messages() {
    let list = KeyList::Messages { field: vec![2], paths: vec![path(&[3], Kind::Uint64)] };
    let rule = films_with(|spec| spec.reply.missing = Missing::Listed(list));
    let reply = [len(2, &int(3, 9)), len(2, &int(3, 7)), len(1, &film(8))];
    assert_eq!(split(&rule, &reply).unwrap(), [Item::Missing, found(&film(8)), Item::Missing]);
}

#[test]
fn without_a_word_for_missing_every_key_needs_an_answer() {
    let rule = films_with(|spec| spec.reply.missing = Missing::Never);
    assert_eq!(split(&rule, &[len(1, &film(8)), len(1, &film(7))]), Err(BadReply::Unanswered(2)));
}

#[test]
fn a_map_is_a_list_of_entries() {
    let rule = films_with(|spec| spec.reply.shape = Shape::Map(Kind::Uint32));
    let entry = |id, film: &[u8]| len(1, &[int(1, id), len(2, film)].concat());
    let items = split(&rule, &[entry(9, &film(9)), len(1, &int(1, 7))]).unwrap();
    assert_eq!(items, [found(b""), Item::Missing, found(&film(9))], "an entry may leave out an empty value");
    let items = split(&rule, &[entry(8, b"\x08\x01"), entry(8, b"\x08\x02")]).unwrap();
    assert_eq!(items, [Item::Missing, found(b"\x08\x02"), Item::Missing], "the last entry counts");
}

#[test]
fn items_may_be_wrapped_and_fail_one_by_one() {
    let rule = films_with(results);
    let error = [int(1, 7), len(2, b"not yours")].concat();
    let reply = [len(1, &len(1, &film(7))), len(1, &len(2, &error)), len(1, &len(1, b""))];
    let failure = Failure { code: 7, message: "not yours".into(), status: error.into() };
    assert_eq!(split(&rule, &reply).unwrap(), [found(&film(7)), Item::Failed(Box::new(failure)), found(b"")]);
}

#[test]
fn a_status_of_zero_is_no_failure_and_an_unknown_one_is_unknown() {
    let rule = films_with(results);
    let ok = [len(1, &film(7)), len(2, b"")].concat();
    let odd = [len(1, &film(7)), len(2, &int(1, 99))].concat();
    let items = split(&rule, &[len(1, &ok), len(1, &odd), len(1, &ok)]).unwrap();
    assert_eq!(items[0], found(&film(7)));
    assert!(matches!(&items[1], Item::Failed(failure) if failure.code == 2), "{items:?}");
}

#[test]
fn a_wrapper_without_item_is_missing_only_by_rule() {
    let reply = [len(1, &len(1, &film(7))), len(1, b""), len(1, &len(1, b""))];
    assert_eq!(split(&films_with(results), &reply), Err(BadReply::NoItem));
    let omitted = films_with(|spec| {
        results(spec);
        spec.reply.missing = Missing::Omitted;
    });
    assert_eq!(split(&omitted, &reply).unwrap(), [found(&film(7)), Item::Missing, found(b"")]);
    assert_eq!(split(&omitted, &reply[..2]), Err(BadReply::Count { keys: 3, items: 2 }), "the wrapper itself stays");
}

#[test]
fn pieces_of_one_message_are_put_together() {
    let rule = films_with(results);
    let pieces = [len(1, &int(1, 7)), int(3, 1), len(1, &len(2, b"title")), len(1, &int(3, 1))].concat();
    let reply = [len(1, &pieces), len(1, &len(1, b"")), len(1, &len(1, b""))];
    assert_eq!(split(&rule, &reply).unwrap()[0], found(&[film(7), int(3, 1)].concat()));
}

#[test]
fn the_single_reply_may_hold_the_item_in_a_field() {
    let reply = [len(1, &film(7)), len(1, &film(8)), len(1, b"\x08\x09")];
    for number in [1, 5] {
        let rule = films_with(|spec| spec.reply.wrap = Some(u32::from(number)));
        let expected = [found(&len(number, &film(7))), found(&len(number, &film(8))), found(&len(number, b"\x08\x09"))];
        assert_eq!(split(&rule, &reply).unwrap(), expected);
    }
}

#[test]
fn a_reply_of_another_type_is_refused() {
    let rule = films_with(|_| {});
    let malformed = |reply: &[u8]| {
        let reply = Bytes::copy_from_slice(reply);
        rule.split_reply(&reply, &ids(&rule, &[7])).unwrap_err()
    };
    assert_eq!(malformed(b"\x08\x01"), BadReply::Malformed(Malformed::Type(1)), "items are messages");
    assert_eq!(malformed(b"\x0a\x03\x0a\x01a"), BadReply::Malformed(Malformed::Type(1)), "the key is a number");
    assert_eq!(malformed(b"\x0a\x01\x08"), BadReply::Malformed(Malformed::Truncated), "the item ends in its key");
    assert_eq!(
        malformed(b"\x0a\x02\x08\x07\x12"),
        BadReply::Malformed(Malformed::Truncated),
        "what follows counts too"
    );
}

#[test]
fn ten_thousand_keys_in_reverse() {
    let rule = films_with(|_| {});
    let id = |id: u32| if id < 128 { vec![id as u8] } else { vec![id as u8 | 0x80, (id >> 7) as u8] };
    let film = |n| [vec![0x08], id(n)].concat();
    let keys: Vec<_> = (0..10_000).map(|n| rule.split_request(&film(n).into()).unwrap().key).collect();
    let reply = message(&(0..10_000).rev().map(|n| len(1, &film(n))).collect::<Vec<_>>());
    let expected: Vec<_> = (0..10_000).map(|n| found(&film(n))).collect();
    assert_eq!(rule.split_reply(&reply, &keys).unwrap(), expected);
}
