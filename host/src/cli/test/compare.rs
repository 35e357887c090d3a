//! What came held against what was expected. In expected JSON `"*"` stands for any value, also inside of a text; as the name of a member
//! for all members that are not named, of which those that are null need not be named; and `"**"` at the end of a list for any more items.

use super::{case::Expected, stage::Outcome};
use serde_json::{Map, Value};

/// What differs, in words.
pub(super) fn differences(expected: &Expected, found: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(status) = expected.status.filter(|status| *status != found.status) {
        wrong.push(format!("status: expected {status}, found {}", found.told()));
    }
    for (name, wanted) in &expected.headers {
        let values: Vec<String> = found
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        match values.as_slice() {
            [] => wrong.push(format!("headers.{name}: expected {wanted:?}, and it is not there")),
            values if values.iter().any(|value| matches(wanted, value)) => {}
            values => wrong.push(format!("headers.{name}: expected {wanted:?}, found {:?}", values.join(", "))),
        }
    }
    if let Some(body) = &expected.body {
        match (found.json(), body) {
            (Some(json), body) => compare("body", body, &json, &mut wrong),
            (None, Value::String(wanted)) => {
                let text = String::from_utf8_lossy(&found.body);
                if !matches(wanted, &text) {
                    wrong.push(format!("body: expected {wanted:?}, found {:?}", brief(&text)));
                }
            }
            (None, _) => {
                wrong.push(format!("body: expected JSON, found {:?}", brief(&String::from_utf8_lossy(&found.body))))
            }
        }
    }
    if let Some(degraded) = expected.degraded.as_ref().filter(|degraded| **degraded != found.degraded) {
        wrong.push(format!("degraded: expected {}, found {}", list(degraded), list(&found.degraded)));
    }
    if let Some(upstream) = &expected.upstream {
        calls(upstream, found, &mut wrong);
    }
    if let Some(depth) = expected.depth.filter(|depth| *depth != found.depth) {
        wrong.push(format!("depth: expected {depth}, found {}", found.depth));
    }
    wrong
}

fn calls(expected: &Map<String, Value>, found: &Outcome, wrong: &mut Vec<String>) {
    let any = expected.get("*");
    for (method, wanted) in expected.iter().filter(|(method, _)| *method != "*") {
        let count = found.upstream.get(method).copied().unwrap_or_default();
        if wanted.as_str() != Some("*") && wanted.as_u64() != Some(count as u64) {
            wrong.push(format!("upstream.\"{method}\": expected {wanted}, found {count}"));
        }
    }
    for (method, count) in found.upstream.iter().filter(|(method, _)| !expected.contains_key(*method)) {
        if any.is_none() {
            wrong.push(format!("upstream.\"{method}\": expected none, found {count}"));
        }
    }
}

fn compare(path: &str, expected: &Value, found: &Value, wrong: &mut Vec<String>) {
    match (expected, found) {
        (Value::String(wanted), _) if wanted == "*" => {}
        (Value::String(wanted), Value::String(text)) if matches(wanted, text) => {}
        (Value::Number(one), Value::Number(other)) if one == other || one.as_f64() == other.as_f64() => {}
        (Value::Object(expected), Value::Object(found)) => {
            for (name, wanted) in expected.iter().filter(|(name, _)| *name != "*") {
                match found.get(name) {
                    Some(value) => compare(&format!("{path}.{name}"), wanted, value, wrong),
                    None => wrong.push(format!("{path}.{name}: expected {}, and it is not there", told(wanted))),
                }
            }
            for (name, value) in found.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                match expected.get("*") {
                    // TOML has no null, and to most readers it says what absence says.
                    None if value.is_null() => {}
                    Some(wanted) => compare(&format!("{path}.{name}"), wanted, value, wrong),
                    None => wrong.push(format!("{path}.{name}: is not expected, and is {}", told(value))),
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            let (wanted, is_open) = match expected.split_last() {
                Some((last, rest)) if last == "**" => (rest, true),
                _ => (expected.as_slice(), false),
            };
            for (at, (wanted, item)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{path}[{at}]"), wanted, item, wrong);
            }
            if found.len() < wanted.len() || (found.len() > wanted.len() && !is_open) {
                let least = if is_open { "at least " } else { "" };
                wrong.push(format!("{path}: expected {least}{} items, found {}", wanted.len(), found.len()));
            }
        }
        (expected, found) if expected == found => {}
        (expected, found) => wrong.push(format!("{path}: expected {}, found {}", told(expected), told(found))),
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any letters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn told(value: &Value) -> String {
    brief(&value.to_string())
}

fn brief(text: &str) -> String {
    if text.chars().count() <= 200 { text.to_owned() } else { text.chars().take(197).chain("...".chars()).collect() }
}

fn list(parts: &[String]) -> String {
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(expected: &Value, found: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        compare("body", expected, found, &mut wrong);
        wrong
    }

    #[test]
    fn a_star_stands_for_what_nobody_cares_about() {
        let found =
            json!({"id": 7, "title": "Alien", "cast": [{"name": "A"}, {"name": "B"}], "year": 1979, "end": null});
        for fitting in [
            json!("*"),
            json!({"id": 7.0, "title": "*", "cast": "*", "year": "*"}),
            json!({"id": 7, "title": "Al*n", "*": "*"}),
            json!({"id": 7, "title": "*", "cast": "*", "year": 1979}),
            json!({"cast": [{"name": "A"}, "**"], "*": "*"}),
            json!({"cast": ["*", "*"], "*": "*"}),
        ] {
            assert_eq!(wrong(&fitting, &found), Vec::<String>::new(), "{fitting}");
        }
    }

    #[test]
    fn what_differs_is_told_with_its_place() {
        let found = json!({"id": 7, "cast": [{"name": "A"}]});
        for (expected, told) in [
            (json!({"id": 8, "cast": "*"}), "body.id: expected 8, found 7"),
            (json!({"id": 7}), "body.cast: is not expected, and is [{\"name\":\"A\"}]"),
            (json!({"id": 7, "cast": [{"name": "B*"}]}), "body.cast[0].name: expected \"B*\", found \"A\""),
            (json!({"id": 7, "cast": []}), "body.cast: expected 0 items, found 1"),
            (json!({"id": 7, "cast": ["*", "*", "**"]}), "body.cast: expected at least 2 items, found 1"),
            (json!({"id": 7, "cast": "*", "no": 1}), "body.no: expected 1, and it is not there"),
        ] {
            assert_eq!(wrong(&expected, &found), [told], "{expected}");
        }
    }

    #[test]
    fn stars_inside_of_texts_stand_for_letters() {
        for (pattern, text) in [("*", ""), ("a*c", "abc"), ("*b*", "abc"), ("abc", "abc"), ("a*b*c", "a-b-c")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*c", "ab"), ("abc", "ab"), ("a*b*c", "acb"), ("ab*ba", "aba"), ("", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
