//! What an endpoint takes of path, query and headers.

use super::{operation::Operation, place::Use, schemas::Schemas, selected, walk::bound_numbers};
use crate::artifact::EndpointPolicy;
use serde_json::{Map, Value, json};

/// References that are followed on the way to a type.
const MOST_STEPS: usize = 64;
/// By which a mock is asked for what may happen: of what is mocked they say nothing.
pub(super) const OF_MOCKS: &str = "x-mock-";
/// Headers that a document says elsewhere: as types of bodies, and as security.
const TOLD_ELSEWHERE: [&str; 3] = ["accept", "content-type", "authorization"];

pub(super) fn write(operation: &Operation<'_>, schemas: &Schemas) -> Result<Vec<Value>, String> {
    let mut parameters = path(operation)?;
    parameters.extend(query(operation, schemas)?);
    parameters.extend(operation.policy.fields.as_ref().map(selected::parameter));
    parameters.extend(headers(operation.policy));
    Ok(parameters)
}

fn path(operation: &Operation<'_>) -> Result<Vec<Value>, String> {
    let known = operation.schema.and_then(|schema| schema.more.get("params")?.as_array());
    let parameter = |name: &String| {
        let found = known.and_then(|list| list.iter().find(|param| param["name"] == **name)?.get("schema").cloned());
        let mut schema = found.filter(|schema| !schema.is_null()).unwrap_or_else(|| json!({ "type": "string" }));
        let mut parameter = Map::new();
        if let Some(members) = schema.as_object_mut() {
            bound_numbers(members);
            if let Some(text) = members.remove("description") {
                parameter.insert("description".to_owned(), text);
            }
            // A path with an empty segment is another path.
            if members.get("type").is_some_and(|kind| kind == "string") && !members.contains_key("enum") {
                members.entry("minLength").or_insert(1.into());
            }
        }
        parameter.insert("name".to_owned(), name.as_str().into());
        parameter.insert("in".to_owned(), "path".into());
        parameter.insert("required".to_owned(), true.into());
        parameter.insert("schema".to_owned(), schema);
        if operation.policy.name.template().contains(&format!("{{*{name}}}")) {
            // OpenAPI has no parameters of several segments.
            parameter.insert("x-weft-rest".to_owned(), true.into());
        }
        Value::Object(parameter)
    };
    Ok(operation.policy.name.params().iter().map(parameter).collect())
}

/// Each member of the type that the endpoint takes from the query.
fn query(operation: &Operation<'_>, schemas: &Schemas) -> Result<Vec<Value>, String> {
    let Some(root) = operation.schema.and_then(|schema| schema.query.as_ref()) else { return Ok(Vec::new()) };
    let place = (operation.id.clone(), Use::Query);
    let (properties, required) = members(root)?;
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = in_query(schemas.written(&place, schema)?);
        let mut parameter = Map::new();
        for member in ["description", "deprecated"] {
            parameter.extend(schema.as_object_mut().and_then(|it| it.remove_entry(member)));
        }
        parameter.insert("name".to_owned(), name.as_str().into());
        parameter.insert("in".to_owned(), "query".into());
        parameter.insert("required".to_owned(), required.contains(&name.as_str()).into());
        parameter.insert("schema".to_owned(), schema);
        Ok(Value::Object(parameter))
    };
    properties.into_iter().map(parameter).collect()
}

/// Names and schemas.
type Members<'a> = Vec<(&'a String, &'a Value)>;

/// The members of a type, its flattened ones too, and which of them have to be there.
fn members(root: &Value) -> Result<(Members<'_>, Vec<&str>), String> {
    let mut schema = root;
    for _ in 0..MOST_STEPS {
        let Some(to) = schema.get("$ref").and_then(Value::as_str) else { break };
        let found = to.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        schema = found.ok_or_else(|| format!("its schema refers to `{to}`, which it does not have"))?;
    }
    let (mut properties, mut required) = (Vec::new(), Vec::new());
    let parts = std::iter::once(schema).chain(schema.get("allOf").and_then(Value::as_array).into_iter().flatten());
    for part in parts {
        properties.extend(part.get("properties").and_then(Value::as_object).into_iter().flatten());
        let names = part.get("required").and_then(Value::as_array).into_iter().flatten();
        required.extend(names.filter_map(Value::as_str));
    }
    Ok((properties, required))
}

/// A query has no `null`: what may be null may be left out.
fn in_query(mut schema: Value) -> Value {
    let Some(members) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(kinds)) = members.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    schema
}

fn headers(policy: &EndpointPolicy) -> Vec<Value> {
    let mut headers: Vec<Value> = Vec::new();
    let is_told = |name: &&str| !TOLD_ELSEWHERE.contains(name) && !name.starts_with(OF_MOCKS);
    let seen = policy.headers.iter().map(http::HeaderName::as_str).filter(is_told);
    headers.extend(
        seen.filter(|name| *name != "idempotency-key")
            .map(|name| json!({ "name": name, "in": "header", "required": false, "schema": { "type": "string" } })),
    );
    if policy.idempotency.is_some() {
        headers.push(json!({
            "name": "idempotency-key", "in": "header", "required": false,
            "description": "A name of this write, new for each: who sends it again gets the first one's answer, and nothing is done twice.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }));
    }
    if policy.name.method == http::Method::GET {
        headers.push(json!({
            "name": "if-none-match", "in": "header", "required": false,
            "description": "The `etag` of the answer that you have: 304 while it is still the right one.",
            "schema": { "type": "string" },
        }));
    }
    headers
}
