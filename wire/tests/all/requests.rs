//! Single requests in, a batch request out: the wire rules one by one.

use bytes::Bytes;
use weft_wire::{Alone, KeyList, KeyValue, Kind, Malformed, Request, Rule, Shape};

use crate::support::{films_with, int, len, message, path, scalars};

fn split(rule: &Rule, request: &'static [u8]) -> Result<(KeyValue, Bytes), Alone> {
    rule.split_request(&Bytes::from_static(request)).map(|single| (single.key, single.rest))
}

fn with_locale(carry: &[(u32, u32)]) -> Rule {
    let carry = carry.to_vec();
    films_with(|spec| spec.request = Request::Keys { keys: scalars(1, Kind::Uint32), carry })
}

fn nested() -> Rule {
    films_with(|spec| spec.key = vec![path(&[2, 1], Kind::Uint32)])
}

/// `message Name { uint32 id = 1; string shelf = 2; }` in field 2.
fn composite(key_required: bool) -> Rule {
    films_with(|spec| {
        let paths = vec![path(&[2, 1], Kind::Uint32), path(&[2, 2], Kind::String)];
        (spec.key, spec.key_required) = (paths.clone(), key_required);
        spec.request =
            Request::Keys { keys: KeyList::Messages { field: vec![1], paths: paths.clone() }, carry: vec![] };
        spec.reply.shape = Shape::Keyed(paths);
    })
}

#[test]
fn a_key_is_a_value_not_its_bytes() {
    let rule = films_with(|_| {});
    let seven = split(&rule, b"\x08\x07").unwrap();
    assert_eq!(split(&rule, b"\x08\x05\x08\x07").unwrap(), seven, "the last occurrence wins");
    assert_eq!(split(&rule, b"\x08\x87\x00").unwrap(), seven, "a varint may be longer than it must");
    assert_eq!(split(&rule, b"\x88\x00\x07").unwrap(), seven, "so may a tag");
    assert_eq!(split(&rule, b"\x08\x87\x80\x80\x80\x10").unwrap(), seven, "a uint32 keeps the lower 32 bits");
    assert_eq!(split(&rule, b"").unwrap(), split(&rule, b"\x08\x00").unwrap(), "zero is left out");
    assert_ne!(split(&rule, b"").unwrap(), seven);
}

#[test]
fn where_zero_and_absent_differ_an_absent_key_goes_alone() {
    let rule = films_with(|spec| spec.key_required = true);
    assert_eq!(split(&rule, b""), Err(Alone::NoKey));
    assert!(split(&rule, b"\x08\x00").is_ok());
    assert_eq!(split(&composite(true), b"\x12\x02\x08\x07"), Err(Alone::NoKey), "each part counts");
    assert!(split(&composite(true), b"\x12\x04\x08\x07\x12\x00").is_ok());
}

#[test]
fn the_rest_is_everything_but_the_key() {
    let rule = with_locale(&[(2, 2), (3, 3)]);
    let (key, rest) = split(&rule, b"\x08\x07\x12\x02de\x18\x01").unwrap();
    assert_eq!(rest, b"\x12\x02de\x18\x01"[..]);
    assert_eq!(split(&rule, b"\x12\x02de\x08\x07\x18\x01").unwrap(), (key.clone(), rest.clone()), "key in the middle");
    assert_eq!(split(&rule, b"\x08\x01\x12\x02de\x18\x01\x08\x07").unwrap(), (key, rest), "key at both ends");
    assert_eq!(split(&rule, b"\x08\x07").unwrap().1, b""[..]);
}

#[test]
fn an_unbroken_rest_is_a_slice_of_the_request() {
    let request = message(&[int(1, 7), len(2, b"de"), int(3, 1)]);
    let single = with_locale(&[(2, 2), (3, 3)]).split_request(&request).unwrap();
    assert!(request.as_ptr_range().contains(&single.rest.as_ptr()));
}

#[test]
fn carried_fields_get_the_batch_requests_numbers() {
    let rule = with_locale(&[(2, 20), (3, 2)]);
    let (_, rest) = split(&rule, b"\x12\x02de\x08\x07\x18\x01").unwrap();
    assert_eq!(rest, b"\xa2\x01\x02de\x10\x01"[..]);
}

#[test]
fn a_field_without_a_place_goes_alone() {
    assert_eq!(split(&films_with(|_| {}), b"\x08\x07\x12\x02de"), Err(Alone::Field(2)));
    let group = b"\x13\x18\x01\x14\x08\x07";
    assert_eq!(split(&with_locale(&[(2, 2)]), group).unwrap().1, b"\x13\x18\x01\x14"[..]);
    assert_eq!(split(&with_locale(&[(2, 3)]), group), Err(Alone::Field(2)), "a group's end has its number too");
}

#[test]
fn parts_of_a_nested_key_may_come_in_pieces() {
    let rule = composite(false);
    let whole = split(&rule, b"\x12\x05\x08\x07\x12\x01a").unwrap();
    assert_eq!(split(&rule, b"\x12\x02\x08\x07\x12\x03\x12\x01a").unwrap(), whole, "occurrences of a message merge");
    assert_eq!(split(&rule, b"\x12\x07\x12\x01a\x08\x05\x08\x07").unwrap(), whole);
    assert_ne!(split(&rule, b"\x12\x02\x08\x07").unwrap(), whole);

    let batch = rule.merge(b"", &[whole.0]);
    assert_eq!(batch, b"\x0a\x07\x12\x05\x08\x07\x12\x01a"[..], "both parts stand in one nested message");
}

#[test]
fn a_nested_message_holds_the_key_and_nothing_else() {
    assert!(split(&nested(), b"\x12\x02\x08\x07").is_ok());
    assert_eq!(split(&nested(), b"\x12\x04\x08\x07\x18\x01"), Err(Alone::Field(3)));
}

#[test]
fn a_request_that_the_backend_would_refuse_goes_alone() {
    let text = films_with(|spec| {
        spec.key = vec![path(&[1], Kind::String)];
        spec.request = Request::Keys { keys: scalars(1, Kind::Bytes), carry: vec![] };
        spec.reply.shape = Shape::Keyed(vec![path(&[1], Kind::String)]);
    });
    assert_eq!(split(&text, b"\x0a\x01\xff"), Err(Alone::NotUtf8));
    assert!(split(&text, b"\x0a\x02\xc3\xa9").is_ok());

    let malformed = |request| split(&with_locale(&[(2, 2)]), request).map(|_| ()).unwrap_err();
    assert_eq!(malformed(b"\x0a\x01\x07"), Alone::Malformed(Malformed::Type(1)));
    assert_eq!(malformed(b"\x08"), Alone::Malformed(Malformed::Truncated));
    assert_eq!(malformed(b"\x12\x03de"), Alone::Malformed(Malformed::Truncated));
    assert_eq!(malformed(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Alone::Malformed(Malformed::Truncated));
    assert_eq!(malformed(b"\x15\x01\x02\x03"), Alone::Malformed(Malformed::Truncated));
    assert_eq!(malformed(b"\x00\x01"), Alone::Malformed(Malformed::Number));
    assert_eq!(malformed(b"\x80\x80\x80\x80\x10\x01"), Alone::Malformed(Malformed::Number), "2^29");
    assert_eq!(malformed(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), Alone::Malformed(Malformed::Varint));
    assert_eq!(malformed(b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), Alone::Malformed(Malformed::Varint));
    assert_eq!(malformed(b"\x16\x01"), Alone::Malformed(Malformed::WireType(6)));
    assert_eq!(malformed(b"\x14"), Alone::Malformed(Malformed::Group));
    assert_eq!(malformed(b"\x13\x1c"), Alone::Malformed(Malformed::Group), "a group ends with its own number");
    assert_eq!(malformed(b"\x13"), Alone::Malformed(Malformed::Truncated));
}

#[test]
fn groups_nest_a_hundred_deep_and_no_deeper() {
    let nested = |depth| [vec![0x13; depth], vec![0x14; depth]].concat();
    let rule = with_locale(&[(2, 2)]);
    assert!(rule.split_request(&nested(100).into()).is_ok());
    assert_eq!(rule.split_request(&nested(101).into()), Err(Alone::Malformed(Malformed::Depth)));
    assert_eq!(rule.split_request(&vec![0x13; 1 << 20].into()), Err(Alone::Malformed(Malformed::Depth)));
}

#[test]
fn numbers_are_sent_packed_and_strings_one_by_one() {
    let rule = with_locale(&[(2, 2)]);
    let (zero, rest) = split(&rule, b"\x12\x02de").unwrap();
    let (big, _) = split(&rule, b"\x08\xac\x02\x12\x02de").unwrap();
    assert_eq!(rule.merge(&rest, &[zero, big]), b"\x12\x02de\x0a\x03\x00\xac\x02"[..], "zero too is an element");
    assert_eq!(rule.merge(b"", &[]), b""[..]);

    let text = films_with(|spec| {
        spec.key = vec![path(&[1], Kind::String)];
        spec.request = Request::Keys { keys: scalars(3, Kind::String), carry: vec![] };
        spec.reply.shape = Shape::Keyed(spec.key.clone());
    });
    let keys = [split(&text, b"\x0a\x01a").unwrap().0, split(&text, b"").unwrap().0];
    assert_eq!(text.merge(b"", &keys), b"\x1a\x01a\x1a\x00"[..]);
}

#[test]
fn whole_requests_travel_with_their_rest() {
    let rule = films_with(|spec| spec.request = Request::Requests { field: vec![2] });
    let (seven, rest) = split(&rule, b"\x08\x07\x12\x02de").unwrap();
    let (nine, _) = split(&rule, b"\x08\x09\x12\x02de").unwrap();
    assert_eq!(rule.merge(&rest, &[seven, nine]), b"\x12\x06\x12\x02de\x08\x07\x12\x06\x12\x02de\x08\x09"[..]);
}

#[test]
fn a_key_takes_little_room() {
    assert!(size_of::<KeyValue>() <= 40);
    assert!(size_of::<weft_wire::Item>() <= 40);
}
