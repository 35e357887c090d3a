//! What comes back, by status.

use super::{
    names,
    operations::{Endpoint, essence, is_json, object},
    types::Types,
};
use crate::compat::{Document, Unreadable};
use serde_json::{Map, Value};

const EVENTS: &str = "text/event-stream";

/// One status: what comes with it, as a type and as the runtime reads it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
    /// Members of it may be chosen.
    pub(super) is_chosen: bool,
    pub(super) reading: String,
    pub(super) media: Option<String>,
    pub(super) is_stream: bool,
}

/// Of the statuses that are named; others are `Unexpected`.
pub(super) fn answers(
    document: &Document,
    types: &Types<'_>,
    endpoint: &Endpoint<'_>,
) -> Result<Vec<Answer>, Unreadable> {
    let mut found = Vec::new();
    let responses = object(endpoint.operation, "responses");
    for (key, response) in responses {
        let content = object(document.resolved(response)?, "content");
        for status in statuses(key, responses) {
            let has_none = content.is_empty() || endpoint.method == "HEAD" || matches!(status, 204 | 205);
            if has_none {
                let (text, reading) = ("undefined".to_owned(), "\"none\"".to_owned());
                found.push(Answer { status, text, is_chosen: false, reading, media: None, is_stream: false });
                continue;
            }
            if let Some((media, body)) = content.iter().find(|(media, _)| essence(media) != EVENTS) {
                found.push(whole(document, types, status, media, body)?);
            }
            if let Some((media, body)) = content.iter().find(|(media, _)| essence(media) == EVENTS) {
                found.push(stream(types, status, media, body)?);
            }
        }
    }
    found.sort_by_key(|answer| answer.status);
    Ok(found)
}

/// The statuses that a key stands for. Those of a class are the good ones that have a meaning for callers; what failed otherwise than is
/// said is `Unexpected`. A 304 is the runtime's to handle.
fn statuses(key: &str, responses: &Map<String, Value>) -> Vec<u16> {
    match key {
        "304" => Vec::new(),
        "2XX" => (200..=206).filter(|status| !responses.contains_key(&status.to_string())).collect(),
        _ => key.parse().into_iter().filter(|status| (200..=599).contains(status)).collect(),
    }
}

fn stream(types: &Types<'_>, status: u16, media: &str, body: &Value) -> Result<Answer, Unreadable> {
    let schema = body.get("itemSchema").or_else(|| body.get("schema"));
    let data = schema.map_or(Ok("string".to_owned()), |schema| types.text(schema, 0))?;
    let is_text = data == "string" && body.get("x-weft-event-data").is_none();
    let reading = if is_text { "\"textEvents\"" } else { "\"events\"" }.to_owned();
    let text = format!("AsyncIterable<StreamEvent<{data}>>");
    Ok(Answer { status, text, is_chosen: false, reading, media: Some(media.to_owned()), is_stream: true })
}

fn whole(document: &Document, types: &Types<'_>, status: u16, media: &str, body: &Value) -> Result<Answer, Unreadable> {
    let (schema, media_type) = (body.get("schema"), essence(media));
    let (schema, is_chosen) = match schema {
        Some(both) => (Some(Document::whole(both)), !std::ptr::eq(both, Document::whole(both))),
        None => (None, false),
    };
    let json = |schema: Option<&Value>| schema.map_or(Ok("unknown".to_owned()), |schema| types.text(schema, 0));
    let (text, reading) = if media_type == "application/problem+json" {
        let kinds = schema.map(|schema| problem_types(document, schema)).unwrap_or_default();
        let list = kinds
            .map(|kinds| format!("[{}]", kinds.iter().map(|kind| names::literal(kind)).collect::<Vec<_>>().join(", ")));
        let text = json(schema)?;
        (
            if text == "unknown" { "UnknownProblem".to_owned() } else { text },
            list.unwrap_or_else(|| "\"problem\"".to_owned()),
        )
    } else if is_json(&media_type) {
        (json(schema)?, "\"json\"".to_owned())
    } else if media_type.starts_with("text/") {
        ("string".to_owned(), "\"text\"".to_owned())
    } else {
        ("Blob".to_owned(), "\"blob\"".to_owned())
    };
    Ok(Answer { status, text, is_chosen, reading, media: Some(media.to_owned()), is_stream: false })
}

/// The types of problems that a schema lets through, if it names them all.
fn problem_types(document: &Document, schema: &Value) -> Option<Vec<String>> {
    let (mut found, mut left, mut steps) = (Vec::new(), vec![schema], 0);
    while let Some(schema) = left.pop() {
        steps += 1;
        let schema = document.resolved(schema).ok().filter(|_| steps < 10_000)?;
        let variants = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(*key)?.as_array());
        if let Some(variants) = variants {
            left.extend(variants);
            continue;
        }
        let parts = schema.get("allOf").and_then(Value::as_array);
        let own = std::iter::once(schema).chain(parts.into_iter().flatten());
        let kind = own.filter_map(|part| document.resolved(part).ok()?.pointer("/properties/type")).find_map(|kind| {
            match (kind.get("const").and_then(Value::as_str), kind.get("enum").and_then(Value::as_array)) {
                (Some(kind), _) => Some(vec![kind.to_owned()]),
                (None, Some(kinds)) => kinds.iter().map(|kind| kind.as_str().map(str::to_owned)).collect(),
                _ => None,
            }
        });
        found.extend(kind?);
    }
    found.sort();
    found.dedup();
    Some(found)
}
