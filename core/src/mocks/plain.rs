//! What a schema says of a value without looking inside of it: its type, its bounds, its form.

use super::{calendar, pattern};
use serde_json::{Map, Number, Value};

/// What does not fit, in words.
pub(super) fn plain(schema: &Map<String, Value>, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(expected) = schema.get("type")
        && !is_of(expected, value)
    {
        // All else would say the same again.
        return vec![format!("expected {}, found {}", types(expected), told(value))];
    }
    if let Some(Value::Array(allowed)) = schema.get("enum")
        && !allowed.iter().any(|one| equal(one, value))
    {
        wrong.push(format!("expected one of {}, found {}", Value::from(allowed.clone()), told(value)));
    }
    if let Some(only) = schema.get("const")
        && !equal(only, value)
    {
        wrong.push(format!("expected {only}, found {}", told(value)));
    }
    match value {
        Value::Number(number) => number_bounds(schema, number, &mut wrong),
        Value::String(text) => text_bounds(schema, text, &mut wrong),
        Value::Array(items) => {
            count(schema, ["minItems", "maxItems"], items.len(), "items", &mut wrong);
            let is_unique = |(at, item): (usize, &Value)| !items.iter().take(at).any(|other| equal(other, item));
            if schema.get("uniqueItems") == Some(&Value::Bool(true)) && !items.iter().enumerate().all(is_unique) {
                wrong.push("has an item twice".to_owned());
            }
        }
        Value::Object(members) => {
            count(schema, ["minProperties", "maxProperties"], members.len(), "members", &mut wrong);
        }
        _ => {}
    }
    wrong
}

/// Names of types: `["string", "null"]` or `"string"`.
pub(super) fn named_types(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn types(expected: &Value) -> String {
    named_types(expected).join(" or ")
}

fn is_of(expected: &Value, value: &Value) -> bool {
    named_types(expected).into_iter().any(|name| match (name, value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("object", Value::Object(_))
        | ("array", Value::Array(_))
        | ("number", Value::Number(_))
        | ("string", Value::String(_)) => true,
        ("integer", Value::Number(number)) => is_integer(number),
        _ => false,
    })
}

/// `1.0` is one (JSON Schema, section 4.2.3).
fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// By value: `1` is `1.0`.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

/// The beginning of a value.
fn told(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

fn number_bounds(schema: &Map<String, Value>, number: &Number, wrong: &mut Vec<String>) {
    let Some(value) = number.as_f64() else { return };
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let mut say = |is_wrong: bool, text: String| wrong.extend(is_wrong.then_some(text));
    if let Some(least) = bound("minimum") {
        say(value < least, format!("{number} is less than {least}"));
    }
    if let Some(most) = bound("maximum") {
        say(value > most, format!("{number} is more than {most}"));
    }
    if let Some(least) = bound("exclusiveMinimum") {
        say(value <= least, format!("{number} is not more than {least}"));
    }
    if let Some(most) = bound("exclusiveMaximum") {
        say(value >= most, format!("{number} is not less than {most}"));
    }
    if let Some(step) = bound("multipleOf").filter(|step| *step > 0.0) {
        let parts = value / step;
        say((parts - parts.round()).abs() > 1e-9, format!("{number} is no multiple of {step}"));
    }
    if let Some((format, least, most)) = integer_format(schema) {
        say(!(least..=most).contains(&value), format!("{number} does not fit into {format}"));
    }
}

/// The bounds of Rust's integers, which `schemars` names as formats.
pub(super) fn integer_format(schema: &Map<String, Value>) -> Option<(&str, f64, f64)> {
    let format = schema.get("format")?.as_str()?;
    let (bits, is_signed) = match format {
        "int8" => (8, true),
        "int16" => (16, true),
        "int32" => (32, true),
        "int64" | "int" => (64, true),
        "uint8" => (8, false),
        "uint16" => (16, false),
        "uint32" => (32, false),
        "uint64" | "uint" => (64, false),
        _ => return None,
    };
    let power = |bits: i32| 2_f64.powi(bits);
    Some(if is_signed { (format, -power(bits - 1), power(bits - 1) - 1.0) } else { (format, 0.0, power(bits) - 1.0) })
}

fn text_bounds(schema: &Map<String, Value>, text: &str, wrong: &mut Vec<String>) {
    count(schema, ["minLength", "maxLength"], text.chars().count(), "characters", wrong);
    if let Some(wanted) = schema.get("pattern").and_then(Value::as_str) {
        match pattern::compile(wanted) {
            Ok(pattern) if pattern.is_match(text) => {}
            Ok(_) => wrong.push(format!("{} does not match `{wanted}`", told(&text.into()))),
            Err(reason) => wrong.push(reason),
        }
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !has_format(format, text)
    {
        wrong.push(format!("{} is no {format}", told(&text.into())));
    }
}

/// Formats that are not known say nothing, as the standard has it.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date" => calendar::is_date(text),
        "time" | "partial-time" => calendar::is_time(text),
        "date-time" => calendar::is_date_time(text),
        "uuid" => is_uuid(text),
        "email" => {
            text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
                && !text.contains(char::is_whitespace)
        }
        "uri" | "url" => {
            text.split_once(':').is_some_and(|(scheme, rest)| {
                let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.chars().all(is_scheme)
                    && !rest.is_empty()
            }) && !text.contains(char::is_whitespace)
        }
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "ip" => text.parse::<std::net::IpAddr>().is_ok(),
        _ => true,
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let sizes: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    sizes == [8, 4, 4, 4, 12] && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn count(schema: &Map<String, Value>, keys: [&str; 2], count: usize, of: &str, wrong: &mut Vec<String>) {
    let [least, most] = keys.map(|key| schema.get(key).and_then(Value::as_u64));
    if let Some(least) = least.filter(|least| (count as u64) < *least) {
        wrong.push(format!("has {count} {of}, and needs {least}"));
    }
    if let Some(most) = most.filter(|most| (count as u64) > *most) {
        wrong.push(format!("has {count} {of}, and may have {most}"));
    }
}
