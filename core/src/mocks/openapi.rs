//! A fragment of OpenAPI 3.1 as a contract: `paths`, and `components.schemas` that they name.

use super::file::File;
use crate::{
    artifact::{BadEndpoint, EndpointName, EndpointSchema},
    compat::Document,
};
use serde_json::{Map, Value, json};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Beside methods.
const OF_PATH: [&str; 4] = ["parameters", "summary", "description", "servers"];
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Its operations as endpoints.
pub(super) fn endpoints(document: &Map<String, Value>, file: &File<'_>) -> Vec<EndpointSchema> {
    let schemas = document.get("components").and_then(|components| components.get("schemas")?.as_object());
    let types = schemas.into_iter().flatten().map(|(name, schema)| (name.clone(), moved(schema))).collect();
    let mut endpoints = Vec::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        let key = format!("paths.{path}");
        let Some(item) = item.as_object() else {
            file.mistake(&key, "expected an object of operations");
            continue;
        };
        for (method, operation) in item {
            let key = format!("{key}.{method}");
            if METHODS.contains(&method.as_str()) {
                let shared = item.get("parameters");
                endpoints.extend(Operation { path, method, operation, shared, types: &types, file, key }.endpoint());
            } else if !OF_PATH.contains(&method.as_str()) && !method.starts_with("x-") {
                file.mistake(&key, format!("is not understood; expected one of: {}", METHODS.join(", ")));
            }
        }
    }
    if endpoints.is_empty() {
        file.mistake("paths", "has no operation");
    }
    endpoints
}

struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
    /// Parameters of all operations of the path.
    shared: Option<&'a Value>,
    types: &'a Map<String, Value>,
    file: &'a File<'a>,
    key: String,
}

impl Operation<'_> {
    fn endpoint(&self) -> Option<EndpointSchema> {
        let name = EndpointName::new(&self.method.to_ascii_uppercase(), self.path);
        let name = name.map_err(|error: BadEndpoint| self.file.mistake(&self.key, error.to_string())).ok()?;
        let text = |key: &str| self.operation.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (params, query) = self.parameters(&name);
        let (status, response, streams) = self.response()?;
        let mut more = Map::new();
        more.insert("params".to_owned(), params);
        more.insert("status".to_owned(), json!(status));
        more.insert("description".to_owned(), text("description").into());
        if streams {
            more.insert("stream".to_owned(), Value::Bool(true));
        }
        Some(EndpointSchema {
            method: name.method.to_string(),
            path: name.template().to_owned(),
            summary: text("summary"),
            request: self.content("requestBody", self.operation.get("requestBody"), JSON),
            response,
            query,
            more,
        })
    }

    fn parameters(&self, name: &EndpointName) -> (Value, Option<Value>) {
        let own = self.operation.get("parameters");
        let all = [self.shared, own].into_iter().flatten().filter_map(Value::as_array).flatten();
        let (mut path, mut properties, mut required) = (Map::new(), Map::new(), Vec::new());
        for parameter in all {
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            // What may be chosen of answers stands in the manifest.
            if parameter.get("x-weft-fields") == Some(&Value::Bool(true)) {
                continue;
            }
            let key = format!("{}.parameters.{}", self.key, text("name"));
            let schema = moved(parameter.get("schema").unwrap_or(&Value::Bool(true)));
            match text("in") {
                "path" if name.params().iter().any(|param| param == text("name")) => {
                    path.insert(text("name").to_owned(), self.file.schema(&key, &schema, self.types));
                }
                "path" => self.file.mistake(&key, format!("{} has no such parameter", name.template())),
                "query" => {
                    properties.insert(text("name").to_owned(), schema);
                    required.extend((parameter.get("required") == Some(&Value::Bool(true))).then(|| text("name")));
                }
                // Which headers a plugin sees stands in its manifest.
                "header" | "cookie" => {}
                _ => self.file.mistake(&key, "expected a parameter with `name`, `in` and `schema`"),
            }
        }
        let params = name.params().iter().map(|param| json!({ "name": param, "schema": path.get(param) })).collect();
        let query = (!properties.is_empty()).then(|| {
            let schema = json!({ "type": "object", "properties": properties, "required": required });
            self.file.schema(&format!("{}.parameters", self.key), &schema, self.types)
        });
        (params, query)
    }

    /// The first good one, and whether it comes in parts.
    fn response(&self) -> Option<(u16, Option<Value>, bool)> {
        let responses = self.operation.get("responses").and_then(Value::as_object);
        let good = responses.into_iter().flatten().find_map(|(status, response)| {
            Some((status.parse().ok().filter(|status| (200..300).contains(status))?, response))
        });
        let Some((status, response)) = good else {
            self.file.mistake(&format!("{}.responses", self.key), "expected an answer with a status from 200 to 299");
            return None;
        };
        let streams = response.get("content").is_some_and(|content| content.get(EVENTS).is_some());
        let schema = self.content(&format!("responses.{status}"), Some(response), if streams { EVENTS } else { JSON });
        Some((status, schema, streams))
    }

    fn content(&self, part: &str, holder: Option<&Value>, media: &str) -> Option<Value> {
        let content = holder?.get("content")?.as_object()?;
        let key = format!("{}.{part}.content", self.key);
        let schema = content.get(media).and_then(|content| content.get("schema").or_else(|| content.get("itemSchema")));
        let Some(schema) = schema else {
            self.file.mistake(&key, format!("expected a schema of {media}"));
            return None;
        };
        Some(self.file.schema(&key, &moved(Document::whole(schema)), self.types))
    }
}

/// With references to types where JSON Schemas have them.
fn moved(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                let to =
                    value.as_str().filter(|_| key == "$ref").and_then(|to| to.strip_prefix("#/components/schemas/"));
                (key.clone(), to.map_or_else(|| moved(value), |name| format!("#/$defs/{name}").into()))
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => items.iter().map(moved).collect(),
        other => other.clone(),
    }
}
