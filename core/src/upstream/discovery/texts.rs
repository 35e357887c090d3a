//! What is kept of the lists and metadata that others write.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use std::{collections::BTreeMap, fmt};

/// Entries of a list that are looked at: twice as many as a set may have.
const MOST_ENTRIES: usize = 20_000;

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

/// The entries of a list, one by one, without those beyond a bound: a list of millions that are nothing is not worth a look each.
#[derive(Debug, Default)]
pub(super) struct Entries<'a> {
    pub(super) first: Vec<&'a RawValue>,
    /// So many more stand there.
    pub(super) more: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Entries::default();
        while entries.first.len() < MOST_ENTRIES {
            let Some(entry) = list.next_element::<&RawValue>()? else { return Ok(entries) };
            entries.first.push(entry);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            entries.more += 1;
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_list_the_rest_is_counted() {
        let list = format!("[{}1]", "0,".repeat(MOST_ENTRIES + 6));
        let entries: Entries<'_> = serde_json::from_str(&list).unwrap();
        assert_eq!((entries.first.len(), entries.more), (MOST_ENTRIES, 7));
        assert!(serde_json::from_str::<Entries<'_>>("[0,").is_err());
        assert!(serde_json::from_str::<Entries<'_>>("{}").is_err());
    }
}
