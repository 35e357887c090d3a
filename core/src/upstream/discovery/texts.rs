//! What is kept of the metadata that others write.

use serde_json::Value;
use std::collections::BTreeMap;

/// Metadata of one instance that are kept, and how long their names and texts may be.
const MOST_METADATA: usize = 32;
const LONGEST_TEXT: usize = 256;

/// Whether something is said, and no more than is kept of any text.
pub(super) fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_TEXT
}

/// Metadata are texts; what else can be written as one is.
pub(super) fn texts(metadata: Option<BTreeMap<String, Value>>) -> BTreeMap<String, String> {
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        Value::Bool(_) | Value::Number(_) => Some((key, value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let is_short = |(key, text): &(String, String)| key.len() <= LONGEST_TEXT && text.len() <= LONGEST_TEXT;
    metadata.unwrap_or_default().into_iter().filter_map(text).filter(is_short).take(MOST_METADATA).collect()
}
