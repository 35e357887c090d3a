//! Replies that somebody wrote down: protobuf's JSON, held against the protos.

use crate::{model::Failure, protojson};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use serde_json::Value as Json;

/// What a method answers.
#[derive(Debug, Clone)]
pub struct Given {
    /// For requests that have these values; `None`: for all.
    when: Option<DynamicMessage>,
    outcome: Result<Vec<DynamicMessage>, Failure>,
}

impl Given {
    /// The JSON of a reply; of a method that answers with a stream, a list of them. Fails where it does not fit the protos.
    pub fn reply(method: &MethodDescriptor, reply: &Json) -> Result<Self, String> {
        let of = method.output();
        let outcome = match (method.is_server_streaming(), reply) {
            (true, Json::Array(items)) => items.iter().map(|item| message(&of, item)).collect::<Result<_, _>>()?,
            (true, _) => return Err("expected a list: the method answers with a stream".to_owned()),
            (false, reply) => vec![message(&of, reply)?],
        };
        Ok(Self { when: None, outcome: Ok(outcome) })
    }

    pub fn failure(failure: Failure) -> Self {
        Self { when: None, outcome: Err(failure) }
    }

    /// For requests that have these values only, whatever else they have.
    pub fn when(self, method: &MethodDescriptor, request: &Json) -> Result<Self, String> {
        Ok(Self { when: Some(message(&method.input(), request)?), ..self })
    }

    pub(super) fn is_for(&self, request: &DynamicMessage) -> bool {
        let has = |(field, value): (FieldDescriptor, &prost_reflect::Value)| *request.get_field(&field) == *value;
        self.when.as_ref().is_none_or(|when| when.fields().all(has))
    }

    pub(super) fn messages(&self) -> Result<Vec<DynamicMessage>, Failure> {
        self.outcome.clone()
    }
}

fn message(of: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, String> {
    if let Some(place) = unknown(of, json) {
        return Err(place);
    }
    let bytes = protojson::to_protobuf(of.clone(), json.to_string().as_bytes()).map_err(|failure| {
        let text = failure.message;
        // It is no request here.
        text.split_once(": ").map_or(text.clone(), |(_, reason)| format!("is no `{}`: {reason}", of.full_name()))
    })?;
    DynamicMessage::decode(of.clone(), bytes).map_err(|error| error.to_string())
}

/// The first field that the message has not: what a proto has lost says so.
fn unknown(of: &MessageDescriptor, json: &Json) -> Option<String> {
    let Json::Object(members) = json else { return None };
    if of.full_name().starts_with("google.protobuf.") {
        return None;
    }
    members.iter().find_map(|(name, value)| {
        let found = of.get_field_by_json_name(name).or_else(|| of.get_field_by_name(name));
        let Some(field) = found else {
            let known: Vec<String> = of.fields().map(|field| field.name().to_owned()).collect();
            let near = crate::settings::nearest(name, known.iter().map(String::as_str));
            let hint =
                near.map_or_else(|| format!("it has: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            return Some(format!("`{name}`: `{}` has no such field; {hint}", of.full_name()));
        };
        let inside = match (field.kind(), value) {
            (Kind::Message(entry), Json::Object(entries)) if field.is_map() => {
                match entry.map_entry_value_field().kind() {
                    Kind::Message(of) => entries.values().find_map(|value| unknown(&of, value)),
                    _ => None,
                }
            }
            (Kind::Message(of), Json::Array(items)) => items.iter().find_map(|item| unknown(&of, item)),
            (Kind::Message(of), value) => unknown(&of, value),
            _ => None,
        };
        inside.map(|inside| format!("`{name}`: {inside}"))
    })
}
