//! Specs that are no rules.

use weft_wire::{BadRule, KeyList, Kind, Missing, Request, Rule, Shape, Spec};

use crate::support::{films, path, scalars};

fn refused(change: impl FnOnce(&mut Spec)) -> BadRule {
    let mut spec = films();
    change(&mut spec);
    Rule::new(spec).unwrap_err()
}

fn keys(keys: KeyList, carry: &[(u32, u32)]) -> Request {
    Request::Keys { keys, carry: carry.to_vec() }
}

fn with_kinds(key: Kind, sent: Kind, item: Kind) -> Result<Rule, BadRule> {
    let mut spec = films();
    spec.key = vec![path(&[1], key)];
    spec.request = keys(scalars(1, sent), &[]);
    spec.reply.shape = Shape::Keyed(vec![path(&[1], item)]);
    Rule::new(spec)
}

#[test]
fn paths_and_numbers_must_exist() {
    assert_eq!(refused(|spec| spec.key = vec![]), BadRule::Parts);
    assert_eq!(refused(|spec| spec.key = vec![path(&[1], Kind::Bool); 9]), BadRule::Parts);
    assert_eq!(refused(|spec| spec.key = vec![path(&[], Kind::Bool)]), BadRule::Path);
    assert_eq!(refused(|spec| spec.key = vec![path(&[1; 17], Kind::Bool)]), BadRule::Path);
    assert_eq!(refused(|spec| spec.key = vec![path(&[1, 0], Kind::Bool)]), BadRule::Number(0));
    assert_eq!(refused(|spec| spec.reply.items = vec![1 << 29]), BadRule::Number(1 << 29));
    assert_eq!(refused(|spec| spec.reply.wrap = Some(0)), BadRule::Number(0));
    assert_eq!(refused(|spec| spec.reply.item = vec![1, 0]), BadRule::Number(0));
    assert_eq!(refused(|spec| spec.reply.status = Some(vec![])), BadRule::Path);
    assert_eq!(refused(|spec| spec.request = Request::Requests { field: vec![0] }), BadRule::Number(0));
    assert_eq!(refused(|spec| spec.request = keys(scalars(0, Kind::Uint32), &[])), BadRule::Number(0));
}

#[test]
fn no_field_stands_for_two_things() {
    let two = |a: &[u32], b: &[u32]| {
        let paths = vec![path(a, Kind::Uint32), path(b, Kind::Uint32)];
        refused(|spec| spec.key = paths)
    };
    assert_eq!(two(&[1], &[1]), BadRule::Overlap(1));
    assert_eq!(two(&[1, 2], &[1]), BadRule::Overlap(1));
    assert_eq!(two(&[1], &[1, 2]), BadRule::Overlap(1));
    assert_eq!(two(&[1, 2], &[1, 2]), BadRule::Overlap(2));

    let carrying = |carry: &[(u32, u32)]| refused(|spec| spec.request = keys(scalars(1, Kind::Uint32), carry));
    assert_eq!(carrying(&[(1, 2)]), BadRule::Overlap(1), "from the key");
    assert_eq!(carrying(&[(2, 1)]), BadRule::Overlap(1), "to the keys");
    assert_eq!(carrying(&[(2, 3), (2, 4)]), BadRule::Overlap(2));
    assert_eq!(carrying(&[(2, 4), (3, 4)]), BadRule::Overlap(4));

    let listed = Missing::Listed(scalars(1, Kind::Uint32));
    assert_eq!(refused(|spec| spec.reply.missing = listed), BadRule::Overlap(1));
    let both = |spec: &mut Spec| (spec.reply.item, spec.reply.status) = (vec![3], Some(vec![3]));
    assert_eq!(refused(both), BadRule::Overlap(3));
}

#[test]
fn keys_have_the_same_parts_everywhere() {
    let two = vec![path(&[1], Kind::Uint32), path(&[2], Kind::Uint32)];
    assert_eq!(refused(|spec| spec.key = two.clone()), BadRule::Arity { key: 2, here: 1 });
    assert_eq!(refused(|spec| spec.reply.shape = Shape::Keyed(two)), BadRule::Arity { key: 1, here: 2 });
}

#[test]
fn every_key_can_be_sent_and_found() {
    use Kind::*;
    for (key, sent, item) in [
        (Uint32, Uint64, Int32),
        (Uint32, Int64, Fixed64),
        (Sint32, Int64, Uint32),
        (Enum, Int32, Enum),
        (String, Bytes, String),
        (Int32, String, Int64),
        (String, Int32, String),
        (Uint64, Uint64, String),
    ] {
        assert!(with_kinds(key, sent, item).is_ok(), "{key:?} {sent:?} {item:?}");
    }
    for (key, sent) in [
        (Uint64, Uint32),
        (Int32, Uint64),
        (Uint32, Int32),
        (Bytes, String),
        (Bool, Uint32),
        (Enum, String),
        (Bytes, Uint32),
    ] {
        assert_eq!(with_kinds(key, sent, key).unwrap_err(), BadRule::Kind { key, here: sent });
    }
    assert_eq!(with_kinds(Bool, Bool, String).unwrap_err(), BadRule::Kind { key: Bool, here: String });
}

#[test]
fn aligned_replies_leave_nothing_out() {
    let aligned = |missing| {
        refused(|spec| {
            spec.reply.shape = Shape::Aligned;
            spec.reply.missing = missing;
        })
    };
    assert_eq!(aligned(Missing::Omitted), BadRule::AlignedMissing);
    assert_eq!(aligned(Missing::Listed(scalars(2, Kind::Uint32))), BadRule::AlignedMissing);
}
