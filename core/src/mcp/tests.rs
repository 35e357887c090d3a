//! What tools are made of documents, and what calls become.

mod messages;

use super::*;
use crate::artifact::{EndpointPolicy, read_manifest};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::path::Path;

const MANIFEST: &str = r#"
[plugin]
name = "films"
version = "1.2.0"
client = "web"

[endpoint."GET /films/{id}"]
auth = "none"
[endpoint."PUT /films/{id}"]
auth = "optional"
[endpoint."POST /films"]
idempotency = { ttl = "1h" }
[endpoint."GET /files/{*rest}"]
produces = ["text/html"]
[endpoint."GET /image"]
produces = ["image/png"]
[endpoint."GET /events"]
produces = ["text/event-stream"]
[endpoint."POST /upload"]
consumes = ["multipart/form-data"]
"#;

fn endpoints() -> Vec<EndpointPolicy> {
    read_manifest(Path::new("plugin.toml"), MANIFEST, None, None).unwrap().endpoints
}

fn document() -> Value {
    let id = json!({ "in": "path", "name": "id", "required": true, "schema": { "type": "integer" }, "description": "Which." });
    let film = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Film" } } });
    json!({
        "info": { "version": "films 1.2.0" },
        "paths": {
            "/films/{id}": {
                "get": {
                    "summary": "One film.", "description": "With all that belongs to it.",
                    "parameters": [id, { "in": "query", "name": "id", "required": false, "schema": { "type": "array" } },
                                   { "in": "header", "name": "if-none-match", "schema": {} }],
                    "responses": { "200": { "content": film }, "304": {}, "404": {} },
                },
                "put": {
                    "parameters": [id], "requestBody": { "required": true, "content": film },
                    "responses": { "2XX": { "content": film } },
                },
            },
            "/films": { "post": {
                "parameters": [{ "in": "header", "name": "idempotency-key", "required": false, "schema": { "type": "string" } }],
                "requestBody": { "required": false, "content": film },
                "responses": { "201": { "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Film" } } } } } },
            } },
            "/files/{rest}": { "get": {
                "parameters": [{ "in": "path", "name": "rest", "required": true, "schema": { "type": "string" } }],
                "responses": { "200": { "content": { "text/html": {} } } },
            } },
            "/image": { "get": { "responses": {} } },
            "/events": { "get": { "responses": {} } },
            "/upload": { "post": { "requestBody": { "required": true, "content": { "multipart/form-data": {} } }, "responses": {} } },
        },
        "components": { "schemas": {
            "Film": { "type": "object", "properties": {
                "next": { "$ref": "#/components/schemas/Film" }, "by": { "$ref": "#/components/schemas/Person/properties/name" }, "any": true,
                "example": { "const": { "$ref": "#/components/schemas/Nothing" } },
            } },
            "Person": { "type": "object", "properties": { "name": { "type": "string" } } },
            "Unused": {},
        } },
    })
}

fn tools() -> Tools {
    let endpoints = endpoints();
    Tools::new(&document(), &endpoints.iter().collect::<Vec<_>>())
}

const ALL: Seen = Seen { writes: true, named: true };

fn server() -> Server<'static> {
    Server { name: "web", version: "1" }
}

fn asking(revision: Revision) -> Asking {
    Asking { id: serde_json::from_value(json!(1)).unwrap(), revision }
}

fn result(bytes: &[u8]) -> Value {
    let message: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!((&message["jsonrpc"], &message["id"]), (&json!("2.0"), &json!(1)));
    message["result"].clone()
}

fn listed(seen: Seen) -> Value {
    result(&asking(Revision::Of20260728).listed((&tools(), seen), None, server()))
}

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn tools_are_shown_to_those_who_may_call_them() {
    let all = ["get_files_all_rest", "get_films_by_id", "post_films", "put_films_by_id"];
    assert_eq!(names(&listed(ALL)), all, "no images, no streams, no forms");
    assert_eq!(names(&listed(Seen { named: false, ..ALL })), ["get_films_by_id", "put_films_by_id"]);
    assert_eq!(names(&listed(Seen { writes: false, ..ALL })), ["get_files_all_rest", "get_films_by_id"]);
    let tools = tools();
    assert!(tools.find("put_films_by_id", true).is_some() && tools.find("put_films_by_id", false).is_none());
    assert!(tools.find("get_films_by_i", true).is_none() && tools.find("", true).is_none());
}

#[test]
fn a_tool_says_what_its_endpoint_takes_and_answers() {
    let list = listed(ALL);
    let get = &list["tools"][1];
    assert_eq!(get["title"], "GET /films/{id}");
    assert_eq!(get["description"], "One film.\n\nWith all that belongs to it.");
    let hints =
        json!({ "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false });
    assert_eq!(get["annotations"], hints);
    let input = json!({
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": { "id": { "type": "integer", "description": "Which." }, "query_id": { "type": "array" } },
    });
    assert_eq!(get["inputSchema"], input);
    let output = &get["outputSchema"];
    assert_eq!(output["properties"]["next"]["$ref"], "#/$defs/Film");
    assert_eq!(output["properties"]["by"]["$ref"], "#/$defs/Person/properties/name");
    assert_eq!(output["properties"]["any"], json!({}), "a schema that every reader knows");
    assert_eq!(output["properties"]["example"]["const"]["$ref"], "#/components/schemas/Nothing", "data stays");
    assert_eq!(output["$defs"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Film", "Person"]);

    let (post, put) = (&list["tools"][2], &list["tools"][3]);
    assert_eq!(post["outputSchema"]["properties"]["result"]["items"]["$ref"], "#/$defs/Film");
    assert_eq!(post["annotations"]["idempotentHint"], false);
    assert!(post["inputSchema"]["properties"].get("idempotency_key").is_some());
    assert_eq!(put["inputSchema"]["required"], json!(["id", "body"]));
    assert_eq!(put["annotations"]["destructiveHint"], true);
    assert_eq!(put.get("outputSchema"), None, "the code decides on its status, and so on whether there is a body");
    assert_eq!((&list["cacheScope"], &list["resultType"]), (&json!("private"), &json!("complete")));
    let older = result(&asking(Revision::Of20250618).listed((&tools(), ALL), None, server()));
    assert_eq!((older.get("ttlMs"), older.get("resultType"), older.get("_meta")), (None, None, None));
}

#[test]
fn an_answer_of_which_members_may_be_chosen_is_an_object_without_those_that_are_not() {
    let mut document = document();
    let part = json!({ "type": "object", "properties": { "any": true } });
    let film = json!({ "$ref": "#/components/schemas/Film" });
    document["paths"]["/films/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] =
        json!({ "anyOf": [film, part], "x-weft-fields": true });
    let endpoints = endpoints();
    let tools = Tools::new(&document, &endpoints.iter().collect::<Vec<_>>());
    let list = result(&asking(Revision::Of20260728).listed((&tools, ALL), None, server()));
    let output = &list["tools"][1]["outputSchema"];
    assert_eq!(*output, json!({ "type": "object", "properties": { "any": {} } }));
}

#[test]
fn arguments_become_the_request_that_they_are() {
    let tools = tools();
    let target =
        |tool: &str, arguments: Value| tools.find(tool, true).unwrap().target(arguments.as_object().unwrap().clone());
    let get = target("get_films_by_id", json!({ "id": "a/b ?", "query_id": [1, true, "x&y"] })).unwrap();
    assert_eq!(get.path_and_query, "/films/a%2Fb%20%3F?id=1&id=true&id=x%26y");
    assert_eq!((get.path.as_str(), get.body), ("/films/a%2Fb%20%3F", None));
    assert_eq!(target("get_films_by_id", json!({ "id": 7, "query_id": null })).unwrap().path_and_query, "/films/7");
    assert_eq!(target("get_files_all_rest", json!({ "rest": "a/b c" })).unwrap().path_and_query, "/files/a/b%20c");
    let post = target("post_films", json!({ "body": { "title": "x" }, "idempotency_key": "k" })).unwrap();
    assert_eq!((post.body.as_deref(), post.key.as_deref()), (Some(b"{\"title\":\"x\"}".as_slice()), Some("k")));
    assert_eq!(
        target("put_films_by_id", json!({ "id": 1, "body": null })).unwrap().body.as_deref(),
        Some(b"null".as_slice())
    );
    for (tool, arguments, field, said) in [
        ("get_films_by_id", json!({}), "arguments.id", "argument `id` is missing"),
        ("get_films_by_id", json!({ "id": null }), "arguments.id", "is missing"),
        ("get_films_by_id", json!({ "id": "" }), "arguments.id", "is empty"),
        ("get_films_by_id", json!({ "id": {} }), "arguments.id", "is a text, a number or a truth value"),
        ("get_films_by_id", json!({ "id": 1, "query_id": [[1]] }), "arguments.query_id", "is a text"),
        (
            "get_films_by_id",
            json!({ "id": 1, "title": 1 }),
            "arguments.title",
            "is none of this tool's: it takes id, query_id",
        ),
        ("put_films_by_id", json!({ "id": 1 }), "arguments.body", "is missing"),
    ] {
        let bad = target(tool, arguments).unwrap_err();
        assert_eq!(bad.field, field);
        assert!(bad.detail.contains(said), "{}", bad.detail);
    }
}

#[test]
fn results_are_what_the_schema_says_or_nothing() {
    let tools = tools();
    let called = |tool: &str, kind: &str, body: &[u8]| {
        let answer = Answer { is_error: false, kind, body };
        asking(Revision::Of20250618).called(tools.find(tool, true).unwrap(), answer, Beside::default(), server())
    };
    let film = result(&called("get_films_by_id", "application/json", b"{ \"a\": 1.0 }").unwrap());
    let text = json!([{ "type": "text", "text": "{ \"a\": 1.0 }" }]);
    assert_eq!(film, json!({ "content": text, "structuredContent": { "a": 1.0 }, "isError": false }));
    let list = result(&called("post_films", "application/json", b"[1]").unwrap());
    assert_eq!(list["structuredContent"], json!({ "result": [1] }));
    assert_eq!(called("get_films_by_id", "application/json", b"[]").unwrap_err(), Unusable::NotAsPromised);
    assert_eq!(called("get_films_by_id", "application/json", b"{").unwrap_err(), Unusable::NotAsPromised);
    assert_eq!(called("get_files_all_rest", "text/html", b"\xff").unwrap_err(), Unusable::NoText);
    let page = result(&called("get_files_all_rest", "text/html", b"<p>").unwrap());
    assert_eq!((&page["content"][0]["text"], page.get("structuredContent")), (&json!("<p>"), None));
    assert_eq!(result(&called("put_films_by_id", "", b"").unwrap())["content"], json!([]));

    let problem = Map::from_iter([("status".to_owned(), json!(404))]);
    let failed = result(&asking(Revision::Of20260728).failed(problem, Beside::default(), server()));
    assert_eq!((&failed["isError"], &failed["content"][0]["text"]), (&json!(true), &json!("{\"status\":404}")));
    assert_eq!(failed["_meta"]["weft/problem"], json!({ "status": 404 }));
    assert_eq!(failed.get("structuredContent"), None, "no schema tells of errors");
    assert_eq!(failed["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "web");
}

#[test]
fn the_handshake_of_older_revisions_ends_in_one_that_is_served() {
    for (wanted, agreed) in
        [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2026-07-28", "2025-11-25"), ("1", "2025-11-25")]
    {
        let hello = result(&asking(Revision::Of20251125).initialized(wanted, server()));
        assert_eq!(hello["protocolVersion"], agreed, "{wanted}");
        assert_eq!(hello["capabilities"], json!({ "tools": {} }));
    }
    let found = result(&asking(Revision::Of20260728).discovered(server()));
    assert_eq!(found["supportedVersions"], json!(["2026-07-28", "2025-11-25", "2025-06-18"]));
}

#[test]
fn long_lists_come_in_pages_and_too_much_is_left_out() {
    let of_plugin = |from: usize| {
        let endpoints = (from..from + 500).map(|n| format!("[endpoint.\"GET /e{n}\"]\nauth = \"none\"\n"));
        let head = "[plugin]\nname = \"m\"\nversion = \"1.0.0\"\nclient = \"web\"\n";
        let manifest = head.to_owned() + &endpoints.collect::<String>();
        read_manifest(Path::new("plugin.toml"), &manifest, None, None).unwrap().endpoints
    };
    let endpoints: Vec<EndpointPolicy> = (0..2500).step_by(500).flat_map(of_plugin).collect();
    let large = "x".repeat(300 << 10);
    let get = |n: usize| match n {
        7 => {
            json!({ "get": { "parameters": [{ "in": "query", "name": "q", "schema": { "description": large } }], "responses": {} } })
        }
        8 => {
            json!({ "get": { "responses": { "200": { "content": { "application/json": { "schema": { "type": "object", "description": large } } } } } } })
        }
        _ => json!({ "get": { "responses": {} } }),
    };
    let paths: Map<String, Value> = (0..2500).map(|n| (format!("/e{n}"), get(n))).collect();
    let tools = Tools::new(&json!({ "paths": paths }), &endpoints.iter().collect::<Vec<_>>());
    assert_eq!(tools.left_out(), ["GET /e7"]);
    let (mut cursor, mut all, mut pages) = (None::<String>, Vec::new(), 0);
    loop {
        let page = result(&asking(Revision::Of20251125).listed((&tools, ALL), cursor.as_deref(), server()));
        all.extend(names(&page).iter().map(|name| (*name).to_owned()));
        pages += 1;
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!((all.len(), pages), (2499, 3));
    assert!(all.is_sorted() && all.contains(&"get_e8".to_owned()), "without its schema of answers");
    let beyond = result(&asking(Revision::Of20251125).listed((&tools, ALL), Some("zzz"), server()));
    assert_eq!(names(&beyond).len(), 0);
}

proptest! {
    /// No argument leaves the place in the path or the query that is its own.
    #[test]
    fn arguments_stay_where_they_belong(id in any::<String>(), query in any::<String>()) {
        let tools = tools();
        let arguments = json!({ "id": id, "query_id": query });
        let target = tools.find("get_films_by_id", true).unwrap().target(arguments.as_object().unwrap().clone());
        match target {
            Ok(target) => {
                let (path, query_string) = target.path_and_query.split_once('?').unwrap();
                let value = path.strip_prefix("/films/").unwrap();
                prop_assert!(!value.contains('/') && !query_string.contains('&') && !query_string.contains('#'));
                let decoded = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
                prop_assert_eq!(decoded, id);
                let sent = query_string.strip_prefix("id=").unwrap();
                prop_assert_eq!(percent_encoding::percent_decode_str(sent).decode_utf8().unwrap(), query);
            }
            Err(_) => prop_assert!(id.is_empty()),
        }
    }
}
