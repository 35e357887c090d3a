//! What differs between two configurations, key by key, as it may be told: secrets that stand in them are hidden.

use super::{flat::values, shown::hidden};
use std::fmt;

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
    let (mut before, after) = (values(before), values(after));
    let told = |key: &str, value| hidden(key, value).to_string();
    let mut changes: Vec<Change> = Vec::new();
    for (key, after) in after {
        let before = before.remove(&key);
        if before.as_ref() != Some(&after) {
            let (before, after) = (before.map(|value| told(&key, value)), Some(told(&key, after)));
            changes.push(Change { key, before, after });
        }
    }
    changes.extend(before.into_iter().map(|(key, value)| {
        let before = Some(told(&key, value));
        Change { key, before, after: None }
    }));
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
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
    #[test]
    fn no_secret_is_told() {
        let of = |password: &str| {
            format!("[cache]\nshared = \"redis://u:{password}@h:1\"\n[admin]\ntoken = \"{password}\"\n")
        };
        let lines: Vec<_> = diff(&of("s3cret"), &of("an0ther")).iter().map(ToString::to_string).collect();
        let url = "\"redis://(hidden)@h:1\"";
        let expected = ["admin.token: \"(hidden)\" → \"(hidden)\"".to_owned(), format!("cache.shared: {url} → {url}")];
        assert_eq!(lines, expected);
        assert!(!format!("{:?}", diff(&of("s3cret"), "")).contains("s3cret"));
    }
}
