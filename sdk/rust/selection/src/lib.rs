//! Which members of an answer a request asks for: `?fields=title,cast.actor.name`.
//!
//! The host reads it, keeps answers by it and cuts them; the SDK shows it to handlers, so that they need not make what nobody asked for.
//! Both do it by this crate, which needs nothing but the standard library.
//!
//! ```
//! use weft_selection::Selection;
//!
//! let selection = Selection::parse(["cast.actor,title", "cast.actor.name"])?;
//! assert_eq!(selection.to_string(), "cast.actor,title");
//! assert!(selection.has("cast") && selection.has("cast.actor.born") && !selection.has("reviews"));
//!
//! let page = br#"{"title": "Alien", "year": 1979, "cast": [{"character": "Ash", "actor": {"name": "Ian Holm"}}]}"#;
//! let cut = selection.cut(page)?;
//! assert_eq!(cut, br#"{"title":"Alien","cast":[{"actor":{"name": "Ian Holm"}}]}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A path names members from the outside to the inside, with dots between; lists are passed through. What a path leads to is there with
//! all that is in it. Order and repetition mean nothing: equal selections are written alike.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cut;
mod node;

pub use cut::NotJson;

use node::Node;
use std::fmt;

/// Bytes of all that one request names.
pub const MOST_BYTES: usize = 2048;
/// Paths of one request.
pub const MOST_PATHS: usize = 100;
/// Names of one path.
pub const DEEPEST: usize = 8;

/// The members that a request asks for. By default all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection(Option<Node>);

/// Why what a request names is no selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// A path, or a name in it, is empty.
    Empty,
    /// It has more than [`MOST_BYTES`].
    TooLong,
    /// It has more than [`MOST_PATHS`].
    TooMany,
    /// A path has more names than [`DEEPEST`].
    TooDeep(String),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("has an empty name: expected names such as `title,cast.actor`"),
            Self::TooLong => write!(f, "has more than {MOST_BYTES} bytes"),
            Self::TooMany => write!(f, "has more than {MOST_PATHS} paths"),
            Self::TooDeep(path) => write!(f, "`{path}` has more than {DEEPEST} names"),
        }
    }
}

impl std::error::Error for Malformed {}

impl Selection {
    /// Of all values of the query's parameter, each a list of paths with commas between.
    ///
    /// # Errors
    /// Where a name is empty, or there is more than anybody needs.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, Malformed> {
        let (mut root, mut bytes, mut paths) = (None::<Node>, 0, 0);
        for value in values {
            bytes += value.len();
            if bytes > MOST_BYTES {
                return Err(Malformed::TooLong);
            }
            for path in value.split(',').map(str::trim) {
                paths += 1;
                if paths > MOST_PATHS {
                    return Err(Malformed::TooMany);
                }
                if path.split('.').any(str::is_empty) {
                    return Err(Malformed::Empty);
                }
                if path.split('.').count() > DEEPEST {
                    return Err(Malformed::TooDeep(path.to_owned()));
                }
                match &mut root {
                    None => root = Some(Node::of(path)),
                    Some(node) => node.add(path),
                }
            }
        }
        Ok(Self(root))
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether something of what `path` (`cast.actor`) leads to is asked for.
    pub fn has(&self, path: &str) -> bool {
        let Some(mut node) = self.0.as_ref() else { return true };
        for name in path.split('.') {
            match node.members.get(name) {
                Some(inner) => node = inner,
                None => return node.members.is_empty(),
            }
        }
        true
    }

    /// The shortest paths that say it, in their order; none for all.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        if let Some(root) = &self.0 {
            root.list("", &mut paths);
        }
        paths
    }

    /// What of a JSON text is asked for. What is kept is kept as it was written; an answer that is no object, or a list of some, is whole.
    ///
    /// # Errors
    /// Where the text is no JSON as far as it has to be looked at.
    pub fn cut(&self, json: &[u8]) -> Result<Vec<u8>, NotJson> {
        match &self.0 {
            None => Ok(json.to_vec()),
            Some(root) => cut::cut(root, json),
        }
    }
}

/// In the one of all its spellings that is always the same.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.paths().join(","))
    }
}

#[cfg(test)]
mod tests;
