//! Messages of agents: headers that repeat parts of them, and what calls become.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::{path::Path, sync::OnceLock};
use weft_core::{
    artifact::{EndpointPolicy, read_manifest},
    mcp::{self, Message, Tools, What},
    routing,
};

const MANIFEST: &str = r#"
[plugin]
name = "films"
version = "1.0.0"
client = "web"

[endpoint."GET /films/{id}"]
[endpoint."PUT /files/{*rest}"]
"#;

const DOCUMENT: &str = r#"{ "paths": {
  "/films/{id}": { "get": { "parameters": [
    { "in": "path", "name": "id", "required": true, "schema": {} }, { "in": "query", "name": "q", "schema": {} } ], "responses": {} } },
  "/files/{rest}": { "put": { "parameters": [ { "in": "path", "name": "rest", "required": true, "schema": {} } ],
    "requestBody": { "content": { "application/json": {} } }, "responses": {} } }
} }"#;

fn tools() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let endpoints = read_manifest(Path::new("plugin.toml"), MANIFEST, None, None).unwrap().endpoints;
        Tools::new(&serde_json::from_str(DOCUMENT).unwrap(), &endpoints.iter().collect::<Vec<&EndpointPolicy>>())
    })
}

/// Lines of `name: value`, an empty line, and the body: what is not followed is refused in the words of the protocol, and a call stays
/// within its endpoint.
pub fn message(bytes: &[u8]) -> bool {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(0);
    let (head, body) = (String::from_utf8_lossy(&bytes[..end]), bytes.get(end + 2..).unwrap_or(bytes));
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    let headers: HeaderMap = head.split('\n').filter_map(pair).collect();
    let asked = match mcp::read(&headers, body) {
        Ok(Message::Request(asked)) => asked,
        Ok(Message::Notification) => return true,
        Err(refused) => {
            let said: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
            let text = said["error"]["message"].as_str().unwrap();
            assert!(said["jsonrpc"] == "2.0" && said["error"]["code"].is_i64() && text.len() < 1000, "{said}");
            assert!([200, 400, 404].contains(&refused.status.as_u16()), "{}", refused.status);
            return headers.contains_key("mcp-protocol-version");
        }
    };
    let What::Call { tool, arguments } = asked.what else { return true };
    let Some(tool) = tools().find(&tool, true) else { return true };
    if let Ok(target) = tool.target(arguments) {
        let (path, query) = target.path_and_query.split_once('?').unwrap_or((&target.path_and_query, ""));
        assert_eq!(path, target.path);
        let prefix = if tool.name() == "get_films_by_id" { "/films/" } else { "/files/" };
        let value = path.strip_prefix(prefix).unwrap();
        assert!(!value.is_empty() && !path.contains(['#', '?', ' ']), "{path}");
        assert!(prefix == "/files/" || !value.contains('/'), "{path}");
        assert!(routing::query(Some(query)).unwrap().iter().all(|(name, _)| name == "q"), "{query}");
    }
    true
}
