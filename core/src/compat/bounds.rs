//! Keywords that bound a value: which of two lets more through.

use serde_json::Value;
use std::{cmp::Ordering, collections::BTreeMap};

/// What is more: tighter, or laxer.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The larger, the tighter.
    Lower,
    /// As [`Kind::Lower`], and 0 says nothing.
    Count,
    /// The smaller, the tighter.
    Upper,
    Multiple,
    Flag,
    Format,
    /// Two of them can't be compared.
    Text,
}

const KNOWN: [(&str, Kind); 14] = [
    ("minimum", Kind::Lower),
    ("exclusiveMinimum", Kind::Lower),
    ("maximum", Kind::Upper),
    ("exclusiveMaximum", Kind::Upper),
    ("minLength", Kind::Count),
    ("maxLength", Kind::Upper),
    ("minItems", Kind::Count),
    ("maxItems", Kind::Upper),
    ("minProperties", Kind::Count),
    ("maxProperties", Kind::Upper),
    ("multipleOf", Kind::Multiple),
    ("uniqueItems", Kind::Flag),
    ("format", Kind::Format),
    ("pattern", Kind::Text),
];

/// What changed of one bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Same,
    Tighter,
    Laxer,
    /// Some values are let through no more, others now.
    Other,
}

pub(super) fn known(key: &str) -> Option<&'static str> {
    KNOWN.iter().map(|(name, _)| *name).find(|name| *name == key)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, _)| *name)
}

/// One more bound that holds; of two that can be compared, the tighter one is left.
pub(super) fn tighten<'a>(bounds: &mut BTreeMap<&'static str, &'a Value>, name: &'static str, value: &'a Value) {
    let held = bounds.get(name).copied();
    if held.is_none() || turn(name, held, Some(value)) == Turn::Tighter {
        bounds.insert(name, value);
    }
}

pub(super) fn turn(name: &str, old: Option<&Value>, new: Option<&Value>) -> Turn {
    let kind = KNOWN.iter().find(|(known, _)| *known == name).map_or(Kind::Text, |(_, kind)| *kind);
    let says = |value: &&Value| match kind {
        Kind::Count => value.as_f64() != Some(0.0),
        Kind::Flag => **value == Value::Bool(true),
        _ => true,
    };
    let (old, new) = match (old.filter(says), new.filter(says)) {
        (None, None) => return Turn::Same,
        (None, Some(_)) => return Turn::Tighter,
        (Some(_), None) => return Turn::Laxer,
        (Some(old), Some(new)) if old == new => return Turn::Same,
        (Some(old), Some(new)) => (old, new),
    };
    if let (Kind::Format, Some(old), Some(new)) = (kind, old.as_str(), new.as_str()) {
        return match (fits(old, new), fits(new, old)) {
            (true, true) => Turn::Same,
            (true, false) => Turn::Laxer,
            (false, true) => Turn::Tighter,
            (false, false) => Turn::Other,
        };
    }
    let (Some(old), Some(new)) = (old.as_f64(), new.as_f64()) else { return Turn::Other };
    match (kind, new.partial_cmp(&old)) {
        (_, Some(Ordering::Equal)) => Turn::Same,
        (Kind::Lower | Kind::Count, Some(Ordering::Greater)) | (Kind::Upper, Some(Ordering::Less)) => Turn::Tighter,
        (Kind::Lower | Kind::Count, Some(Ordering::Less)) | (Kind::Upper, Some(Ordering::Greater)) => Turn::Laxer,
        (Kind::Multiple, Some(_)) if new % old == 0.0 => Turn::Tighter,
        (Kind::Multiple, Some(_)) if old % new == 0.0 => Turn::Laxer,
        _ => Turn::Other,
    }
}

/// Whether each number of one format is one of the other.
fn fits(inner: &str, outer: &str) -> bool {
    match (range(inner), range(outer)) {
        (Some((low, high)), Some((lowest, highest))) => lowest <= low && high <= highest,
        _ => inner == "float" && outer == "double",
    }
}

fn range(format: &str) -> Option<(i128, i128)> {
    let signed = |bits: u32| (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
    let unsigned = |bits: u32| (0, (1_i128 << bits) - 1);
    Some(match format {
        "int8" => signed(8),
        "int16" => signed(16),
        "int32" => signed(32),
        "int64" | "int" => signed(64),
        "uint8" => unsigned(8),
        "uint16" => unsigned(16),
        "uint32" => unsigned(32),
        "uint64" | "uint" => unsigned(64),
        _ => return None,
    })
}
