//! Each rule by what it is told of, and by nothing else.

use super::{Document, Rule, answer, answer_among, diff, document, endpoint, rules, sent};
use crate::compat::table;
use serde_json::{Value, json};
use std::collections::BTreeSet;

type Example = (Rule, Document, Document);

/// There and back: what is one rule from here to there is the other one on the way back.
fn both(there: Rule, back: Rule, old: Document, new: Document) -> [Example; 2] {
    [(there, old.clone(), new.clone()), (back, new, old)]
}

fn object(fields: Value, required: Value) -> Value {
    json!({ "type": "object", "properties": fields, "required": required })
}

fn with(parameter: Value) -> Document {
    endpoint(json!({ "parameters": [parameter] }))
}

fn query(more: Value) -> Document {
    let mut parameter = json!({ "name": "page", "in": "query", "schema": { "type": "string" } });
    parameter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    with(parameter)
}

fn problems(types: &[&str]) -> Document {
    let variants: Vec<Value> =
        types.iter().map(|name| object(json!({ "type": { "const": name } }), json!(["type"]))).collect();
    let content = json!({ "application/problem+json": { "schema": { "oneOf": variants } } });
    endpoint(json!({ "responses": { "404": { "content": content } } }))
}

fn of_endpoints() -> Vec<Example> {
    let none = || endpoint(json!({}));
    let path = |template: &str, more: Value| document(json!({ template: { "get": more } }), json!({}));
    let based =
        |url: &str| Document::of(json!({ "openapi": "3.1.0", "servers": [{ "url": url }], "paths": {} })).unwrap();
    let secured = |ways: Value| endpoint(json!({ "security": ways }));
    let key = json!({ "name": "Idempotency-Key", "in": "header", "schema": { "type": "string" } });
    let mut all = vec![
        (Rule::BasePathChanged, based("https://a.example/web"), based("/v2/web/")),
        (Rule::OperationRenamed, path("/a", json!({ "operationId": "a" })), path("/a", json!({ "operationId": "b" }))),
        (Rule::PathParameterRenamed, path("/films/{id}", json!({})), path("/films/{film}", json!({}))),
        (Rule::ParameterWritten, query(json!({})), query(json!({ "style": "spaceDelimited" }))),
        (Rule::ParameterDeprecated, query(json!({})), query(json!({ "deprecated": true }))),
        (Rule::ParameterAddedRequired, none(), query(json!({ "required": true }))),
        (Rule::RequestTypeNarrowed, query(json!({})), query(json!({ "schema": { "type": "integer" } }))),
    ];
    let gone = document(json!({}), json!({}));
    all.extend(both(Rule::EndpointRemoved, Rule::EndpointAdded, none(), gone));
    let deprecated = endpoint(json!({ "deprecated": true, "x-weft-deprecated": { "sunset": "2027-01-01" } }));
    all.extend(both(Rule::EndpointDeprecated, Rule::EndpointRestored, none(), deprecated));
    let (open, shut) = (secured(json!([])), secured(json!([{ "bearer": [] }])));
    all.extend(both(Rule::AuthTightened, Rule::AuthRelaxed, open, shut.clone()));
    let optional = secured(json!([{}, { "bearer": [] }]));
    all.extend(both(Rule::AuthTightened, Rule::AuthRelaxed, optional, shut.clone()));
    all.extend(both(Rule::AuthTightened, Rule::AuthRelaxed, shut, secured(json!([{ "bearer": ["films"] }]))));
    all.extend(both(Rule::IdempotencyRemoved, Rule::IdempotencyAdded, with(key), none()));
    all.extend(both(Rule::ParameterAdded, Rule::ParameterRemoved, none(), query(json!({}))));
    let required = query(json!({ "required": true }));
    all.extend(both(Rule::ParameterRequired, Rule::ParameterOptional, query(json!({})), required));
    all
}

fn of_messages() -> Vec<Example> {
    let body = |required: bool, media: &str| {
        let content = json!({ media: {}, "text/plain": {} });
        endpoint(json!({ "requestBody": { "required": required, "content": content } }))
    };
    let answers = |statuses: Value| endpoint(json!({ "responses": statuses }));
    let content = |content: Value| answers(json!({ "200": { "content": content } }));
    let header = |headers: Value| answers(json!({ "200": { "headers": headers } }));
    let (none, json_only) = (endpoint(json!({})), content(json!({ "application/json": {} })));
    let mut all = Vec::new();
    all.extend(both(Rule::BodyRequired, Rule::BodyOptional, body(false, "a/b"), body(true, "a/b")));
    all.extend(both(Rule::BodyAdded, Rule::BodyRemoved, none.clone(), body(false, "a/b")));
    let more = endpoint(json!({ "requestBody": { "content": { "a/b": {}, "c/d": {}, "text/plain": {} } } }));
    all.extend(both(Rule::RequestMediaAdded, Rule::RequestMediaRemoved, body(false, "a/b"), more));
    let two = answers(json!({ "200": {}, "201": {} }));
    all.extend(both(Rule::StatusAdded, Rule::StatusRemoved, answers(json!({ "200": {} })), two));
    let failing = answers(json!({ "200": {}, "404": {} }));
    all.extend(both(Rule::ProblemStatusAdded, Rule::ProblemStatusRemoved, answers(json!({ "200": {} })), failing));
    let (few, many) = (problems(&["a", "b"]), problems(&["a", "b", "c"]));
    all.extend(both(Rule::ProblemTypeAdded, Rule::ProblemTypeRemoved, few, many));
    all.extend(both(Rule::ProblemTypeAdded, Rule::ProblemTypeRemoved, problems(&["a"]), problems(&["a", "b"])));
    all.extend(both(
        Rule::ResponseBodyAdded,
        Rule::ResponseBodyRemoved,
        answers(json!({ "200": {} })),
        json_only.clone(),
    ));
    let both_media = content(json!({ "application/json": {}, "text/csv": {} }));
    all.extend(both(Rule::ResponseMediaAdded, Rule::ResponseMediaRemoved, json_only, both_media));
    let (bare, tagged) = (header(json!({})), header(json!({ "X-Total": { "schema": { "type": "string" } } })));
    all.extend(both(Rule::ResponseHeaderAdded, Rule::ResponseHeaderRemoved, bare, tagged));
    all
}

/// What is one thing sent, and another one answered: old and new, there and back, in a request and in an answer.
fn mirrored() -> Vec<(Value, Value, [Rule; 4])> {
    [of_types(), of_bounds_and_shapes()].concat()
}

fn of_types() -> Vec<(Value, Value, [Rule; 4])> {
    use Rule::*;
    let text = || json!({ "type": "string" });
    vec![
        (
            text(),
            json!({ "type": ["string", "integer"] }),
            [RequestTypeWidened, RequestTypeNarrowed, ResponseTypeWidened, ResponseTypeNarrowed],
        ),
        (
            json!({ "type": "integer" }),
            json!({ "type": "number" }),
            [RequestTypeWidened, RequestTypeNarrowed, ResponseTypeWidened, ResponseTypeNarrowed],
        ),
        (
            text(),
            json!({ "type": ["string", "null"] }),
            [RequestNullAllowed, RequestNullRefused, ResponseNullAdded, ResponseNullRemoved],
        ),
        (
            text(),
            json!({ "anyOf": [text(), { "type": "null" }] }),
            [RequestNullAllowed, RequestNullRefused, ResponseNullAdded, ResponseNullRemoved],
        ),
        (
            json!({ "enum": ["a"] }),
            json!({ "oneOf": [{ "const": "a" }, { "const": "b", "description": "B" }] }),
            [RequestValueAdded, RequestValueRemoved, ResponseValueAdded, ResponseValueRemoved],
        ),
    ]
}

fn of_bounds_and_shapes() -> Vec<(Value, Value, [Rule; 4])> {
    use Rule::*;
    let text = || json!({ "type": "string" });
    let film = |kind: &str| object(json!({ "kind": { "const": kind } }), json!(["kind"]));
    vec![
        (
            json!({ "type": "string", "maxLength": 5 }),
            json!({ "type": "string", "maxLength": 6 }),
            [RequestBoundRelaxed, RequestBoundTightened, ResponseBoundRelaxed, ResponseBoundTightened],
        ),
        (
            json!({ "type": "integer", "format": "int32" }),
            json!({ "type": "integer", "format": "int64" }),
            [RequestBoundRelaxed, RequestBoundTightened, ResponseBoundRelaxed, ResponseBoundTightened],
        ),
        (
            json!({ "oneOf": [film("a"), film("b")] }),
            json!({ "oneOf": [film("a"), film("b"), film("c")] }),
            [RequestVariantAdded, RequestVariantRemoved, ResponseVariantAdded, ResponseVariantRemoved],
        ),
        (
            film("a"),
            json!({ "anyOf": [film("b"), film("a")] }),
            [RequestVariantAdded, RequestVariantRemoved, ResponseVariantAdded, ResponseVariantRemoved],
        ),
        (
            object(json!({ "a": text() }), json!([])),
            object(json!({ "a": text(), "b": text() }), json!([])),
            [RequestFieldAdded, RequestFieldRemoved, ResponseFieldAdded, ResponseFieldRemoved],
        ),
        (
            object(json!({ "a": text() }), json!(["a"])),
            object(json!({ "a": text() }), json!([])),
            [RequestFieldOptional, RequestFieldRequired, ResponseFieldOptional, ResponseFieldRequired],
        ),
        (
            json!({ "not": { "const": 1 } }),
            json!({ "not": { "const": 2 } }),
            [RequestUnclear, RequestUnclear, ResponseUnclear, ResponseUnclear],
        ),
        (
            json!({ "type": "string", "pattern": "a" }),
            json!({ "type": "string", "pattern": "b" }),
            [RequestBoundTightened, RequestBoundTightened, ResponseBoundRelaxed, ResponseBoundRelaxed],
        ),
        (
            text(),
            json!({ "type": "integer" }),
            [RequestTypeNarrowed, RequestTypeNarrowed, ResponseTypeWidened, ResponseTypeWidened],
        ),
    ]
}

fn of_schemas() -> Vec<Example> {
    let mut all = Vec::new();
    // Each where it stands alone, and inside of a list of a field.
    let deep = |schema: Value| object(json!({ "a": { "type": "array", "items": schema } }), json!(["a"]));
    for (old, new, [sent_there, sent_back, got_there, got_back]) in mirrored() {
        for wrap in [&(|schema| schema) as &dyn Fn(Value) -> Value, &deep] {
            let (old, new) = (wrap(old.clone()), wrap(new.clone()));
            all.extend(both(sent_there, sent_back, sent(old.clone()), sent(new.clone())));
            all.extend(both(got_there, got_back, answer(old), answer(new)));
        }
    }
    let closed = |closed: bool| sent(json!({ "type": "object", "additionalProperties": !closed }));
    all.extend(both(Rule::RequestClosed, Rule::RequestOpened, closed(false), closed(true)));
    let fields = |required: Value, more: Value| sent(object(json!({ "a": more }), required));
    let text = || json!({ "type": "string" });
    all.push((Rule::RequestFieldAddedRequired, sent(object(json!({}), json!([]))), fields(json!(["a"]), text())));
    let default = |value: &str| fields(json!([]), json!({ "type": "string", "default": value }));
    all.push((Rule::RequestDefaultChanged, default("a"), default("b")));
    let deprecated = json!({ "type": "string", "deprecated": true });
    all.push((Rule::FieldDeprecated, fields(json!([]), text()), fields(json!([]), deprecated)));
    all
}

#[test]
fn every_rule_has_an_example_and_each_example_is_told_by_its_rule_alone() {
    let examples = [of_endpoints(), of_messages(), of_schemas()].concat();
    for (rule, old, new) in &examples {
        let changes = diff(old, new).unwrap();
        let told: Vec<Rule> = changes.iter().map(|change| change.rule).collect();
        assert_eq!(told, [*rule], "{:#}\n{:#}\n{changes:#?}", old.root(), new.root());
        assert!(rules(old, old).is_empty() && rules(new, new).is_empty(), "{:#}", new.root());
    }
    let shown: BTreeSet<Rule> = examples.iter().map(|(rule, _, _)| *rule).collect();
    let missing: Vec<_> = Rule::ALL.iter().filter(|rule| !shown.contains(rule)).collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
    let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
    assert!(Rule::ALL.iter().all(|rule| table().contains(&format!("| `{}` |", rule.id()))));
}

/// Documents that say the same in other words.
#[test]
fn what_is_written_otherwise_and_means_the_same_is_no_change() {
    let text = || json!({ "type": "string" });
    let film = json!({ "type": "object", "properties": { "title": text() } });
    for (old, new) in [
        (json!({ "type": ["string"] }), text()),
        (json!({ "enum": ["a", "b"] }), json!({ "oneOf": [{ "const": "b" }, { "const": "a" }] })),
        (json!({ "type": ["string", "null"] }), json!({ "oneOf": [text(), { "type": "null" }] })),
        (json!({ "$ref": "#/components/schemas/Film" }), film.clone()),
        (json!({ "allOf": [{ "$ref": "#/components/schemas/Film" }] }), film.clone()),
        (json!({ "anyOf": [{ "$ref": "#/components/schemas/Film" }] }), film.clone()),
        (json!({ "type": "string", "minLength": 0 }), text()),
        (json!({ "type": "string", "title": "a", "x-more": 1 }), json!({ "type": "string", "description": "b" })),
        (
            json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }),
            json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
        ),
    ] {
        let of = |schema: &Value| answer_among(schema.clone(), json!({ "Film": film }));
        let changes = diff(&of(&old), &of(&new)).unwrap();
        assert!(changes.is_empty(), "{old} {new} {changes:?}");
    }
}

/// A schema that holds itself is followed once, and a change in it is told where it is met first.
#[test]
fn a_change_is_told_with_its_place_in_the_body() {
    let node = |kind: &str| {
        let node = json!({ "$ref": "#/components/schemas/Node" });
        let fields = json!({ "odd name": { "type": kind }, "next": { "anyOf": [node, { "type": "null" }] },
            "all": { "type": "array", "items": node }, "by": { "type": "object", "additionalProperties": node } });
        let schema = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Node" } });
        answer_among(schema, json!({ "Node": { "type": "object", "properties": fields } }))
    };
    let changes = diff(&node("string"), &node("integer")).unwrap();
    let [change] = changes.as_slice() else { panic!("{changes:#?}") };
    assert_eq!((change.rule, change.endpoint.as_str()), (Rule::ResponseTypeWidened, "POST /films"));
    assert_eq!(change.place, "response 200 application/json");
    assert_eq!(change.path, "$[][\"odd name\"]");
    assert_eq!(change.detail, "was string, is integer");
    let shown = crate::compat::grouped(&changes);
    for text in
        ["POST /films\n", "BREAKS response-type-widened  response 200", "handle the new type", "1 change, which"]
    {
        assert!(shown.contains(text), "no {text:?} in\n{shown}");
    }
    let values = serde_json::to_value(&changes).unwrap();
    assert_eq!((&values[0]["rule"], &values[0]["breaking"]), (&json!("response-type-widened"), &json!(true)));
}
