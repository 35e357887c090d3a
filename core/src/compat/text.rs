//! Changes for people: grouped by endpoint, and the table of rules for the documents.

use super::{Change, rules::Rule};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write};

/// Characters of a value or name that are shown.
const SHOWN: usize = 60;

/// For people: by endpoint, what breaks first, each with its rule and, where it breaks, what to do.
pub fn grouped(changes: &[Change]) -> String {
    let mut out = String::new();
    let mut by_endpoint: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    let mut endpoints: Vec<&str> = Vec::new();
    for change in changes {
        let of_it = by_endpoint.entry(&change.endpoint).or_default();
        if of_it.is_empty() {
            endpoints.push(&change.endpoint);
        }
        of_it.push(change);
    }
    for endpoint in endpoints {
        let _ = writeln!(out, "{}", if endpoint.is_empty() { "all endpoints".to_owned() } else { printable(endpoint) });
        let mut of_it = by_endpoint.remove(endpoint).unwrap_or_default();
        of_it.sort_by_key(|change| !change.rule.breaks());
        for change in of_it {
            let at = [change.place.as_str(), &change.path, &change.detail];
            let at: Vec<&str> = at.into_iter().filter(|text| !text.is_empty()).collect();
            let weight = if change.rule.breaks() { "BREAKS" } else { "safe  " };
            let _ =
                writeln!(out, "  {weight} {}", printable(&[&[change.rule.id()], at.as_slice()].concat().join("  ")));
            if change.rule.breaks() {
                let _ = writeln!(out, "         {}: {}", change.rule.why(), change.rule.advice());
            }
        }
        out.push('\n');
    }
    let breaking = changes.iter().filter(|change| change.rule.breaks()).count();
    let _ = match (changes.len(), breaking) {
        (0, _) => writeln!(out, "no changes for frontends"),
        (1, 0) => writeln!(out, "1 change, which breaks nothing"),
        (all, 0) => writeln!(out, "{all} changes, none of which breaks anything"),
        (1, _) => writeln!(out, "1 change, which breaks apps that are out"),
        (all, some) => writeln!(out, "{all} changes; {some} of them break apps that are out"),
    };
    out
}

/// The rules as the documents show them.
pub fn table() -> String {
    let mut out =
        String::from("| rule | what changed | apps that are out | because | what to do |\n|---|---|---|---|---|\n");
    for rule in Rule::ALL {
        let weight = if rule.breaks() { "**break**" } else { "go on" };
        let _ = writeln!(out, "| `{}` | {} | {weight} | {} | {} |", rule.id(), rule.what(), rule.why(), rule.advice());
    }
    out
}

/// A step of a path: `.name`, or `["a name"]` where it is no word.
pub(super) fn step(name: &str) -> String {
    let is_word = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-$@".contains(c));
    if is_word { format!(".{name}") } else { format!("[{}]", cut(&Value::from(name).to_string())) }
}

pub(super) fn short(value: &Value) -> String {
    cut(&value.to_string())
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What a document says of when something goes, and where that is told.
pub(super) fn deprecation(schemas: &[&Value]) -> String {
    let told = schemas.iter().find_map(|schema| schema.get("x-weft-deprecated")?.as_object());
    let told = told.into_iter().flatten().filter(|(_, value)| !value.is_null());
    told.map(|(key, value)| format!("{key} {}", value.as_str().map_or_else(|| short(value), cut)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Names of a stranger's document, without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
