//! What a tool takes, and the request that comes of it.

use super::text::{is_json, shown};
use crate::artifact::EndpointName;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// What stands in a path or query as it is (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ENCODED_REST: &AsciiSet = &ENCODED.remove(b'/');

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Body,
    /// The name of a write, by which it is done once.
    Key,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    /// As the tool calls it.
    name: String,
    /// As the endpoint does.
    of_endpoint: String,
    place: Place,
    required: bool,
}

/// Where a call goes, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Without the client's prefix.
    pub path: String,
    /// With its path.
    pub path_and_query: String,
    pub body: Option<Bytes>,
    /// What is sent as `idempotency-key`.
    pub key: Option<String>,
}

/// What is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadArguments {
    pub field: String,
    pub detail: String,
}

impl BadArguments {
    fn new(name: &str, what: impl std::fmt::Display) -> Self {
        let name = shown(name);
        Self { field: format!("arguments.{name}"), detail: format!("argument `{name}` {what}") }
    }
}

/// The arguments of an operation, and their schema; none where it takes a body that an agent can't write.
pub(super) fn of(operation: &Value) -> Option<(Vec<Argument>, Map<String, Value>)> {
    let (mut arguments, mut properties): (Vec<Argument>, Map<String, Value>) = (Vec::new(), Map::new());
    let mut add = |of_endpoint: &str, place: Place, required: bool, schema: Value| {
        let name = free_name(&properties, place, of_endpoint);
        properties.insert(name.clone(), schema);
        arguments.push(Argument { name, of_endpoint: of_endpoint.to_owned(), place, required });
    };
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let said = |member: &str| parameter.get(member).and_then(Value::as_str).unwrap_or_default();
        let place = match (said("in"), said("name")) {
            ("path", _) => Place::Path,
            ("query", _) => Place::Query,
            ("header", "idempotency-key") => Place::Key,
            _ => continue,
        };
        let required = parameter.get("required").is_some_and(|required| *required == true);
        let mut schema = parameter.get("schema").cloned().unwrap_or_else(|| json!({}));
        if let (Some(members), Some(text)) = (schema.as_object_mut(), parameter.get("description")) {
            members.insert("description".to_owned(), text.clone());
        }
        add(if place == Place::Key { "idempotency_key" } else { said("name") }, place, required, schema);
    }
    if let Some(body) = operation.get("requestBody") {
        let required = body.get("required").is_some_and(|required| *required == true);
        let content = body.get("content").and_then(Value::as_object);
        let json = content.into_iter().flatten().find(|(kind, _)| is_json(kind) || *kind == "*/*");
        match json {
            Some((_, media)) => {
                add("body", Place::Body, required, media.get("schema").cloned().unwrap_or_else(|| json!({})))
            }
            None if required => return None,
            None => {}
        }
    }
    let required: Vec<&String> = arguments.iter().filter(|it| it.required).map(|it| &it.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), false.into());
    Some((arguments, schema))
}

/// The endpoint's name for it; where that is taken, with the place in front.
fn free_name(taken: &Map<String, Value>, place: Place, name: &str) -> String {
    let mut free = name.to_owned();
    if taken.contains_key(&free) {
        let word = match place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Body => "request",
            Place::Key => "header",
        };
        free = format!("{word}_{name}");
    }
    while taken.contains_key(&free) {
        free.push('_');
    }
    free
}

/// The request that a call with these arguments is.
pub(super) fn target(
    endpoint: &EndpointName,
    arguments: &[Argument],
    mut given: Map<String, Value>,
) -> Result<Target, BadArguments> {
    let (mut values, mut query, mut body, mut key) = (Vec::new(), String::new(), None, None);
    for argument in arguments {
        // What is null is left out; of a body it may be the value.
        let value = given.remove(&argument.name).filter(|value| argument.place == Place::Body || !value.is_null());
        let Some(value) = value else {
            if argument.required {
                return Err(BadArguments::new(&argument.name, "is missing"));
            }
            continue;
        };
        match argument.place {
            Place::Path => values.push((argument, scalar(argument, &value)?)),
            Place::Query => add_to(&mut query, argument, &value)?,
            Place::Body => body = Some(Bytes::from(value.to_string())),
            Place::Key => key = Some(scalar(argument, &value)?),
        }
    }
    if let Some(unknown) = given.keys().next() {
        let known: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
        let known =
            if known.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", known.join(", ")) };
        return Err(BadArguments::new(unknown, format!("is none of this tool's: {known}")));
    }
    let path = path(endpoint, &values)?;
    let path_and_query = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
    Ok(Target { path, path_and_query, body, key })
}

fn path(endpoint: &EndpointName, values: &[(&Argument, String)]) -> Result<String, BadArguments> {
    let mut path = String::new();
    for segment in endpoint.template().split('/').skip(1) {
        path.push('/');
        let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            path.push_str(segment);
            continue;
        };
        let (name, encoded) = inner.strip_prefix('*').map_or((inner, ENCODED), |rest| (rest, ENCODED_REST));
        let value = values.iter().find(|(argument, _)| argument.of_endpoint == name);
        let (argument, value) = value.ok_or_else(|| BadArguments::new(name, "is missing"))?;
        if value.is_empty() {
            return Err(BadArguments::new(&argument.name, "is empty, which would be another path"));
        }
        path.extend(utf8_percent_encode(value, encoded));
    }
    Ok(path)
}

/// Each element of a list by itself, as the SDK reads them.
fn add_to(query: &mut String, argument: &Argument, value: &Value) -> Result<(), BadArguments> {
    let values = match value {
        Value::Array(list) => list.iter().map(|value| scalar(argument, value)).collect::<Result<Vec<_>, _>>()?,
        value => vec![scalar(argument, value)?],
    };
    for value in values {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(&argument.of_endpoint, ENCODED));
        query.push('=');
        query.extend(utf8_percent_encode(&value, ENCODED));
    }
    Ok(())
}

fn scalar(argument: &Argument, value: &Value) -> Result<String, BadArguments> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(is) => Ok(is.to_string()),
        _ => Err(BadArguments::new(&argument.name, "is a text, a number or a truth value")),
    }
}
