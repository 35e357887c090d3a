//! What a caller has to show: whether those who were let in still are.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One way in: schemes, each with scopes.
type Way = BTreeMap<String, BTreeSet<String>>;

/// All ways in. None at all is one that asks for nothing.
pub(super) fn ways(document: &Value, operation: &Value) -> Vec<Way> {
    let list = operation.get("security").or_else(|| document.get("security")).and_then(Value::as_array);
    let mut ways: Vec<Way> = list.into_iter().flatten().filter_map(Value::as_object).map(way).collect();
    if ways.is_empty() {
        ways.push(Way::new());
    }
    ways
}

fn way(requirement: &serde_json::Map<String, Value>) -> Way {
    let scopes = |value: &Value| {
        let list = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        list.map(str::to_owned).collect()
    };
    requirement.iter().map(|(scheme, list)| (scheme.clone(), scopes(list))).collect()
}

/// Whether whoever comes by one of `these` ways is let in by one of `those`.
pub(super) fn all_let_in(these: &[Way], those: &[Way]) -> bool {
    let opens = |shown: &Way, asked: &Way| {
        asked.iter().all(|(scheme, scopes)| shown.get(scheme).is_some_and(|held| scopes.is_subset(held)))
    };
    these.iter().all(|shown| those.iter().any(|asked| opens(shown, asked)))
}

pub(super) fn text(ways: &[Way]) -> String {
    let way = |way: &Way| {
        let scheme = |(scheme, scopes): (&String, &BTreeSet<String>)| {
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            if scopes.is_empty() { scheme.clone() } else { format!("{scheme} with {}", scopes.join(" and ")) }
        };
        if way.is_empty() { "nothing".to_owned() } else { way.iter().map(scheme).collect::<Vec<_>>().join(" and ") }
    };
    super::text::cut(&ways.iter().map(way).collect::<Vec<_>>().join(", or "))
}
