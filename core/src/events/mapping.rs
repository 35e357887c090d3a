//! From a message to tags: `film:{id}`, with fields of the payload in braces, or tokens of the subject: `film:{subject.2}`.

use crate::protojson;
use bytes::Bytes;
use prost_reflect::MessageDescriptor;
use serde_json::Value;

/// Tags that one message may make: a list in it makes one for each element.
const MOST_TAGS: usize = 10_000;
/// How long one tag may be.
const LONGEST_TAG: usize = 1_024;
/// What a payload may weigh, and as JSON.
const LARGEST: usize = 1 << 20;

/// What payloads are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Payload {
    Json,
    /// Fields are called as in the message's JSON mapping.
    Protobuf(MessageDescriptor),
    /// Nobody looks at it.
    None,
}

/// How tags are made of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mapping {
    templates: Vec<Vec<Piece>>,
    payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A place in the subject; the first is 0.
    Token(usize),
    Field(Vec<String>),
}

/// Why a message means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Skipped {
    #[error("its payload is larger than 1 MiB")]
    TooLarge,
    #[error("its payload can't be read: {0}")]
    Unreadable(String),
    #[error("it has no `{0}`, or that is neither a text nor a number nor a list of these")]
    NoField(String),
    #[error("its subject has no token {0}")]
    NoToken(usize),
    #[error("a tag of it would be longer than 1 KiB")]
    LongTag,
    #[error("it would make more than 10,000 tags")]
    ManyTags,
}

impl Skipped {
    /// For metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Unreadable(_) => "unreadable",
            Self::NoField(_) | Self::NoToken(_) => "field-missing",
            Self::LongTag | Self::ManyTags => "too-many-tags",
        }
    }
}

impl Mapping {
    /// Fields of a protobuf payload are looked up at once, tokens in the subject that is subscribed to.
    pub(super) fn parse(templates: &[String], payload: Payload, subject: &str) -> Result<Self, String> {
        let parsed = templates.iter().map(|template| {
            let pieces = pieces(template)?;
            for piece in &pieces {
                check(piece, &payload, subject).map_err(|reason| format!("`{template}`: {reason}"))?;
            }
            Ok(pieces)
        });
        Ok(Self { templates: parsed.collect::<Result<_, String>>()?, payload })
    }

    /// The tags of this message; never none.
    pub(super) fn tags(&self, subject: &str, payload: &Bytes) -> Result<Vec<String>, Skipped> {
        let value = self.read(payload)?;
        let tokens: Vec<&str> = subject.split('.').collect();
        let mut tags = Vec::new();
        for template in &self.templates {
            let room = MOST_TAGS.saturating_sub(tags.len());
            tags.append(&mut filled(template, &tokens, &value, room)?);
        }
        Ok(tags)
    }

    fn read(&self, payload: &Bytes) -> Result<Value, Skipped> {
        let is_needed = self.templates.iter().flatten().any(|piece| matches!(piece, Piece::Field(_)));
        if !is_needed {
            return Ok(Value::Null);
        }
        if payload.len() > LARGEST {
            return Err(Skipped::TooLarge);
        }
        let unreadable = |error: &dyn std::fmt::Display| Skipped::Unreadable(error.to_string());
        match &self.payload {
            Payload::Json => serde_json::from_slice(payload).map_err(|error| unreadable(&error)),
            Payload::Protobuf(message) => {
                let json = protojson::to_json(message.clone(), payload, 16 * LARGEST);
                let json = json.map_err(|failure| unreadable(&failure.message))?;
                serde_json::from_slice(&json).map_err(|error| unreadable(&error))
            }
            Payload::None => Ok(Value::Null),
        }
    }
}

/// All tags of one template: one for each combination of what its lists hold.
fn filled(template: &[Piece], tokens: &[&str], value: &Value, room: usize) -> Result<Vec<String>, Skipped> {
    let mut tags = vec![String::new()];
    for piece in template {
        let texts = match piece {
            Piece::Text(text) => vec![text.clone()],
            Piece::Token(at) => vec![(*tokens.get(*at).ok_or(Skipped::NoToken(at + 1))?).to_owned()],
            Piece::Field(path) => texts(value, path).ok_or_else(|| Skipped::NoField(path.join(".")))?,
        };
        if tags.len().saturating_mul(texts.len()) > room {
            return Err(Skipped::ManyTags);
        }
        let longest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or_default();
        if longest(&tags) + longest(&texts) > LONGEST_TAG {
            return Err(Skipped::LongTag);
        }
        tags = tags.iter().flat_map(|tag| texts.iter().map(move |text| format!("{tag}{text}"))).collect();
    }
    Ok(tags)
}

/// What stands at a path; of a list on the way, all that stands there in its elements. `None`: nothing does.
fn texts(value: &Value, path: &[String]) -> Option<Vec<String>> {
    match (value, path) {
        (Value::Array(list), path) => {
            let found: Option<Vec<_>> = list.iter().map(|element| texts(element, path)).collect();
            found.map(|found| found.concat()).filter(|found| !found.is_empty())
        }
        (Value::Object(fields), [name, rest @ ..]) => texts(fields.get(name)?, rest),
        (Value::String(text), []) => Some(vec![text.clone()]),
        (Value::Number(number), []) => Some(vec![number.to_string()]),
        (Value::Bool(truth), []) => Some(vec![truth.to_string()]),
        _ => None,
    }
}

fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| format!("`{template}` has an open brace"))?;
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(
            piece(name).ok_or_else(|| {
                format!("`{template}`: {name:?} is neither a field nor a token such as {{subject.2}}")
            })?,
        );
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    if pieces.is_empty() { Err("a tag can't be empty".to_owned()) } else { Ok(pieces) }
}

fn piece(name: &str) -> Option<Piece> {
    if let Some(number) = name.strip_prefix("subject.") {
        return number.parse::<usize>().ok()?.checked_sub(1).map(Piece::Token);
    }
    let path: Vec<String> = name.split('.').map(str::to_owned).collect();
    path.iter().all(|part| !part.is_empty()).then_some(Piece::Field(path))
}

fn check(piece: &Piece, payload: &Payload, subject: &str) -> Result<(), String> {
    match (piece, payload) {
        (Piece::Token(at), _) => {
            let tokens: Vec<&str> = subject.split('.').collect();
            let is_there = *at < tokens.len() || tokens.last() == Some(&">");
            if is_there { Ok(()) } else { Err(format!("`{subject}` has no token {}", at + 1)) }
        }
        (Piece::Field(path), Payload::None) => {
            Err(format!("`{}` is a field, and nothing is read of payloads with `format = \"none\"`", path.join(".")))
        }
        (Piece::Field(path), Payload::Protobuf(message)) => check_path(message.clone(), path),
        _ => Ok(()),
    }
}

fn check_path(mut message: MessageDescriptor, path: &[String]) -> Result<(), String> {
    for (at, name) in path.iter().enumerate() {
        let named = |field: &prost_reflect::FieldDescriptor| field.json_name() == name;
        let Some(field) = message.fields().find(named) else {
            let near = message.get_field_by_name(name).map(|field| format!("; did you mean `{}`?", field.json_name()));
            return Err(format!("`{}` has no field `{name}`{}", message.full_name(), near.unwrap_or_default()));
        };
        match field.kind().as_message() {
            // Times, wrappers and the like are written as texts or numbers: what is inside has no names.
            Some(inner) if at + 1 < path.len() => message = inner.clone(),
            None if at + 1 < path.len() => return Err(format!("`{name}` has no fields")),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
