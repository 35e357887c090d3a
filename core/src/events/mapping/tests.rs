//! What messages mean, and which mean nothing.

use super::*;
use proptest::prelude::*;

fn mapping(templates: &[&str]) -> Mapping {
    let templates: Vec<String> = templates.iter().map(ToString::to_string).collect();
    Mapping::parse(&templates, Payload::Json, "films.*.changed").unwrap()
}

fn tags(templates: &[&str], payload: &str) -> Result<Vec<String>, Skipped> {
    mapping(templates).tags("films.7.changed", &Bytes::copy_from_slice(payload.as_bytes()))
}

#[test]
fn tags_are_made_of_fields_lists_and_tokens() {
    assert_eq!(tags(&["all-films"], "no JSON"), Ok(vec!["all-films".to_owned()]), "nobody reads what nobody needs");
    assert_eq!(tags(&["film:{subject.2}"], ""), Ok(vec!["film:7".to_owned()]));
    assert_eq!(tags(&["film:{id}"], r#"{"id": 9007199254740993}"#), Ok(vec!["film:9007199254740993".to_owned()]));
    let nested = r#"{"films": [{"id": "a"}, {"id": "b"}], "shop": {"no": 3}}"#;
    assert_eq!(tags(&["{shop.no}/{films.id}"], nested), Ok(vec!["3/a".to_owned(), "3/b".to_owned()]));
    assert_eq!(tags(&["{films.id}", "shop:{shop.no}"], nested).unwrap().len(), 3);
}

#[test]
fn a_message_that_means_nothing_says_why() {
    for (payload, reason) in [
        ("", "unreadable"),
        ("{\"id\":", "unreadable"),
        ("{}", "field-missing"),
        ("{\"id\": []}", "field-missing"),
        ("{\"id\": [1, {}]}", "field-missing"),
        ("7", "field-missing"),
    ] {
        assert_eq!(tags(&["film:{id}"], payload).unwrap_err().reason(), reason, "{payload}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(tags(&["film:{id}"], &deep).unwrap_err().reason(), "unreadable");
    let long = format!("{{\"id\": \"{}\"}}", "x".repeat(2_000));
    assert_eq!(tags(&["film:{id}"], &long), Err(Skipped::LongTag));
    let many: Vec<_> = (0..200).collect();
    let many = serde_json::json!({ "a": many, "b": many }).to_string();
    assert_eq!(tags(&["{a}-{b}"], &many), Err(Skipped::ManyTags), "lists multiply");
    assert_eq!(tags(&["film:{id}"], &format!("[{}]", "1,".repeat(1 << 20))), Err(Skipped::TooLarge));
}

#[test]
fn templates_that_can_mean_nothing_are_told() {
    let refused = |template: &str, subject| Mapping::parse(&[template.to_owned()], Payload::Json, subject).unwrap_err();
    for (template, reason) in [
        ("", "empty"),
        ("film:{id", "open brace"),
        ("film:{}", "neither a field"),
        ("film:{a..b}", "neither a field"),
        ("film:{subject.0}", "neither a field"),
        ("film:{subject.x}", "neither a field"),
        ("film:{subject.4}", "no token 4"),
    ] {
        assert!(refused(template, "films.*.changed").contains(reason), "{template}");
    }
    assert!(
        Mapping::parse(&["{subject.9}".to_owned()], Payload::None, "films.>").is_ok(),
        "`>` is any number of tokens"
    );
    assert!(Mapping::parse(&["{id}".to_owned()], Payload::None, "films").is_err());
}

proptest! {
    #[test]
    fn no_payload_and_no_subject_breaks_it(subject in "[a-z.*>]{0,20}", payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let mapping = mapping(&["{a.b}-{subject.2}", "{c}"]);
        let _ = mapping.tags(&subject, &Bytes::from(payload));
    }
}
