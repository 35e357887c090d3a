//! What is written, where it can be told without a compiler. `tests/all/clients.rs` has one.

use super::{file, function_names, names};
use crate::compat::{Document, Unreadable};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn document(schemas: Value) -> Document {
    Document::of(json!({ "openapi": "3.1.0", "components": { "schemas": schemas } })).unwrap()
}

fn declared(schema: Value) -> String {
    let text = file(&document(json!({ "T": schema }))).unwrap();
    let (_, rest) = text.split_once("\nexport type T = ").or_else(|| text.split_once("\nexport interface T ")).unwrap();
    rest.split("\n\n").next().unwrap().trim_end_matches(';').to_owned()
}

#[test]
fn schemas_are_types() {
    for (schema, text) in [
        (json!({ "type": "integer" }), "number"),
        (json!({ "type": ["string", "null"] }), "string | null"),
        (json!({ "type": "array", "items": { "type": ["string", "null"] } }), "(string | null)[]"),
        (json!({ "type": "array" }), "unknown[]"),
        (json!({ "enum": ["a", 1, null, true] }), "\"a\" | 1 | null | true"),
        (json!({ "anyOf": [{ "$ref": "#/components/schemas/T" }] , "type": "object" }), "in a ring"),
        (json!({ "allOf": [{ "type": "string" }, { "enum": ["a", "b"] }] }), "string & (\"a\" | \"b\")"),
        (json!({ "oneOf": [{ "const": "a" }, { "const": "b" }, { "const": "a" }] }), "\"a\" | \"b\""),
        (json!({ "additionalProperties": { "type": "string" } }), "{ [key: string]: string }"),
        (
            json!({ "properties": { "a": {}, "b-c": { "type": "null" } }, "required": ["a"] }),
            "{\n  a: unknown;\n  \"b-c\"?: null;\n}",
        ),
        (json!(true), "unknown"),
        (json!({ "not": {} }), "unknown"),
    ] {
        if text == "in a ring" {
            let ring = file(&document(json!({ "T": schema }))).unwrap_err();
            assert!(matches!(ring, Unreadable::Ring(_)), "{ring}");
            continue;
        }
        assert_eq!(declared(schema.clone()), text, "{schema}");
    }
}

#[test]
fn functions_have_the_names_of_their_operations() {
    let operations = json!({
        "/films": { "get": { "operationId": "listFilms" }, "post": {} },
        "/films/{id}/rating": { "put": { "operationId": "rate film" } },
    });
    let document = Document::of(json!({ "openapi": "3.1.0", "paths": operations })).unwrap();
    let names = function_names(&document).unwrap();
    let expected = [("GET /films", "listFilms"), ("POST /films", "postFilms"), ("PUT /films/{id}/rating", "rateFilm")];
    assert_eq!(names, expected.map(|(endpoint, name)| (endpoint.to_owned(), name.to_owned())));
    let text = file(&document).unwrap();
    for (_, name) in names {
        assert!(text.contains(&format!("export function {name}(client: Client, ")), "{text}");
    }
}

/// Chains and fans without end are an error, or an end, and soon.
#[test]
fn documents_that_mean_harm_end() {
    let to = |name: String| json!({ "$ref": format!("#/components/schemas/{name}") });
    let chain = (0..50_000).map(|n| (format!("S{n}"), json!({ "allOf": [to(format!("S{}", (n + 1) % 50_000))] })));
    let ring = file(&document(chain.collect::<Map<_, _>>().into())).unwrap_err();
    assert!(matches!(ring, Unreadable::Ring(_)), "{ring}");
    // Parts without names that hold the next one many times over.
    let part = |n: usize| json!({ "$ref": format!("#/parts/{n}") });
    let parts: Vec<Value> =
        (0..50).map(|n| json!({ "properties": { "a": part((n + 1) % 50), "b": part((n + 1) % 50) } })).collect();
    let fan = json!({ "openapi": "3.1.0", "parts": parts, "components": { "schemas": { "T": part(0) } } });
    let long = file(&Document::of(fan).unwrap()).unwrap_err();
    assert!(matches!(long, Unreadable::Long(_)), "{long}");
}

proptest! {
    #[test]
    fn any_text_is_a_literal_and_a_comment_that_it_cannot_leave(text in ".*|.*[*]/.*|.*\u{2028}.*") {
        let literal = names::literal(&text);
        let inner = literal.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let ends_a_line = |c: char| c < ' ' || ['\u{2028}', '\u{2029}'].contains(&c);
        prop_assert!(!inner.contains(ends_a_line));
        prop_assert!(!inner.replace("\\\\", "").replace("\\\"", "").contains('"'));
        let mut comment = String::new();
        names::comment(&text, 2, &mut comment);
        prop_assert!(comment.is_empty() || comment.matches("*/").count() == 1 && comment.ends_with("*/\n"), "{comment}");
    }

    #[test]
    fn any_texts_are_identifiers_of_their_own(texts in proptest::collection::vec(".{0,5}|class|a-b|a b|\u{e9}+", 0..20)) {
        let mut taken = names::Names::default();
        let mut all: Vec<String> = texts.iter().map(|text| taken.take(&names::type_name(text))).collect();
        prop_assert!(all.iter().all(|name| names::is_identifier(name) && name != "class"), "{all:?}");
        all.sort();
        all.dedup();
        prop_assert_eq!(all.len(), texts.len());
    }
}
