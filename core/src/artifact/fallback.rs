//! The reply that a manifest declares: a table, as the rest of the file, or JSON in a string.

use crate::settings::{FromValue, json};
use toml::de::DeValue;

/// JSON as text.
#[derive(Debug)]
pub(super) struct Reply(pub(super) String);

impl FromValue for Reply {
    fn expected() -> String {
        "the reply, as a table or as JSON in a string".into()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        match value {
            DeValue::String(text) => Some(Ok(Self(text.to_string()))),
            DeValue::Table(_) | DeValue::Array(_) => Some(json(value).map(|json| Self(json.to_string()))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_table_is_what_its_json_is() {
        let reply = |text: &str| {
            let table = toml::de::DeTable::parse(text).unwrap();
            Reply::from_value(table.get_ref().get("value").unwrap().get_ref()).map(|reply| reply.map(|reply| reply.0))
        };
        let table = reply(
            "value = { title = \"Alien\", id = 0x10, stars = 4.5, no = nan, on = true, names = [\"a\"], in = { a = 1 } }",
        );
        let table: Value = serde_json::from_str(&table.unwrap().unwrap()).unwrap();
        let expected = serde_json::json!({
            "title": "Alien", "id": 16, "stars": 4.5, "no": "NaN", "on": true, "names": ["a"], "in": {"a": 1}
        });
        assert_eq!(table, expected);
        assert_eq!(reply("value = '{\"a\": 1}'").unwrap().unwrap(), "{\"a\": 1}");
        assert!(reply("value = 1").is_none());
    }
}
