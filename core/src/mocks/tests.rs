//! What fits a schema and what does not; that what is made fits; what requests get; how contracts differ.

use super::{
    Asked, Mocks, Outcome, contract, difference, generate,
    schema::{check, understood},
};
use crate::{
    artifact::{EndpointSchema, read_manifest},
    settings::Mistakes,
};
use serde_json::{Value, json};
use std::path::Path;

mod properties;

fn faults(schema: &Value, value: &Value) -> Vec<String> {
    check(schema, value).iter().map(ToString::to_string).collect()
}

/// As `schemars` writes a tree.
fn tree() -> Value {
    json!({
        "type": "object",
        "properties": { "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#" } } },
        "required": ["name", "children"],
    })
}

#[test]
fn a_value_fits_or_it_is_told_where_it_does_not() {
    let film = json!({
        "$defs": { "Role": { "type": "object", "properties": { "who": { "type": "string" } }, "required": ["who"] } },
        "type": "object",
        "properties": {
            "id": { "type": "integer", "format": "uint32", "minimum": 0 },
            "title": { "type": "string", "maxLength": 10 },
            "cast": { "type": "array", "items": { "$ref": "#/$defs/Role" }, "minItems": 1 },
            "at": { "type": "string", "format": "date-time" },
            "mood": { "enum": ["glad", "sad"] },
            "more": { "type": ["string", "null"] },
        },
        "required": ["id", "title"],
        "additionalProperties": false,
    });
    let good = json!({"id": 1, "title": "Alien", "cast": [{"who": "a"}], "at": "2026-11-29T10:00:00Z", "mood": "sad", "more": null});
    assert_eq!(faults(&film, &good), Vec::<String>::new());
    let bad = json!({"id": -1, "titel": "x", "cast": [{}], "at": "now", "mood": "odd", "more": 1});
    let expected = [
        "title: is required, but missing",
        "at: \"now\" is no date-time",
        "cast[0].who: is required, but missing",
        "id: -1 is less than 0",
        "id: -1 does not fit into uint32",
        "mood: expected one of [\"glad\",\"sad\"], found \"odd\"",
        "more: expected string or null, found 1",
        "titel: is unknown; did you mean `title`?",
    ];
    assert_eq!(faults(&film, &bad), expected);
}

#[test]
fn alternatives_and_bounds_are_held() {
    let table: [(Value, Value, bool); 24] = [
        (json!({"oneOf": [{"type": "string"}, {"const": "a"}]}), json!("b"), true),
        (json!({"oneOf": [{"type": "string"}, {"const": "a"}]}), json!("a"), false),
        (json!({"anyOf": [{"type": "string"}, {"const": "a"}]}), json!("a"), true),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!(1), false),
        (json!({"allOf": [{"minimum": 1}, {"maximum": 3}]}), json!(4), false),
        (json!({"not": {"type": "null"}}), json!(null), false),
        (json!({"type": "integer"}), json!(1.0), true),
        (json!({"type": "integer"}), json!(1.5), false),
        (json!({"multipleOf": 0.1}), json!(0.3), true),
        (json!({"multipleOf": 2}), json!(3), false),
        (json!({"exclusiveMaximum": 3}), json!(3), false),
        (json!({"uniqueItems": true}), json!([1, 1.0]), false),
        (json!({"prefixItems": [{"type": "string"}], "items": false}), json!(["a", 1]), false),
        (json!({"prefixItems": [{"type": "string"}], "items": false}), json!(["a"]), true),
        (json!({"pattern": "^[a-z]{2}$"}), json!("ab"), true),
        (json!({"pattern": "^[a-z]{2}$"}), json!("abc"), false),
        (
            json!({"patternProperties": {"^\\d+$": {"type": "string"}}, "additionalProperties": false}),
            json!({"1": "a"}),
            true,
        ),
        (
            json!({"patternProperties": {"^\\d+$": {"type": "string"}}, "additionalProperties": false}),
            json!({"a": "a"}),
            false,
        ),
        (
            json!({"properties": {"a": true}, "unevaluatedProperties": false, "allOf": [{"properties": {"b": true}}]}),
            json!({"a": 1, "b": 1}),
            true,
        ),
        (json!({"properties": {"a": true}, "unevaluatedProperties": false}), json!({"c": 1}), false),
        (json!({"maxProperties": 1}), json!({"a": 1, "b": 2}), false),
        (json!({"contains": {"type": "string"}}), json!([1]), false),
        (json!(false), json!(1), false),
        (json!({"minLength": 2}), json!("é"), false),
    ];
    for (schema, value, fits) in table {
        assert_eq!(check(&schema, &value).is_empty(), fits, "{schema} {value}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for (schema, place) in [
        (json!({"if": {}}), "the keyword `if` is not understood"),
        (json!({"properties": {"a": {"nullable": true}}}), "properties.a: the keyword `nullable` is not understood"),
        (json!({"items": {"$ref": "#/$defs/Nobody"}}), "items: `#/$defs/Nobody` leads nowhere"),
        (json!({"pattern": "(?=a)"}), "the pattern `(?=a)` is not understood"),
        (json!({"type": "text"}), "type \"text\" is none of"),
        (json!({"anyOf": [1]}), "anyOf: expected a schema"),
    ] {
        let told = understood(&schema).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(told.contains(place), "{schema}: {told}");
    }
    assert_eq!(understood(&tree()), []);
}

#[test]
fn endless_and_contradictory_schemas_end() {
    // Itself, with nothing between.
    let circle = json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}});
    assert!(faults(&circle, &json!(1))[0].contains("too deep"));
    assert!(generate::value(&circle, 1).is_err());
    // It needs itself inside itself.
    let endless = json!({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]});
    assert!(generate::value(&endless, 1).unwrap_err().contains("without end"));
    for impossible in [
        json!({"type": "integer", "minimum": 3, "maximum": 2}),
        json!({"allOf": [{"type": "string"}, {"type": "integer"}]}),
        json!({"type": "array", "items": {"const": 1}, "minItems": 2, "uniqueItems": true}),
        json!({"type": "array", "items": {}, "minItems": 1e9 as u64}),
        json!({"enum": []}),
        json!(false),
    ] {
        assert!(generate::value(&impossible, 1).is_err(), "{impossible}");
    }
    // Alternatives in alternatives, none of which fits.
    let mut types = serde_json::Map::new();
    for at in 0..40 {
        let inner = json!({"$ref": format!("#/$defs/T{}", at + 1)});
        types.insert(format!("T{at}"), json!({"anyOf": [inner.clone(), inner]}));
    }
    types.insert("T40".into(), json!({"type": "string", "minLength": 1, "maxLength": 0}));
    let wide = json!({"$ref": "#/$defs/T0", "$defs": types});
    assert!(generate::value(&wide, 1).is_err());
    assert!(!check(&wide, &json!(1)).is_empty());
}

#[test]
fn what_is_made_looks_like_what_it_is_called_and_is_the_same_for_the_same_seed() {
    let schema = json!({
        "type": "object",
        "properties": {
            "email": { "type": "string" }, "title": { "type": "string" }, "released_at": { "type": "string", "format": "date-time" },
            "year": { "type": "integer" }, "stars": { "type": "number" }, "films": { "type": "array", "items": { "$ref": "#/$defs/Film" } },
        },
        "required": ["email", "title", "released_at", "year", "stars", "films"],
        "$defs": { "Film": { "type": "object", "properties": { "image": { "type": "string" } }, "required": ["image"] } },
    });
    let made = generate::value(&schema, 7).unwrap();
    assert_eq!(made, generate::value(&schema, 7).unwrap());
    assert_ne!(made, generate::value(&schema, 8).unwrap());
    assert!(made["email"].as_str().unwrap().ends_with("@example.com"), "{made}");
    assert!(made["films"][0]["image"].as_str().unwrap().ends_with(".jpg"), "{made}");
    assert!((1970..=2026).contains(&made["year"].as_i64().unwrap()), "{made}");
    let tree = generate::value(&tree(), 3).unwrap();
    assert!(tree["children"].as_array().is_some_and(|children| !children.is_empty()), "{tree}");
    assert!(tree.to_string().len() < 100_000);
}

fn endpoint(response: &Value) -> EndpointSchema {
    let more = json!({"status": 200, "params": [{"name": "id", "schema": {"type": "integer"}}]});
    let more = more.as_object().unwrap().clone();
    let [method, path] = ["GET", "/films/{id}"].map(str::to_owned);
    EndpointSchema {
        method,
        path,
        summary: String::new(),
        request: None,
        response: Some(response.clone()),
        query: None,
        more,
    }
}

const MANIFEST: &str = "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nclient = \"web\"\n[endpoint.\"GET /films/{id}\"]\n\
                        [calls]\n\"reviews.v1.Reviews\" = [\"List\"]\n";

fn mocks(manifest: &str, files: Value) -> Result<Mocks, Vec<String>> {
    let schema = json!({
        "type": "object", "properties": {"id": {"type": "integer"}, "title": {"type": "string"}}, "required": ["id", "title"]
    });
    let schema = [endpoint(&schema)];
    let manifest = read_manifest(Path::new("plugin.toml"), &format!("{MANIFEST}{manifest}"), Some(&schema), None);
    let mistakes = Mistakes::new();
    let mocks = Mocks::read(&manifest.unwrap(), &schema, files.as_object().unwrap(), "mocks", &mistakes);
    let mistakes = mistakes.into_sorted();
    if mistakes.is_empty() { Ok(mocks) } else { Err(mistakes.iter().map(ToString::to_string).collect()) }
}

#[test]
fn every_mistake_of_an_example_is_told_with_its_place() {
    let files = json!({
        "a.json": {"endpoint": "GET /film/{id}", "body": {}},
        "b.json": {"endpoint": "GET /films/{id}", "examples": {
            "one": {"body": {"id": "x", "title": "a"}, "status": 99, "headers": {"x y": "a"}},
            "two": {"bodi": {}, "problem": {}, "body": {"id": 1, "title": "a"}, "params": {"no": 1}, "degraded": "all"},
            "three": {"problem": {}, "status": 200},
        }},
        "c.json": {"body": 1},
        "d.json": [],
    });
    let expected = [
        "mocks/a.json: there is no endpoint \"GET /film/{id}\"; did you mean \"GET /films/{id}\"?",
        "mocks/b.json: examples.one.body.id: expected integer, found \"x\"",
        "mocks/b.json: examples.one.headers.x y: is no header, or its value is no text that can stand there",
        "mocks/b.json: examples.one.status: expected a status from 200 to 599, found 99",
        "mocks/b.json: examples.three.status: a problem has a status from 400 to 599",
        "mocks/b.json: examples.two.bodi: unknown key; did you mean `body`?",
        "mocks/b.json: examples.two.degraded: expected a list of calls, such as \"reviews.v1.Reviews/ListReviews\", or with \";how=stale\" behind it",
        "mocks/b.json: examples.two.params.no: /films/{id} has no such parameter",
        "mocks/b.json: examples.two.problem: an answer has a `body` or a `problem`, not both",
        "mocks/c.json: `endpoint` is missing: expected the endpoint's name, such as \"GET /films/{id}\"",
        "mocks/d.json: expected an object with `endpoint` and `examples`",
    ];
    assert_eq!(mocks("", files).unwrap_err(), expected);
    let twice = json!({"a.json": {"endpoint": "GET /films/{id}", "body": {"id": 1, "title": "a"}}});
    let told = mocks("[mock.\"GET /films/{id}\"]\nbody = { id = 1, title = \"b\" }\n", twice).unwrap_err();
    assert_eq!(
        told,
        ["mocks/a.json: \"GET /films/{id}\" has its examples somewhere else already: put all in one place"]
    );
    let told = mocks("[mock.\"GET /films/{id}\"]\nbody = { id = 1 }\n", json!({})).unwrap_err();
    assert_eq!(told, ["plugin.toml:8: mock.\"GET /films/{id}\".body.title: is required, but missing"]);
}

#[test]
fn what_a_request_asks_for_by_its_headers_it_gets() {
    let files = json!({"a.json": {"endpoint": "GET /films/{id}", "examples": {
        "default": {"body": {"id": 1, "title": "Alien"}},
        "bare": {"body": {"id": 1, "title": ""}, "degraded": ["reviews.v1.Reviews/List"]},
        "gone": {"params": {"id": 404}, "problem": {"type": "/problems/gone", "status": 410, "detail": "d", "since": 1}},
    }}});
    let mocks = mocks("", files).unwrap();
    let ask = |id: &str, headers: &[(&str, &str)]| {
        let owned =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let (params, headers) = (owned(&[("id", id)]), owned(headers));
        mocks.answer(Asked { endpoint: "GET /films/{id}", params: &params, query: &[], headers: &headers, body: b"" })
    };
    let body = |outcome: Outcome| match outcome {
        Outcome::Response { body, .. } => serde_json::from_slice::<Value>(&body).unwrap(),
        other => panic!("{other:?}"),
    };
    let problem = |outcome: Outcome| match outcome {
        Outcome::Problem(problem) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(body(ask("1", &[]).outcome)["title"], "Alien");
    let gone = problem(ask("404", &[]).outcome);
    assert_eq!((gone.status, &*gone.kind, &*gone.detail), (410, "/problems/gone", "d"));
    assert_eq!(gone.members, [("since".to_owned(), "1".to_owned())]);
    assert_eq!(problem(ask("1", &[("x-mock-problem", "gone")]).outcome), gone);
    let limited = problem(ask("1", &[("x-mock-problem", "rate-limited")]).outcome);
    assert_eq!((limited.status, limited.retry_after, &*limited.kind), (429, Some(1), "urn:weft:problem:rate-limited"));
    let degraded = ask("1", &[("x-mock-degraded", "reviews")]);
    assert_eq!(degraded.degraded[0].0, "reviews.v1.Reviews/List");
    assert_eq!(body(degraded.outcome)["title"], "");
    assert_eq!(problem(ask("1", &[("x-mock-status", "503")]).outcome).status, 503);
    assert_eq!(body(ask("1", &[("x-mock-status", "201")]).outcome)["title"], "Alien");
    assert_eq!(problem(ask("1", &[("x-mock-status", "410")]).outcome).kind, "/problems/gone");
    assert_eq!(body(ask("404", &[("x-mock-example", "default")]).outcome)["title"], "Alien");
    assert_eq!(problem(ask("one", &[]).outcome).detail, "path.id: expected integer, found \"one\"");
    for (header, value) in [
        ("x-mock-delay", "soon"),
        ("x-mock-status", "99"),
        ("x-mock-problem", "none"),
        ("x-mock-example", "none"),
        ("x-mock-seed", "x"),
        ("x-mock-degraded", "films"),
        ("x-mock-stale", ""),
    ] {
        let problem = problem(ask("1", &[(header, value)]).outcome);
        assert_eq!((problem.status, &*problem.members[0].1), (400, &*format!("header.{header}")), "{header}: {value}");
    }
}

#[test]
fn an_answer_that_is_made_is_about_what_the_path_names() {
    let mocks = mocks("", json!({})).unwrap();
    let ask = |id: &str, seed: &str| {
        let (params, headers) = ([("id".to_owned(), id.to_owned())], [("x-mock-seed".to_owned(), seed.to_owned())]);
        mocks
            .answer(Asked { endpoint: "GET /films/{id}", params: &params, query: &[], headers: &headers, body: b"" })
            .outcome
    };
    assert_eq!(ask("7", "1"), ask("7", "1"));
    assert_ne!(ask("7", "1"), ask("7", "2"));
    let Outcome::Response { body, .. } = ask("7", "1") else { panic!() };
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["id"], 7);
}

#[test]
fn a_contract_is_read_as_schemas_or_as_openapi_and_both_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    let film = json!({"type": "object", "properties": {"id": {"type": "integer"}, "next": {"$ref": "#/$defs/Film"}}, "required": ["id"]});
    write("types.json", json!({"$defs": {"Film": film}}));
    write(
        "film.json",
        json!({
            "endpoint": "GET /films/{id}", "params": {"id": {"type": "integer"}}, "response": {"$ref": "#/$defs/Film"},
            "query": {"type": "object", "properties": {"deep": {"type": "boolean"}}, "required": []},
        }),
    );
    let mistakes = Mistakes::new();
    let own = contract::read(folder.path(), &mistakes);
    assert!(mistakes.is_empty(), "{:?}", mistakes.sorted());
    std::fs::remove_file(folder.path().join("types.json")).unwrap();
    let film: Value = serde_json::from_str(&film.to_string().replace("#/$defs/", "#/components/schemas/")).unwrap();
    write(
        "film.json",
        json!({"openapi": "3.1.0", "components": {"schemas": {"Film": film}}, "paths": {"/films/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
            "get": {"parameters": [{"name": "deep", "in": "query", "schema": {"type": "boolean"}}], "responses": {"200": {
                "description": "ok", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Film"}}}}}},
        }}}),
    );
    let openapi = contract::read(folder.path(), &mistakes);
    assert!(mistakes.is_empty(), "{:?}", mistakes.sorted());
    assert_eq!(own.len(), 1);
    assert_eq!(difference::differences(&own, &openapi), Vec::<String>::new());
    assert_eq!(check(own[0].response.as_ref().unwrap(), &json!({"id": 1, "next": {"id": "2"}})).len(), 1);
}

#[test]
fn differences_of_contract_and_code_are_told_by_endpoint_and_place() {
    let contract = json!({"title": "Film", "type": "object", "required": ["b", "a"], "properties": {
        "a": {"type": "string"}, "b": {"$ref": "#/$defs/B"}, "title": {"type": "string"}}, "$defs": {"B": {"type": "integer"}}});
    let code = json!({"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "string", "description": "Words."}, "b": {"type": "integer"}, "title": {"type": "string"}}});
    assert_eq!(difference::differences(&[endpoint(&contract)], &[endpoint(&code)]), Vec::<String>::new());
    let other = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}});
    let told = difference::differences(&[endpoint(&contract)], &[endpoint(&other)]);
    let expected = [
        "GET /films/{id}: response.properties.a.type: the contract has \"string\", the code has \"integer\"",
        "GET /films/{id}: response.properties.title: the contract has {\"type\":\"string\"}, the code has nothing",
        "GET /films/{id}: response.required: the contract has [\"b\",\"a\"], the code has [\"a\"]",
    ];
    assert_eq!(told.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), expected.into());
    assert_eq!(difference::differences(&[], &[endpoint(&code)]).len(), 1);
    assert_eq!(difference::differences(&[endpoint(&code)], &[]).len(), 1);
}

fn streaming(files: &Value) -> Result<Mocks, Vec<String>> {
    let response = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let schema: Vec<EndpointSchema> = serde_json::from_value(
        json!([{"method": "GET", "path": "/live", "response": response, "status": 200, "stream": true}]),
    )
    .unwrap();
    let text = "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nclient = \"web\"\n[endpoint.\"GET /live\"]\n";
    let manifest = read_manifest(Path::new("plugin.toml"), text, Some(&schema), None).unwrap();
    let mistakes = Mistakes::new();
    let mocks = Mocks::read(&manifest, &schema, files.as_object().unwrap(), "mocks", &mistakes);
    let told: Vec<String> = mistakes.into_sorted().iter().map(ToString::to_string).collect();
    if told.is_empty() { Ok(mocks) } else { Err(told) }
}

#[test]
fn the_example_of_a_stream_is_a_list_of_its_events() {
    let of = |body: Value| json!({"a.json": {"endpoint": "GET /live", "body": body}});
    let events = |mocks: Mocks| match mocks
        .answer(Asked { endpoint: "GET /live", params: &[], query: &[], headers: &[], body: b"" })
        .outcome
    {
        Outcome::Events { data, .. } => data,
        other => panic!("{other:?}"),
    };
    assert_eq!(events(streaming(&of(json!([{"n": 1}, {"n": 2}]))).unwrap()), [json!({"n": 1}), json!({"n": 2})]);
    assert_eq!(
        streaming(&of(json!({"n": 1}))).unwrap_err(),
        ["mocks/a.json: body: expected a list: the data of each event of the stream"]
    );
    assert_eq!(
        streaming(&of(json!([{"n": 1}, {"n": "2"}]))).unwrap_err(),
        ["mocks/a.json: body.1.n: expected integer, found \"2\""]
    );
    let made = events(streaming(&json!({})).unwrap());
    assert!(made.len() == 3 && made.iter().all(|data| data["n"].is_i64()), "{made:?}");
}
