//! The rules by example, what is promised of all documents, and documents that mean harm.

mod examples;
mod hostile;
mod sound;

use super::{Document, Rule, diff};
use serde_json::{Value, json};

fn document(paths: Value, schemas: Value) -> Document {
    Document::of(json!({ "openapi": "3.1.0", "paths": paths, "components": { "schemas": schemas } })).unwrap()
}

/// A document with one endpoint.
fn endpoint(operation: Value) -> Document {
    document(json!({ "/films": { "post": operation } }), json!({}))
}

/// An endpoint that answers so.
fn answer(schema: Value) -> Document {
    answer_among(schema, json!({}))
}

fn answer_among(schema: Value, schemas: Value) -> Document {
    let content = json!({ "application/json": { "schema": schema } });
    document(json!({ "/films": { "post": { "responses": { "200": { "content": content } } } } }), schemas)
}

/// An endpoint that is sent this.
fn sent(schema: Value) -> Document {
    endpoint(json!({ "requestBody": { "content": { "application/json": { "schema": schema } } }, "responses": {} }))
}

#[test]
fn answers_of_which_members_may_be_chosen_are_compared_as_a_whole() {
    let whole = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] });
    let part = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let chosen = json!({ "anyOf": [whole, part], "x-weft-fields": true });
    assert_eq!(rules(&answer(whole.clone()), &answer(chosen.clone())), []);
    assert_eq!(rules(&answer(chosen.clone()), &answer(whole.clone())), []);
    assert_eq!(rules(&answer(chosen), &answer(part)), [Rule::ResponseFieldOptional]);
}

fn rules(old: &Document, new: &Document) -> Vec<Rule> {
    diff(old, new).unwrap().into_iter().map(|change| change.rule).collect()
}
