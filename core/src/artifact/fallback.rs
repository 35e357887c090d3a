//! The reply that a manifest declares: a table, as the rest of the file, or JSON in a string.

use crate::settings::FromValue;
use serde_json::Value;
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

/// A TOML file is refused where it goes deeper than a few levels, so this ends.
fn json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(yes) => (*yes).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| format!("`{number}` has more than 64 bits"))?,
        DeValue::Float(number) => {
            let parsed: f64 = number.as_str().parse().map_err(|_| format!("`{number}` is no number"))?;
            // JSON has no numbers that are none; protobuf's mapping writes them as text.
            match serde_json::Number::from_f64(parsed) {
                Some(finite) => Value::Number(finite),
                None if parsed.is_nan() => "NaN".into(),
                None if parsed > 0.0 => "Infinity".into(),
                None => "-Infinity".into(),
            }
        }
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Result<_, _>>()?,
        DeValue::Table(members) => {
            let member = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Ok((key.to_string(), json(value.get_ref())?))
            };
            Value::Object(members.iter().map(member).collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
