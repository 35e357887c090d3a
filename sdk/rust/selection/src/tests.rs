//! What is the same as what, and that a cut is what one would take out of the values.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn selection(text: &str) -> Selection {
    Selection::parse([text]).unwrap()
}

#[test]
fn order_repetition_and_what_is_covered_mean_nothing() {
    for text in ["b,a.c", "a.c,b", " a.c , b ,a.c,b", "b.x,b,a.c.d,a.c"] {
        assert_eq!(selection(text).to_string(), "a.c,b", "{text}");
    }
    assert_eq!(Selection::parse(["b", "a.c"]).unwrap(), selection("a.c,b"));
    assert_eq!(Selection::parse([]).unwrap(), Selection::default());
    assert!(Selection::default().is_everything() && Selection::default().has("a.b"));
}

#[test]
fn what_is_no_selection_says_why() {
    let wrong = |text: &str| Selection::parse([text]).unwrap_err();
    for text in ["", ",", "a,,b", ".a", "a.", "a..b", " "] {
        assert_eq!(wrong(text), Malformed::Empty, "{text:?}");
    }
    assert_eq!(wrong(&"a".repeat(MOST_BYTES + 1)), Malformed::TooLong);
    assert_eq!(wrong(&["a"; MOST_PATHS + 1].join(",")), Malformed::TooMany);
    let deep = ["a"; DEEPEST + 1].join(".");
    assert_eq!(wrong(&deep), Malformed::TooDeep(deep));
    assert!(Selection::parse([&*["a"; DEEPEST].join(".")]).is_ok());
}

#[test]
fn what_is_asked_for_is_told_from_both_sides() {
    let asked = selection("cast.actor,title");
    for (path, has) in
        [("cast", true), ("cast.actor", true), ("cast.actor.name", true), ("cast.role", false), ("x", false)]
    {
        assert_eq!(asked.has(path), has, "{path}");
    }
}

#[test]
fn a_cut_keeps_what_is_asked_for_as_it_was_written() {
    let cut = |fields: &str, json: &str| String::from_utf8(selection(fields).cut(json.as_bytes()).unwrap()).unwrap();
    for (fields, json, expected) in [
        ("a", r#"{"b": {"a": 1}, "a" : [1, {"x": "}"}] }"#, r#"{"a":[1, {"x": "}"}]}"#),
        (
            "a.b",
            r#"{"a": [{"b": 1, "c": 2}, null, 7, {"c": 3}, [{"b": 4}]]}"#,
            r#"{"a":[{"b":1},null,7,{},[{"b":4}]]}"#,
        ),
        ("a", r#" [ {"a":1,"b":2} , {} ] "#, r#"[{"a":1},{}]"#),
        ("a", "[]", "[]"),
        ("a", "12", "12"),
        ("a", "\"text\"", "\"text\""),
        ("é", r#"{"\u00e9": 1, "\ud83d\ude00": 2}"#, r#"{"\u00e9":1}"#),
        ("😀", r#"{"\u00e9": 1, "\ud83d\ude00": 2}"#, r#"{"\ud83d\ude00":2}"#),
        ("a", r#"{"b": "\"", "a": -1.5e+3}"#, r#"{"a":-1.5e+3}"#),
        ("a", r#"{"a": 1, "a": 2}"#, r#"{"a":1,"a":2}"#),
    ] {
        assert_eq!(cut(fields, json), expected, "{fields} of {json}");
    }
}

#[test]
fn what_is_no_json_is_refused_and_ends() {
    let asked = selection("a.b");
    for json in [
        "",
        " ",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{a:1}",
        "[1",
        "[1,]",
        "{} x",
        "\"",
        "{\"a\\",
        "]",
    ] {
        assert!(asked.cut(json.as_bytes()).is_err(), "{json}");
    }
    assert!(asked.cut("[".repeat(100_000).as_bytes()).is_err());
    let whole = selection("a").cut(format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes());
    assert!(whole.is_ok(), "what is kept as a whole may be as deep as it likes");
}

/// The same by values.
fn taken(node: &Node, value: &Value) -> Value {
    match value {
        _ if node.is_whole() => value.clone(),
        Value::Array(items) => items.iter().map(|item| taken(node, item)).collect(),
        Value::Object(members) => {
            let kept =
                members.iter().filter_map(|(name, value)| Some((name.clone(), taken(node.members.get(name)?, value))));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), any::<i32>().prop_map(Value::from), ".{0,6}".prop_map(Value::from)];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ab]|c\"|\u{e9}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_cut_is_what_the_values_say(value in values(), paths in proptest::collection::vec("[abé]([.][abé]){0,3}", 1..4)) {
        let asked = selection(&paths.join(","));
        let again = selection(&asked.to_string());
        prop_assert_eq!(&again, &asked);
        for path in &paths {
            prop_assert!(asked.has(path));
        }
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let cut = asked.cut(text.as_bytes()).unwrap();
            let cut: Value = serde_json::from_slice(&cut).unwrap();
            prop_assert_eq!(&cut, &taken(asked.0.as_ref().unwrap(), &value));
        }
    }

    #[test]
    fn bytes_of_any_kind_end(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = selection("a.b").cut(&bytes);
    }
}
