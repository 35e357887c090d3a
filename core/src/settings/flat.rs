//! A configuration as one list of values, each by its key.

use std::collections::BTreeMap;
use toml::Value;

/// All values by their keys; tables of a list by their names: `client[web].prefix`. A text that is no TOML has none.
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
