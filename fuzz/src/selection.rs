//! `?fields=`, and what it takes out of JSON.

use serde_json::Value;
use weft_selection::Selection;

/// A first line with paths, and the rest as an answer: a selection that is the same in its own spelling, and a part of the answer.
pub fn selection(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (fields, body) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(selection) = Selection::parse(fields.split('&')) else { return false };
    let spelt = selection.to_string();
    assert_eq!(Selection::parse([spelt.as_str()]).as_ref(), Ok(&selection), "{spelt}");
    for path in selection.paths() {
        assert!(selection.has(&path), "{path}");
    }
    let cut = selection.cut(body.as_bytes());
    let Ok(whole) = serde_json::from_str::<Value>(body) else { return true };
    // Values that have one name twice are as they were written; serde_json takes the last.
    let Ok(cut) = cut else { panic!("{body:?} is JSON") };
    assert!(cut.len() <= body.len(), "a part is no longer than the whole");
    let Ok(part) = serde_json::from_slice::<Value>(&cut) else { panic!("{spelt} of {body:?} is no JSON") };
    is_part(&part, &whole);
    let Ok(again) = selection.cut(&cut) else { panic!("a part can be cut") };
    assert_eq!(serde_json::from_slice::<Value>(&again).ok().as_ref(), Some(&part), "what was chosen is chosen");
    true
}

fn is_part(part: &Value, whole: &Value) {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            for (name, part) in part {
                is_part(part, whole.get(name).unwrap_or(&Value::Null));
            }
        }
        (Value::Array(part), Value::Array(whole)) => {
            assert_eq!(part.len(), whole.len(), "no item is left out");
            part.iter().zip(whole).for_each(|(part, whole)| is_part(part, whole));
        }
        (part, whole) => assert_eq!(part, whole),
    }
}
