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

fn rules(old: &Document, new: &Document) -> Vec<Rule> {
    diff(old, new).unwrap().into_iter().map(|change| change.rule).collect()
}
