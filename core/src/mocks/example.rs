//! Examples as their authors wrote them, held against what the endpoint gives.

use super::{
    how::How,
    schema::{self, Fault},
};
use crate::{
    artifact::{EndpointPolicy, EndpointSchema, Manifest},
    settings::{Mistake, Mistakes, nearest},
};
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The example that answers where nothing else is asked for.
pub(super) const DEFAULT: &str = "default";
/// Keys of the files of a stand-in that are no files: no file that is read is called so.
pub(super) const CALLS: &str = ".calls";
pub(super) const SEED: &str = ".seed";

const KEYS: [&str; 6] = ["status", "headers", "body", "problem", "degraded", "params"];

/// One answer that an endpoint may give.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub name: String,
    /// `None`: as the code has it.
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    /// `None`: made from the schema.
    pub body: Option<Value>,
    /// Instead of a body.
    pub problem: Option<Map<String, Value>>,
    /// Calls whose part is less than it should be.
    pub degraded: Vec<(String, How)>,
    /// It answers where the path has these values.
    pub params: Vec<(String, String)>,
}

/// What is answered for the endpoints of one plugin.
#[derive(Debug, Clone, Default)]
pub struct Mocks {
    pub(super) endpoints: BTreeMap<String, EndpointMocks>,
    /// What the plugin may call.
    pub(super) calls: BTreeSet<String>,
    pub(super) seed: u64,
}

#[derive(Debug, Clone)]
pub(super) struct EndpointMocks {
    pub(super) schema: EndpointSchema,
    /// The first one answers where nothing else is asked for; none where nobody wrote one.
    pub(super) examples: Vec<Example>,
    pub(super) media_type: String,
}

/// Where something stands: a file, and the way inside of it.
struct At<'a> {
    file: &'a str,
    line: usize,
    key: String,
}

impl At<'_> {
    fn inside(&self, key: &str) -> Self {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Self { file: self.file, line: self.line, key }
    }

    fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake { file: self.file.into(), line: self.line, key: self.key.clone(), message: message.into() }
    }

    fn fault(&self, fault: &Fault) -> Mistake {
        let inner = if fault.path.is_empty() { None } else { Some(self.inside(&fault.path)) };
        inner.as_ref().unwrap_or(self).mistake(&*fault.message)
    }
}

impl Mocks {
    /// Reads the examples of a manifest and of files, by their names, that lie in `folder`. What is wrong is noted, and left out.
    pub fn read(
        manifest: &Manifest,
        schema: &[EndpointSchema],
        files: &Map<String, Value>,
        folder: &str,
        mistakes: &Mistakes,
    ) -> Self {
        let endpoint = |policy: &EndpointPolicy| {
            let schema = schema.iter().find(|schema| schema.is(&policy.name))?.clone();
            let media_type = policy.produces.first().cloned().unwrap_or_default();
            Some((policy.name.to_string(), EndpointMocks { schema, examples: Vec::new(), media_type }))
        };
        let endpoints = manifest.endpoints.iter().filter_map(endpoint).collect();
        let listed = files.get(CALLS).and_then(Value::as_array).into_iter().flatten();
        let granted = manifest
            .calls
            .iter()
            .flat_map(|(service, methods)| methods.iter().map(move |method| format!("{service}/{method}")));
        let calls = listed.filter_map(Value::as_str).map(str::to_owned).chain(granted).collect();
        let seed = files.get(SEED).and_then(Value::as_u64).unwrap_or_default();
        let mut mocks = Self { endpoints, calls, seed };
        for (name, text, place) in &manifest.mocks {
            let at = At { file: &place.file, line: place.line, key: place.key.clone() };
            match serde_json::from_str(text) {
                Ok(Value::Object(members)) => mocks.add(name, &members, &at, mistakes),
                _ => mistakes.add(at.mistake("expected a table")),
            }
        }
        for (name, value) in files.iter().filter(|(name, _)| !name.starts_with('.')) {
            let file = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let at = At { file: &file, line: 0, key: String::new() };
            let Some(members) = value.as_object() else {
                mistakes.add(at.mistake("expected an object with `endpoint` and `examples`"));
                continue;
            };
            let mut members = members.clone();
            match members.remove("endpoint") {
                Some(Value::String(endpoint)) => mocks.add(&endpoint, &members, &at, mistakes),
                _ => mistakes.add(
                    at.mistake("`endpoint` is missing: expected the endpoint's name, such as \"GET /films/{id}\""),
                ),
            }
        }
        mocks
    }

    fn add(&mut self, name: &str, members: &Map<String, Value>, at: &At<'_>, mistakes: &Mistakes) {
        let known: Vec<&String> = self.endpoints.keys().collect();
        let hint = match nearest(name, known.iter().map(|name| name.as_str())) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                format!("there are: {}", known.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
            }
        };
        let Some(endpoint) = self.endpoints.get_mut(name) else {
            return mistakes.add(at.mistake(format!("there is no endpoint \"{name}\"; {hint}")));
        };
        if !endpoint.examples.is_empty() {
            return mistakes
                .add(at.mistake(format!("\"{name}\" has its examples somewhere else already: put all in one place")));
        }
        let mut examples = match members.get("examples") {
            None => endpoint.example(DEFAULT, members, at, mistakes).into_iter().collect(),
            Some(Value::Object(named)) if members.len() == 1 => {
                let inside = at.inside("examples");
                let read = |(name, value): (&String, &Value)| {
                    let at = inside.inside(name);
                    match value.as_object() {
                        Some(members) => endpoint.example(name, members, &at, mistakes),
                        None => {
                            mistakes.add(at.mistake("expected an object"));
                            None
                        }
                    }
                };
                named.iter().filter_map(read).collect::<Vec<_>>()
            }
            Some(_) => {
                mistakes.add(at.mistake("expected `examples` alone, an object of examples by their names"));
                Vec::new()
            }
        };
        let is_first = |example: &Example| example.name == DEFAULT || examples.len() == 1;
        match examples.iter().position(is_first) {
            Some(first) => examples.swap(0, first),
            None if examples.is_empty() => {}
            None => {
                mistakes.add(at.inside("examples").mistake("one of them has to be called `default`: it answers mostly"))
            }
        }
        endpoint.examples = examples;
    }

    /// Endpoints, each with the names of its examples.
    pub fn examples(&self) -> impl Iterator<Item = (&str, &[Example])> {
        self.endpoints.iter().map(|(name, endpoint)| (name.as_str(), endpoint.examples.as_slice()))
    }
}

impl EndpointMocks {
    fn example(&self, name: &str, members: &Map<String, Value>, at: &At<'_>, mistakes: &Mistakes) -> Option<Example> {
        let before = mistakes.sorted().len();
        for key in members.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let hint = match nearest(key, KEYS.into_iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected one of: {}", KEYS.join(", ")),
            };
            mistakes.add(at.inside(key).mistake(format!("unknown key; {hint}")));
        }
        let wrong = |key: &str, message: &str| mistakes.add(at.inside(key).mistake(message));
        let status = members.get("status").and_then(|value| {
            let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
            let status = status.filter(|status| (200..600).contains(status));
            if status.is_none() {
                wrong("status", &format!("expected a status from 200 to 599, found {value}"));
            }
            status
        });
        let problem = match members.get("problem") {
            None => None,
            Some(Value::Object(problem)) => Some(problem.clone()),
            Some(_) => {
                wrong("problem", "expected an object with `type`, `title` and `detail`");
                None
            }
        };
        if problem.is_some() && members.contains_key("body") {
            wrong("problem", "an answer has a `body` or a `problem`, not both");
        }
        if problem.is_some() && status.is_some_and(|status| status < 400) {
            wrong("status", "a problem has a status from 400 to 599");
        }
        let example = Example {
            name: name.to_owned(),
            status: status.or(problem.as_ref().and(Some(problem_status(problem.as_ref())))),
            headers: headers(members.get("headers"), at, mistakes),
            body: members.get("body").cloned(),
            problem,
            degraded: degraded(members.get("degraded"), at, mistakes),
            params: self.params(members.get("params"), at, mistakes),
        };
        self.check_body(&example, at, mistakes);
        (mistakes.sorted().len() == before).then_some(example)
    }

    /// A good answer is what the schema says. What an endpoint answers beyond that is not told by it.
    fn check_body(&self, example: &Example, at: &At<'_>, mistakes: &Mistakes) {
        let Some(body) = &example.body else { return };
        if !example.status.is_none_or(|status| (200..300).contains(&status)) {
            return;
        }
        let at = at.inside("body");
        match &self.schema.response {
            Some(schema) if self.schema.streams() => match body.as_array() {
                Some(events) => {
                    for (number, data) in events.iter().enumerate() {
                        let at = at.inside(&number.to_string());
                        schema::check(schema, data).iter().for_each(|fault| mistakes.add(at.fault(fault)));
                    }
                }
                None => mistakes.add(at.mistake("expected a list: the data of each event of the stream")),
            },
            Some(schema) => schema::check(schema, body).iter().for_each(|fault| mistakes.add(at.fault(fault))),
            None if self.is_json() => mistakes.add(at.mistake("the endpoint answers without a body")),
            None if !body.is_string() => {
                mistakes.add(at.mistake(format!("expected a text, which is sent as {}", self.media_type)));
            }
            None => {}
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.media_type == "application/json"
    }

    fn params(&self, value: Option<&Value>, at: &At<'_>, mistakes: &Mistakes) -> Vec<(String, String)> {
        let Some(value) = value else { return Vec::new() };
        let at = at.inside("params");
        let Some(members) = value.as_object() else {
            mistakes.add(at.mistake("expected an object of values by the names of the path's parameters"));
            return Vec::new();
        };
        let mut params = Vec::new();
        for (name, value) in members {
            let has = |form: String| self.schema.path.split('/').any(|segment| segment == form);
            if !has(format!("{{{name}}}")) && !has(format!("{{*{name}}}")) {
                mistakes.add(at.inside(name).mistake(format!("{} has no such parameter", self.schema.path)));
                continue;
            }
            match value {
                Value::String(text) => params.push((name.clone(), text.clone())),
                Value::Number(_) | Value::Bool(_) => params.push((name.clone(), value.to_string())),
                _ => mistakes.add(at.inside(name).mistake("expected a text or a number")),
            }
        }
        params
    }
}

fn problem_status(problem: Option<&Map<String, Value>>) -> u16 {
    let status =
        problem.and_then(|problem| problem.get("status")?.as_u64()).and_then(|status| u16::try_from(status).ok());
    status.filter(|status| (400..600).contains(status)).unwrap_or(400)
}

fn headers(value: Option<&Value>, at: &At<'_>, mistakes: &Mistakes) -> Vec<(String, String)> {
    let at = at.inside("headers");
    let Some(members) = value.map(|value| value.as_object()) else { return Vec::new() };
    let Some(members) = members else {
        mistakes.add(at.mistake("expected an object of texts"));
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, value) in members {
        let text = value.as_str().filter(|text| HeaderValue::try_from(*text).is_ok());
        match text.filter(|_| HeaderName::try_from(name).is_ok()) {
            Some(text) => headers.push((name.to_ascii_lowercase(), text.to_owned())),
            None => mistakes.add(at.inside(name).mistake("is no header, or its value is no text that can stand there")),
        }
    }
    headers
}

fn degraded(value: Option<&Value>, at: &At<'_>, mistakes: &Mistakes) -> Vec<(String, How)> {
    let at = at.inside("degraded");
    let Some(value) = value else { return Vec::new() };
    let list = value.as_array().map(|list| list.iter().filter_map(Value::as_str).map(How::parse).collect::<Vec<_>>());
    match list {
        Some(list) if list.iter().all(Option::is_some) && Some(list.len()) == value.as_array().map(Vec::len) => {
            list.into_iter().flatten().collect()
        }
        _ => {
            mistakes.add(at.mistake(
                "expected a list of calls, such as \"reviews.v1.Reviews/ListReviews\", or with \";how=stale\" behind it",
            ));
            Vec::new()
        }
    }
}
