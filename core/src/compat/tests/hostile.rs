//! Documents that mean harm, or another standard: each ends with a sentence, and soon.

use super::{Document, answer_among, diff};
use crate::compat::{LARGEST, Unreadable};
use serde_json::{Map, Value, json};

fn refused(bytes: &[u8]) -> String {
    Document::read(bytes).unwrap_err().to_string()
}

fn reference(name: impl std::fmt::Display) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[test]
fn what_is_no_document_of_this_version_is_refused_with_a_sentence() {
    assert!(refused(b"{").contains("it is no JSON"));
    assert!(refused(b"openapi: 3.1.0").contains("it is no JSON"));
    assert!(refused(b"[]").contains("it is no OpenAPI document"));
    assert!(refused(br#"{"swagger":"2.0"}"#).contains("it is of OpenAPI 2.0, and only 3.1 is read: have it converted"));
    assert!(refused(br#"{"openapi":"3.0.3"}"#).contains("it is of OpenAPI 3.0.3, and only 3.1 is read"));
    assert!(refused(br#"{"openapi":"3.10.0"}"#).contains("only 3.1 is read"));
    assert!(refused(br#"{"openapi":"3.1.0","paths":[]}"#).contains("paths: expected an object"));
    assert!(refused("[".repeat(100_000).as_bytes()).contains("recursion limit"));
    assert_eq!(Document::read(&vec![b' '; LARGEST + 1]).unwrap_err(), Unreadable::Large);
    assert!(Document::read("\u{feff}{\"openapi\":\"3.1.0\"}".as_bytes()).is_ok());
}

#[test]
fn references_that_lead_nowhere_are_named() {
    for (schema, said) in [
        (reference("Missing"), "leads nowhere"),
        (json!({ "$ref": "other.json#/Film" }), "leads out of the document"),
        (json!({ "$ref": 1 }), "$ref: expected a text"),
        (json!(1), "a schema: expected an object"),
    ] {
        let document = answer_among(schema, json!({}));
        let error = diff(&document, &document).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let ring =
        json!({ "openapi": "3.1.0", "paths": { "/a": { "$ref": "#/paths/~1b" }, "/b": { "$ref": "#/paths/~1a" } } });
    let ring = Document::of(ring).unwrap();
    assert!(diff(&ring, &ring).unwrap_err().to_string().contains("in a ring"));
}

/// Each holds the next one, a hundred thousand times.
#[test]
fn a_chain_of_schemas_ends_before_the_stack_does() {
    let next = |number: usize| json!({ "properties": { "next": reference(format!("S{}", number + 1)) } });
    let mut schemas: Map<String, Value> = (0..100_000).map(|number| (format!("S{number}"), next(number))).collect();
    schemas.insert("S100000".to_owned(), json!({}));
    let document = answer_among(reference("S0"), schemas.into());
    let error = diff(&document, &document).unwrap_err();
    assert!(error.to_string().contains("POST /films response 200 application/json $.next.next"), "{error}");
    assert!(error.to_string().ends_with("500 deep"), "{error}");
}

/// Schemas that hold the next one many times over: as a tree there would be no end of them.
#[test]
fn what_comes_again_is_compared_once() {
    let next = |number: usize| {
        let next = reference(format!("S{}", number + 1));
        let fields: Map<String, Value> = (0..20).map(|field| (format!("f{field}"), next.clone())).collect();
        json!({ "properties": fields })
    };
    let mut schemas: Map<String, Value> = (0..60).map(|number| (format!("S{number}"), next(number))).collect();
    schemas.insert("S60".to_owned(), json!({ "allOf": [reference("S0"), reference("S60")] }));
    let document = answer_among(reference("S0"), schemas.into());
    assert_eq!(diff(&document, &document), Ok(Vec::new()));
}

#[test]
fn more_than_is_worth_telling_is_refused() {
    let of = |kind: &str| {
        let field = |number: usize| (format!("f{number}"), json!({ "type": kind }));
        let fields: Map<String, Value> = (0..3000).map(field).collect();
        let content = json!({ "application/json": { "schema": reference("S") } });
        let operation = json!({ "post": { "responses": { "200": { "content": content } } } });
        let paths: Map<String, Value> = (0..1000).map(|number| (format!("/p{number}"), operation.clone())).collect();
        super::document(paths.into(), json!({ "S": { "properties": fields } }))
    };
    assert_eq!(diff(&of("string"), &of("string")), Ok(Vec::new()), "types that endpoints share are compared once");
    let error = diff(&of("string"), &of("integer")).unwrap_err();
    assert!(error.to_string().contains("too large to be followed"), "{error}");
}

#[test]
fn what_a_terminal_would_obey_is_not_printed() {
    let field = |name: &str| answer_among(json!({ "properties": { name: {} } }), json!({}));
    let changes = diff(&field("\u{1b}[2J"), &field("a")).unwrap();
    assert!(!crate::compat::grouped(&changes).contains('\u{1b}'), "{changes:?}");
}
