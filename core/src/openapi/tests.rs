//! What documents say, and what there is none for.

use super::*;
use crate::artifact::{CONTRACT, STREAMING, Sections};

/// An artifact for client `web` with this much of a manifest, and these endpoints of its code.
fn artifact(name: &str, manifest: &str, schema: &Value) -> Artifact {
    let sections = Sections {
        manifest: format!("[plugin]\nname = \"{name}\"\nversion = \"1.2.0\"\nclient = \"web\"\n{manifest}"),
        schema: schema.to_string().into_bytes(),
        mocks: b"{}".to_vec(),
        contract: if schema.to_string().contains("\"stream\":true") { STREAMING } else { CONTRACT }.into(),
        ..Sections::default()
    };
    Artifact::parse(sections.append_to(b"\0asm\x0d\0\x01\0").into()).unwrap()
}

/// One with a GET on `/NAME` that answers with this.
fn answering(name: &str, response: Value) -> Artifact {
    let schema = json!([{ "method": "GET", "path": format!("/{name}"), "status": 200, "response": response }]);
    artifact(name, &format!("[endpoint.\"GET /{name}\"]\n"), &schema)
}

fn made(artifacts: &[&Artifact]) -> Value {
    let document = of_artifacts(&Surface::named("web"), artifacts).unwrap();
    for to in references(&document) {
        assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to} leads nowhere");
    }
    document
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn types(document: &Value) -> Vec<&str> {
    let all = document["components"]["schemas"].as_object().unwrap().keys();
    all.map(String::as_str).filter(|name| !name.starts_with("problem.")).collect()
}

fn list_of_cells(member: &str) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "List", "type": "object",
        "properties": { "cells": { "type": "array", "items": { "$ref": "#/$defs/Cell" } } },
        "$defs": { "Cell": { "type": "object", "properties": { member: { "type": "string" } } } },
    })
}

#[test]
fn one_shape_is_one_component_and_two_shapes_of_one_name_say_where_they_come_from() {
    let (a, b, c) =
        (answering("a", list_of_cells("x")), answering("b", list_of_cells("x")), answering("c", list_of_cells("y")));
    assert_eq!(types(&made(&[&a, &b])), ["Cell", "List"]);
    let both = made(&[&a, &c]);
    assert_eq!(types(&both), ["Cell.a", "Cell.c", "List.a", "List.c"], "a list of other cells is another list");
    let of =
        |path: &str| &both["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!((of("/a"), of("/c")), (&json!("#/components/schemas/List.a"), &json!("#/components/schemas/List.c")));
    assert_eq!(text(&both), text(&made(&[&c, &a])), "whatever the order");
    assert_eq!(both["info"]["version"], "a 1.2.0, c 1.2.0");
}

#[test]
fn what_is_taken_and_what_is_given_may_differ() {
    let film = |required: &[&str]| json!({ "title": "Film", "type": "object", "properties": { "id": {} }, "required": required });
    let schema = json!([{
        "method": "PUT", "path": "/film", "status": 200, "request": film(&[]), "response": film(&["id"]),
    }]);
    let document = made(&[&artifact("films", "[endpoint.\"PUT /film\"]\nauth = \"none\"\n", &schema)]);
    assert_eq!(types(&document), ["Film.input", "Film.output"]);
    assert_eq!(document["paths"]["/film"]["put"]["operationId"], "putFilm");
    assert_eq!(document["paths"]["/film"]["put"]["security"], json!([]));
}

#[test]
fn types_of_themselves_are_told_by_reference() {
    let tree = json!({ "title": "Tree", "type": "object", "properties": { "branches": { "type": "array", "items": { "$ref": "#" } } } });
    let document = made(&[&answering("tree", tree)]);
    assert_eq!(
        document["components"]["schemas"]["Tree"]["properties"]["branches"]["items"]["$ref"],
        "#/components/schemas/Tree"
    );
    let knot = json!({ "$ref": "#/$defs/A", "$defs": {
        "A": { "type": "object", "properties": { "b": { "$ref": "#/$defs/B" } } },
        "B": { "type": "object", "properties": { "a": { "$ref": "#/$defs/A" } } },
    } });
    assert_eq!(types(&made(&[&answering("knot", knot)])), ["A", "B"]);
    // Data that looks like a reference is none.
    let data = json!({ "title": "T", "type": "object", "properties": { "x": { "const": { "$ref": "#/nowhere" } } } });
    let document = of_artifacts(&Surface::named("web"), &[&answering("data", data)]).unwrap();
    assert_eq!(document["components"]["schemas"]["T"]["properties"]["x"]["const"]["$ref"], "#/nowhere");
}

#[test]
fn what_can_not_be_told_is_refused_with_its_place() {
    let reason =
        |response: Value| of_artifacts(&Surface::named("web"), &[&answering("a", response)]).unwrap_err().to_string();
    let nowhere = json!({ "title": "A", "type": "object", "properties": { "x": { "$ref": "#/$defs/Gone" } } });
    assert_eq!(reason(nowhere), "plugin `a`, GET /a: its schema refers to `#/$defs/Gone`, which it does not have");
    assert!(reason(json!({ "$ref": "https://example.com/schema" })).contains("`https://example.com/schema`"));
    let deep = (0..105).fold(json!({ "type": "string" }), |inner, _| json!({ "items": inner }));
    assert!(
        of_artifacts(&Surface::named("web"), &[&answering_deep(deep)])
            .unwrap_err()
            .to_string()
            .contains("inside of each other")
    );
    let twice = of_artifacts(
        &Surface::named("web"),
        &[
            &answering("a", json!(null)),
            &artifact("b", "[endpoint.\"GET /a\"]\n", &json!([{ "method": "GET", "path": "/a" }])),
        ],
    );
    assert!(twice.unwrap_err().to_string().contains("plugins `a` and `b` both have GET /a"));
}

/// JSON itself may not be nested as deep as this inside of a schema's file.
fn answering_deep(response: Value) -> Artifact {
    let mut artifact = answering("a", json!(null));
    artifact.schema[0].response = Some(response);
    artifact
}

#[test]
fn a_document_has_a_size() {
    let mut artifact = answering("a", json!(null));
    let text = "x".repeat(1 << 20);
    let fields: Map<String, Value> =
        (0..17).map(|n| (format!("f{n}"), json!({ "type": "string", "description": text }))).collect();
    artifact.schema[0].response = Some(json!({ "title": "Large", "type": "object", "properties": fields }));
    let refused = of_artifacts(&Surface::named("web"), &[&artifact]).unwrap_err().to_string();
    assert!(refused.contains("more than 16 MiB"), "{refused}");
    // Types that all lead to each other are compared by all of them.
    let next = |n: usize| json!({ "$ref": format!("#/$defs/T{}", (n + 1) % 500) });
    let knot: Map<String, Value> = (0..500).map(|n| (format!("T{n}"), json!({ "items": next(n) }))).collect();
    let knot = json!({ "$ref": "#/$defs/T0", "$defs": knot });
    let refused = schemas::types(&knot, place::Use::Response, &mut (1 << 20)).unwrap_err();
    assert!(refused.contains("MiB"), "{refused}");
}

#[test]
fn policy_is_told() {
    let manifest = r#"
        [endpoint."POST /films/{id}/rating"]
        timeout = "1500ms"
        principal-rate = "10/m"
        headers = ["accept-language", "authorization-mode"]
        idempotency = { ttl = "1h", strict = true }
        deprecated = { since = "2026-11-01", sunset = 2027-06-01, link = "https://example.com/changes" }
    "#;
    let schema = json!([{
        "method": "POST", "path": "/films/{id}/rating", "summary": "Rates.", "status": 204, "request": { "type": "integer", "format": "uint32" },
        "params": [{ "name": "id", "schema": { "type": "integer", "format": "uint32", "minimum": 0 } }],
        "query": { "type": "object", "properties": { "q": { "type": ["string", "null"], "description": "Why." } } },
        "problems": [{ "status": 410, "type": "https://example.com/gone", "title": "Gone", "description": "It was taken away." }],
    }]);
    let document = made(&[&artifact("films", manifest, &schema)]);
    let operation = &document["paths"]["/films/{id}/rating"]["post"];
    assert_eq!(operation["operationId"], "postFilmsByIdRating");
    assert_eq!(operation["security"], json!([{ "bearer": [] }]));
    assert_eq!(operation["x-weft-rates"], json!([{ "requests": 10, "seconds": 60, "of": "caller", "to": "endpoint" }]));
    assert_eq!(operation["x-weft-idempotency"], json!({ "ttl": 3600, "scope": "principal", "strict": true }));
    assert_eq!(operation["deprecated"], true);
    assert_eq!(operation["x-weft-deprecated"]["sunset"], "2027-06-01");
    let names: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|p| (&p["in"], &p["name"])).collect();
    let wanted = json!([
        ["path", "id"],
        ["query", "q"],
        ["header", "accept-language"],
        ["header", "authorization-mode"],
        ["header", "idempotency-key"]
    ]);
    assert_eq!(json!(names), wanted);
    assert_eq!(operation["parameters"][0]["schema"]["maximum"], u32::MAX);
    assert_eq!(
        operation["parameters"][1],
        json!({ "in": "query", "name": "q", "required": false, "description": "Why.", "schema": { "type": "string" } })
    );
    let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
    let wanted = [
        "204", "400", "401", "403", "404", "406", "408", "409", "410", "413", "415", "422", "429", "500", "501", "502",
        "503", "504",
    ];
    assert_eq!(statuses, wanted);
    assert_eq!(operation["responses"]["204"].get("content"), None);
    assert!(operation["responses"]["204"]["headers"].get("sunset").is_some());
    let gone = &document["components"]["schemas"]["problem.films.gone"];
    assert_eq!(
        (&gone["properties"]["type"]["const"], &gone["properties"]["status"]["enum"]),
        (&json!("https://example.com/gone"), &json!([410]))
    );
}

#[test]
fn problems_that_would_have_one_name_are_refused() {
    let problem = |kind: &str| json!({ "status": 404, "type": format!("https://example.com/{kind}") });
    let of = |kinds: [&str; 2]| {
        let problems = kinds.map(problem);
        let schema = json!([{ "method": "GET", "path": "/a", "problems": problems }]);
        of_artifacts(&Surface::named("web"), &[&artifact("a", "[endpoint.\"GET /a\"]\n", &schema)])
    };
    assert!(of(["films/gone", "films/lost"]).is_ok());
    let refused = of(["films/gone", "people/gone"]).unwrap_err().to_string();
    assert!(
        refused.contains("`https://example.com/films/gone` and `https://example.com/people/gone` end alike"),
        "{refused}"
    );
}

#[test]
fn members_that_go_away_are_marked_where_they_stand() {
    let manifest = "[endpoint.\"GET /a\".deprecated-fields.\"cells.x\"]\nsince = \"2026-11-01\"\n";
    let schema = json!([{ "method": "GET", "path": "/a", "response": list_of_cells("x") }]);
    let (marked, other) = (artifact("a", manifest, &schema), answering("b", list_of_cells("x")));
    let document = made(&[&marked, &other]);
    assert_eq!(types(&document), ["Cell", "List"], "the same type still");
    assert_eq!(document["components"]["schemas"]["Cell"]["properties"]["x"]["deprecated"], true);
}

#[test]
fn answers_of_which_members_may_be_chosen_are_told_whole_and_in_part() {
    let manifest = "[endpoint.\"GET /a\"]\nfields = true\n";
    let mut list = list_of_cells("x");
    list["required"] = json!(["cells"]);
    list["$defs"]["Cell"]["oneOf"] = json!([{ "required": ["x"] }, { "required": ["y"] }]);
    let schema = json!([{ "method": "GET", "path": "/a", "status": 200, "response": list }]);
    let document = made(&[&artifact("a", manifest, &schema)]);
    let operation = &document["paths"]["/a"]["get"];
    let parameter = &operation["parameters"][0];
    assert_eq!((&parameter["name"], &parameter["explode"]), (&json!("fields"), &json!(false)));
    assert_eq!(parameter["schema"]["items"]["enum"], json!(["cells", "cells.x"]));
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let (whole, part) =
        (json!({ "$ref": "#/components/schemas/List" }), json!({ "$ref": "#/components/schemas/List.Partial" }));
    assert_eq!(answer["anyOf"], json!([whole, part]));
    assert_eq!(types(&document), ["Cell", "Cell.Partial", "List", "List.Partial"]);
    let part = &document["components"]["schemas"]["List.Partial"];
    assert_eq!(part.get("required"), None);
    assert_eq!(part["properties"]["cells"]["items"]["$ref"], "#/components/schemas/Cell.Partial");
    assert_eq!(document["components"]["schemas"]["Cell.Partial"]["anyOf"], json!([{}, {}]));
    let problems = operation["responses"]["400"]["content"]["application/problem+json"]["schema"].to_string();
    assert!(problems.contains("problem.bad-fields"), "{problems}");

    let plain = json!([{ "method": "GET", "path": "/a", "status": 200, "response": list_of_cells("x") }]);
    let plain = made(&[&artifact("a", "[endpoint.\"GET /a\"]\n", &plain)]);
    assert_eq!(types(&plain), ["Cell", "List"]);
    assert!(!plain.to_string().contains("bad-fields"));
}

#[test]
fn an_answer_in_parts_is_a_stream_of_events_of_one_type() {
    let part = json!({ "title": "Part", "type": "object", "properties": { "text": { "type": "string" } } });
    let schema =
        json!([{ "method": "GET", "path": "/live", "status": 200, "response": part, "stream": true, "summary": "" }]);
    let document = made(&[&artifact("live", "[endpoint.\"GET /live\"]\nauth = \"none\"\n", &schema)]);
    let operation = &document["paths"]["/live"]["get"];
    let (good, responses) = (&operation["responses"]["200"], operation["responses"].as_object().unwrap());
    let media = json!({ "schema": { "$ref": "#/components/schemas/Part" }, "x-weft-event-data": "application/json" });
    assert_eq!(good["content"], json!({ "text/event-stream": media }));
    assert!(good["description"].as_str().unwrap().contains("`weft.end`"), "{good}");
    assert!(good["headers"].get("etag").is_none() && !responses.contains_key("304"), "{responses:?}");
    assert!(responses["429"].to_string().contains("problem.too-many-streams"), "{responses:?}");
    let asked = operation["parameters"].as_array().unwrap();
    assert!(asked.iter().any(|parameter| parameter["name"] == "last-event-id"), "{asked:?}");
}
