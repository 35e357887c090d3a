//! What differs between two configurations, key by key.

use std::{collections::BTreeMap, fmt};
use toml::Value;

/// One key whose value is another now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// `backend.films.timeout`; tables of a list by their names: `client[web].prefix`.
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, before, after } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "{key}: {before} → {after}"),
            (None, Some(after)) => write!(f, "{key}: {after} (new)"),
            (Some(before), None) => write!(f, "{key}: {before} (gone)"),
            (None, None) => write!(f, "{key}"),
        }
    }
}

/// The changes, by key. A text that is no TOML counts as empty: it was refused elsewhere.
pub fn diff(before: &str, after: &str) -> Vec<Change> {
    let (mut before, after) = (flat(before), flat(after));
    let mut changes: Vec<Change> = Vec::new();
    for (key, after) in after {
        let before = before.remove(&key);
        if before.as_ref() != Some(&after) {
            changes.push(Change { key, before, after: Some(after) });
        }
    }
    changes.extend(before.into_iter().map(|(key, before)| Change { key, before: Some(before), after: None }));
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

fn flat(text: &str) -> BTreeMap<String, String> {
    values(text).into_iter().map(|(key, value)| (key, value.to_string())).collect()
}

/// All values by their keys.
pub(super) fn values(text: &str) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        flatten("", &Value::Table(table), &mut out);
    }
    out
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
                let key = if plain { key.clone() } else { format!("{key:?}") };
                flatten(&if path.is_empty() { key } else { format!("{path}.{key}") }, value, out);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_table) => {
            for (place, value) in list.iter().enumerate() {
                let name = value.get("name").and_then(Value::as_str).map_or_else(|| place.to_string(), str::to_owned);
                flatten(&format!("{path}[{name}]"), value, out);
            }
        }
        value => drop(out.insert(path.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_key() {
        let before = "[http]\ntimeout = \"1s\"\nstreams = 5\n[[client]]\nname = \"web\"\nprefix = \"/web\"\n";
        let after = "[[client]]\nname = \"web\"\nprefix = \"/w\"\n[[client]]\nname = \"tv\"\n[http]\ntimeout = '1s'\n";
        let lines: Vec<_> = diff(before, after).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            ["client[tv].name: \"tv\" (new)", "client[web].prefix: \"/web\" → \"/w\"", "http.streams: 5 (gone)"]
        );
        assert!(diff(after, after).is_empty());
    }
}
