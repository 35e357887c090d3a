//! Values of which only their reader knows what they have to be.

use super::FromValue;
use toml::de::DeValue;

impl FromValue for serde_json::Value {
    fn expected() -> String {
        "a value".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        Some(json(value))
    }
}

/// A value as JSON. A file is refused where it goes deeper than a few levels, so this ends.
pub fn json(value: &DeValue<'_>) -> Result<serde_json::Value, String> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(yes) => (*yes).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(serde_json::Value::from)
            .map_err(|_| format!("`{number}` has more than 64 bits"))?,
        DeValue::Float(number) => {
            let parsed: f64 = number.as_str().parse().map_err(|_| format!("`{number}` is no number"))?;
            // JSON has no numbers that are none; protobuf's mapping writes them as text.
            match serde_json::Number::from_f64(parsed) {
                Some(finite) => serde_json::Value::Number(finite),
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
            serde_json::Value::Object(members.iter().map(member).collect::<Result<_, String>>()?)
        }
    })
}
