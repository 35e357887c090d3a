//! Tags of cached replies, made from the request: `film:{id}`.

use super::rule;
use prost_reflect::MessageDescriptor;
use std::sync::Arc;
use weft_wire::{Fields, KeyPath};

/// The tags that a method's requests make.
#[derive(Debug)]
pub(super) struct Tags {
    templates: Vec<Vec<Piece>>,
    fields: Option<Fields>,
    paths: Vec<KeyPath>,
    /// Those that don't depend on the request.
    fixed: Arc<[String]>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A place in [`Tags::fields`].
    Field(usize),
}

impl Tags {
    /// Of the method's cached replies. Its full name is always among them.
    pub(super) fn of_replies(method: &str, templates: &[String], input: &MessageDescriptor) -> Result<Self, String> {
        Self::resolve(vec![method.to_owned()], templates, input)
    }

    /// Of what a write makes untrue.
    pub(super) fn invalidated(templates: &[String], input: &MessageDescriptor) -> Result<Self, String> {
        Self::resolve(Vec::new(), templates, input)
    }

    /// Looks up the fields in braces.
    fn resolve(mut fixed: Vec<String>, templates: &[String], input: &MessageDescriptor) -> Result<Self, String> {
        let mut paths = Vec::new();
        let mut parsed = Vec::new();
        for template in templates {
            let pieces = parse(template, |name| {
                paths.push(rule::path(input, name, "tags")?.0);
                Ok(paths.len() - 1)
            })?;
            match pieces.as_slice() {
                [Piece::Text(text)] => fixed.push(text.clone()),
                _ => parsed.push(pieces),
            }
        }
        let fields =
            if paths.is_empty() { None } else { Some(Fields::new(&paths).map_err(|error| format!("tags: {error}"))?) };
        Ok(Self { templates: parsed, fields, paths, fixed: fixed.into() })
    }

    /// Whether the other one makes the same tags of the same requests.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.templates == other.templates && self.paths == other.paths && self.fixed == other.fixed
    }

    /// The tags of this request.
    pub(super) fn of(&self, request: &[u8]) -> Arc<[String]> {
        let Some(fields) = &self.fields else { return self.fixed.clone() };
        // A request that can't be read has no reply worth keeping by its fields.
        let Ok(values) = fields.read(request) else { return self.fixed.clone() };
        let value = |place: usize| values.get(place).map_or("", String::as_str);
        let made = self.templates.iter().map(|pieces| {
            let text = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Field(place) => value(*place),
            });
            text.collect()
        });
        self.fixed.iter().cloned().chain(made).collect()
    }
}

fn parse(template: &str, mut field: impl FnMut(&str) -> Result<usize, String>) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| format!("tags: `{template}` has an open brace"))?;
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(Piece::Field(field(name)?));
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}
