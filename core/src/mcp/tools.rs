//! A client's endpoints as tools: made of its document, once for each.

use super::{
    arguments::{self, Argument, BadArguments, Target},
    names::tool_name,
    schema::Types,
    text::is_json,
};
use crate::artifact::{Auth, EndpointName, EndpointPolicy};
use http::Method;
use rmcp::model::{self, ToolAnnotations};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Tools that are told of at once.
const MOST_IN_A_PAGE: usize = 1000;
/// Bytes of them.
const LARGEST_PAGE: usize = 2 << 20;
/// Bytes of one tool.
const LARGEST: usize = 256 << 10;
/// Bytes of all schemas of answers together.
const MOST_OF_ANSWERS: usize = 8 << 20;
/// Characters of a description.
const LONGEST_DESCRIPTION: usize = 4096;

/// Those of one client, by name.
#[derive(Debug, Default)]
pub struct Tools {
    list: Vec<Tool>,
    version: String,
    /// Endpoints that are too large for a tool.
    left_out: Vec<String>,
}

/// One endpoint.
#[derive(Debug)]
pub struct Tool {
    pub(super) told: model::Tool,
    pub endpoint: EndpointName,
    auth: Auth,
    arguments: Vec<Argument>,
    pub(super) shape: Shape,
    size: usize,
}

/// What is promised of its structured results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The answer is an object.
    Object,
    /// The answer is something else, and stands in an object as `result`.
    Wrapped,
    /// Nothing.
    Open,
}

/// What somebody is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Also what may change something.
    pub writes: bool,
    /// Also what needs a caller.
    pub named: bool,
}

impl Tool {
    pub fn name(&self) -> &str {
        &self.told.name
    }

    /// The request that a call with these arguments is.
    pub fn target(&self, given: Map<String, Value>) -> Result<Target, BadArguments> {
        arguments::target(&self.endpoint, &self.arguments, given)
    }

    fn reads(&self) -> bool {
        self.endpoint.method == Method::GET
    }

    fn is_for(&self, seen: Seen) -> bool {
        (seen.writes || self.reads()) && (seen.named || self.auth != Auth::Required)
    }
}

impl Tools {
    /// Of those endpoints that the document tells of and whose answers are texts.
    pub fn new(document: &Value, endpoints: &[&EndpointPolicy]) -> Self {
        let (types, mut answers_left) = (Types::of(document), MOST_OF_ANSWERS);
        let mut tools = Self { version: text(document, "/info/version"), ..Self::default() };
        let mut endpoints = endpoints.to_vec();
        endpoints.sort_by_key(|policy| tool_name(&policy.name));
        for policy in endpoints.into_iter().filter(|policy| answers_with_text(policy)) {
            let path = policy.name.template().replace("{*", "{");
            let method = policy.name.method.as_str().to_ascii_lowercase();
            let Some(operation) = document.get("paths").and_then(|paths| paths.get(&path)?.get(&method)) else {
                continue;
            };
            let Some((arguments, input)) = arguments::of(operation) else { continue };
            let answer = answer(types, operation);
            let mut told = model::Tool::new_with_raw(tool_name(&policy.name), None, types.whole(input));
            told.title = Some(policy.name.to_string());
            told.description = Some(description(policy, operation).into());
            told.annotations = Some(annotations(policy));
            let size_without = size(&told);
            let (mut shape, output) = answer.map_or((Shape::Open, None), |(shape, output)| (shape, Some(output)));
            told.output_schema = output.map(Arc::new);
            let of_answer = size(&told).saturating_sub(size_without);
            if size_without + of_answer > LARGEST || of_answer > answers_left {
                (told.output_schema, shape) = (None, Shape::Open);
            } else {
                answers_left -= of_answer;
            }
            let size = size(&told);
            if size > LARGEST {
                tools.left_out.push(policy.name.to_string());
                continue;
            }
            tools.list.push(Tool { told, endpoint: policy.name.clone(), auth: policy.auth, arguments, shape, size });
        }
        tools
    }

    /// The version of what stands behind them.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The tool of this name, whoever calls: one that needs a caller says so itself.
    pub fn find(&self, name: &str, writes: bool) -> Option<&Tool> {
        let at = self.list.binary_search_by(|tool| tool.name().cmp(name)).ok()?;
        self.list.get(at).filter(|tool| writes || tool.reads())
    }

    /// Some of them, from behind the one of this name, in the order of their names; and the name from behind which to go on.
    pub(super) fn page(&self, cursor: Option<&str>, seen: Seen) -> (Vec<model::Tool>, Option<String>) {
        let mut shown = self
            .list
            .iter()
            .filter(|tool| cursor.is_none_or(|cursor| tool.name() > cursor) && tool.is_for(seen))
            .peekable();
        let (mut page, mut size) = (Vec::new(), 0);
        while let Some(tool) = shown.next() {
            size += tool.size;
            page.push(tool.told.clone());
            let next = shown.peek().map_or(0, |next| next.size);
            if next > 0 && (page.len() >= MOST_IN_A_PAGE || size + next > LARGEST_PAGE) {
                return (page, Some(tool.name().to_owned()));
            }
        }
        (page, None)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn size(tool: &model::Tool) -> usize {
    serde_json::to_vec(tool).map_or(usize::MAX, |bytes| bytes.len())
}

/// Whether a kind of content is text of a length: what comes in parts is none.
fn answers_with_text(policy: &EndpointPolicy) -> bool {
    let is_text = |kind: &String| is_json(kind) || (kind.starts_with("text/") && kind != "text/event-stream");
    policy.produces.iter().any(is_text)
}

fn description(policy: &EndpointPolicy, operation: &Value) -> String {
    let (summary, more) = (text(operation, "/summary"), text(operation, "/description"));
    let mut parts: Vec<String> = [summary, more].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        parts.push(policy.name.to_string());
    }
    if let Some(deprecated) = &policy.deprecated {
        let until = deprecated.sunset.map(|sunset| format!(", and goes away {sunset}")).unwrap_or_default();
        parts.push(format!("Deprecated since {}{until}.", deprecated.since));
    }
    parts.join("\n\n").chars().take(LONGEST_DESCRIPTION).collect()
}

/// What may be expected of a call, by the method: nobody has looked into the code.
fn annotations(policy: &EndpointPolicy) -> ToolAnnotations {
    let method = &policy.name.method;
    let reads = *method == Method::GET;
    let again = reads || [Method::PUT, Method::DELETE].contains(method);
    ToolAnnotations::from_raw(None, Some(reads), Some(!reads), Some(again), Some(false))
}

/// The schema of good answers as an object, where the code says that they all are of it.
fn answer(types: Types<'_>, operation: &Value) -> Option<(Shape, Map<String, Value>)> {
    let responses = operation.get("responses")?.as_object()?;
    let (status, good) = responses.iter().find(|(status, _)| status.starts_with('2'))?;
    // Where the code decides on the status, there may be no body.
    if status.ends_with("XX") {
        return None;
    }
    let content = good.get("content")?.as_object()?;
    // All that it may be.
    if !content.keys().all(|kind| is_json(kind)) {
        return None;
    }
    let schema = content.values().next()?.get("schema")?;
    // Where members may be chosen: what holds of every part of the answer, which is told behind the whole.
    let of_a_part = schema.get("anyOf").filter(|_| schema.get("x-weft-fields").is_some());
    let schema = of_a_part.and_then(Value::as_array).and_then(|shapes| shapes.last()).unwrap_or(schema);
    Some(match types.object(schema) {
        Some(object) => (Shape::Object, types.whole(object.clone())),
        None => {
            let wrapped = json!({ "type": "object", "properties": { "result": schema }, "required": ["result"] });
            (Shape::Wrapped, types.whole(wrapped.as_object().cloned().unwrap_or_default()))
        }
    })
}
