//! Where the parts of a key stand in a message: the rule's paths as a tree, read in one pass and written in one piece.

use bytes::Bytes;

use crate::{
    BadRule,
    field::{self, Field, Fields, Malformed},
    key::{KeyValue, Kind, Scalar},
};

/// How many parts a composite key may have.
pub const MAX_PARTS: usize = 8;
/// How many field numbers a path may have.
pub const MAX_DEPTH: usize = 16;

/// Where one part of a key stands in a message, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPath {
    /// Field numbers from the outermost message inwards: `name.id` may be `[1, 2]`. No field on the way is `repeated`.
    pub path: Vec<u32>,
    /// The type of the field at the end.
    pub kind: Kind,
}

/// The paths of a key as a tree, so that paths with a common beginning share its messages.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    nodes: Vec<Node>,
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone)]
struct Node {
    number: u32,
    at: At,
}

#[derive(Debug, Clone)]
enum At {
    Part(usize, Kind),
    Message(Vec<Node>),
}

/// The parts of a key as found in a message; `None` where the message leaves a part out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found<'a>([Option<Scalar<&'a [u8]>>; MAX_PARTS]);

/// What a nested message with key fields may hold beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Ignored,
    Refused,
}

/// Why a field with key parts could not be read.
#[derive(Debug)]
pub(crate) enum Unread {
    Malformed(Malformed),
    /// A field that is no part of the key, where none may be.
    Other(u32),
}

impl From<Malformed> for Unread {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Layout {
    /// Builds the tree. Refuses no or too many paths, bad paths, and paths that end where another one ends or goes on.
    pub(crate) fn new(paths: &[KeyPath]) -> Result<Self, BadRule> {
        if paths.is_empty() || paths.len() > MAX_PARTS {
            return Err(BadRule::Parts);
        }
        let mut nodes = Vec::new();
        for (part, KeyPath { path, kind }) in paths.iter().enumerate() {
            check_path(path)?;
            grow(&mut nodes, path, At::Part(part, *kind))?;
        }
        Ok(Self { nodes, kinds: paths.iter().map(|path| path.kind).collect() })
    }

    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Whether key parts stand in field `number` of the outermost message.
    pub(crate) fn holds(&self, number: u32) -> bool {
        self.nodes.iter().any(|node| node.number == number)
    }

    /// Takes `field` of the outermost message if key parts stand in it; says whether they do.
    pub(crate) fn take<'a>(&self, field: &Field<'a>, others: Others, found: &mut Found<'a>) -> Result<bool, Unread> {
        take(&self.nodes, field, others, found)
    }

    /// Reads the key of a whole message; what else stands there is ignored.
    pub(crate) fn read<'a>(&self, message: &'a [u8]) -> Result<Found<'a>, Malformed> {
        let mut found = Found::default();
        let mut fields = Fields::of(message);
        while let Some(field) = fields.find(|number| self.holds(number))? {
            match self.take(&field, Others::Ignored, &mut found) {
                Ok(_) | Err(Unread::Other(_)) => {}
                Err(Unread::Malformed(malformed)) => return Err(malformed),
            }
        }
        Ok(found)
    }

    /// Whether the message left no part out.
    pub(crate) fn complete(&self, found: &Found<'_>) -> bool {
        found.0.iter().take(self.kinds.len()).all(Option::is_some)
    }

    /// Runs `with` on the parts, those left out being zero.
    pub(crate) fn with_parts<'a, T>(&self, found: &Found<'a>, with: impl FnOnce(&[Scalar<&'a [u8]>]) -> T) -> T {
        let mut parts = [Scalar::Uint(0); MAX_PARTS];
        for ((part, found), kind) in parts.iter_mut().zip(&found.0).zip(&self.kinds) {
            *part = found.unwrap_or_else(|| kind.zero());
        }
        with(parts.get(..self.kinds.len()).unwrap_or_default())
    }

    /// The length of a message that holds `key` and nothing else.
    pub(crate) fn len(&self, key: &KeyValue) -> usize {
        len(&self.nodes, key.parts())
    }

    /// Writes the message that holds `key` and nothing else. Zero is written too: for a field that tracks presence, zero is
    /// not the same as nothing.
    pub(crate) fn put(&self, key: &KeyValue, out: &mut Vec<u8>) {
        put(&self.nodes, key.parts(), out);
    }
}

/// Refuses an empty or too long path and numbers that protobuf doesn't have.
pub(crate) fn check_path(path: &[u32]) -> Result<(), BadRule> {
    if path.is_empty() || path.len() > MAX_DEPTH {
        return Err(BadRule::Path);
    }
    path.iter().try_for_each(|&number| check_number(number))
}

pub(crate) fn check_number(number: u32) -> Result<(), BadRule> {
    if (1..=field::MAX_NUMBER).contains(&number) { Ok(()) } else { Err(BadRule::Number(number)) }
}

fn grow(nodes: &mut Vec<Node>, path: &[u32], leaf: At) -> Result<(), BadRule> {
    let [number, inner @ ..] = path else {
        return Err(BadRule::Path);
    };
    let place = nodes.iter().position(|node| node.number == *number);
    match (place.and_then(|place| nodes.get_mut(place)), inner) {
        (None, []) => nodes.push(Node { number: *number, at: leaf }),
        (None, inner) => {
            let mut children = Vec::new();
            grow(&mut children, inner, leaf)?;
            nodes.push(Node { number: *number, at: At::Message(children) });
        }
        (Some(Node { at: At::Message(children), .. }), inner @ [_, ..]) => grow(children, inner, leaf)?,
        _ => return Err(BadRule::Overlap(*number)),
    }
    Ok(())
}

fn take<'a>(nodes: &[Node], field: &Field<'a>, others: Others, found: &mut Found<'a>) -> Result<bool, Unread> {
    match nodes.iter().find(|node| node.number == field.number).map(|node| &node.at) {
        None => return Ok(false),
        Some(At::Part(part, kind)) => {
            let value = kind.decode(field.value).ok_or(Malformed::Type(field.number))?;
            if let Some(place) = found.0.get_mut(*part) {
                *place = Some(value);
            }
        }
        Some(At::Message(children)) => {
            for inner in Fields::of(field.payload()?) {
                let inner = inner?;
                if !take(children, &inner, others, found)? && others == Others::Refused {
                    return Err(Unread::Other(inner.number));
                }
            }
        }
    }
    Ok(true)
}

fn len(nodes: &[Node], parts: &[Scalar<Bytes>]) -> usize {
    let node_len = |node: &Node| match &node.at {
        At::Part(part, kind) => parts.get(*part).map_or(0, |part| field::tag_len(node.number) + kind.len(part)),
        At::Message(children) => field::delimited_len(node.number, len(children, parts)),
    };
    nodes.iter().map(node_len).sum()
}

fn put(nodes: &[Node], parts: &[Scalar<Bytes>], out: &mut Vec<u8>) {
    for node in nodes {
        match &node.at {
            At::Part(part, kind) => {
                if let Some(part) = parts.get(*part) {
                    field::put_tag(out, node.number, kind.wire());
                    kind.put(part, out);
                }
            }
            At::Message(children) => {
                field::put_head(out, node.number, len(children, parts));
                put(children, parts, out);
            }
        }
    }
}
