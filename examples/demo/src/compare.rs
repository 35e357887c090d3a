//! Is an answer the expected one? Bodies are compared as JSON values, as a whole.

use crate::{ANY, Case};
use serde_json::Value;
use std::fmt::Write;

/// So many differences are told of one body.
const MOST: usize = 8;

/// Whether status and body are the expected ones; else what is different.
pub fn check(case: &Case, status: u16, body: &[u8]) -> Result<(), String> {
    if status != case.status {
        return Err(format!("expected status {}, got {status}", case.status));
    }
    let Some(expected) = &case.expected else {
        return match body {
            [] if status == 204 => Ok(()),
            _ if status == 204 => Err(format!("expected no body, got {} bytes", body.len())),
            _ => Err(format!("{} is missing or no JSON; nothing to compare with", case.file().display())),
        };
    };
    let found: Value = serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let mut differences = Vec::new();
    compare("", expected, &found, &mut differences);
    if differences.is_empty() {
        return Ok(());
    }
    let more = differences.len().saturating_sub(MOST);
    differences.truncate(MOST);
    let mut text = differences.join("\n");
    if more > 0 {
        // Writing to a string can't fail.
        let _ = write!(text, "\n… {more} more differences");
    }
    Err(text)
}

/// Whether the answer has the expected headers; `get` finds one by its name.
pub fn check_headers<'a>(case: &Case, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), String> {
    let wrong = case.answer_headers.iter().filter_map(|(name, expected)| match get(name) {
        Some(found) if found == *expected => None,
        Some(found) => Some(format!("header {name}: expected {expected:?}, got {found:?}")),
        None => Some(format!("header {name}: expected {expected:?}, got none")),
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn compare(at: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::String(any), Value::String(found)) if any == ANY && !found.is_empty() => {}
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                let at = format!("{at}/{name}");
                match found.get(name) {
                    Some(found) => compare(&at, value, found, differences),
                    None => differences.push(format!("{at}: expected {}, is missing", short(value))),
                }
            }
            for (name, value) in found.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                differences.push(format!("{at}/{name}: not expected, is {}", short(value)));
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                differences.push(format!("{at}: expected {} items, got {}", expected.len(), found.len()));
            }
            for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{at}/{place}"), expected, found, differences);
            }
        }
        _ if expected == found => {}
        _ => {
            let at = if at.is_empty() { "the body" } else { at };
            differences.push(format!("{at}: expected {}, got {}", short(expected), short(found)));
        }
    }
}

/// The value as JSON, cut where it is long.
fn short(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn case(status: u16, expected: Value) -> Case {
        Case { expected: Some(expected), ..Case::new("no-such-file", "GET", "/", status) }
    }

    fn differences(expected: Value, found: Value) -> String {
        check(&case(200, expected), 200, found.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn equal_bodies_are_equal_whatever_their_order_and_space() {
        let case = case(200, json!({ "a": [1, { "b": null }], "c": 4.5 }));
        assert_eq!(check(&case, 200, br#" { "c": 4.5, "a": [1, {"b": null}] } "#), Ok(()));
    }

    #[test]
    fn every_difference_is_told_with_its_place() {
        let expected = json!({ "a": [1, 2], "b": { "c": "x" }, "d": 1 });
        let found = json!({ "a": [1], "b": { "c": "y" }, "e": true });
        let text = differences(expected, found);
        assert_eq!(
            text,
            "/a: expected 2 items, got 1\n/b/c: expected \"x\", got \"y\"\n/d: expected 1, is missing\n/e: not expected, is true"
        );
        assert_eq!(differences(json!({}), json!([])), "the body: expected {}, got []");
        assert_eq!(differences(json!(vec![0; 20]), json!(vec![1; 20])).lines().last(), Some("… 12 more differences"));
    }

    #[test]
    fn a_value_that_is_another_each_time_has_to_be_there() {
        let problem = case(404, json!({ "status": 404, "request_id": ANY }));
        assert_eq!(check(&problem, 404, br#"{"status": 404, "request_id": "abc"}"#), Ok(()));
        assert!(check(&problem, 404, br#"{"status": 404, "request_id": ""}"#).is_err());
        assert!(check(&problem, 404, br#"{"status": 404}"#).unwrap_err().contains("/request_id"));
    }

    #[test]
    fn status_and_the_absence_of_a_body_count() {
        assert_eq!(check(&case(200, json!({})), 500, b"{}").unwrap_err(), "expected status 200, got 500");
        let empty = Case::new("no-such-file", "POST", "/", 204);
        assert_eq!(check(&empty, 204, b""), Ok(()));
        assert!(check(&empty, 204, b"{}").is_err());
        let missing = Case::new("no-such-file", "GET", "/", 200);
        assert!(check(&missing, 200, b"{}").unwrap_err().contains("no-such-file.json is missing"));
    }

    #[test]
    fn headers_are_compared_by_name_and_value() {
        let case = Case::new("no-such-file", "DELETE", "/", 405).answers("allow", "GET");
        let kind = "application/problem+json";
        assert_eq!(check_headers(&case, |name| Some(if name == "allow" { "GET" } else { kind })), Ok(()));
        let text = check_headers(&case, |name| (name != "allow").then_some("text/plain")).unwrap_err();
        assert_eq!(
            text,
            format!(
                "header content-type: expected \"{kind}\", got \"text/plain\"\nheader allow: expected \"GET\", got none"
            )
        );
    }
}
