//! An OpenAPI 3.1 document that somebody gave: read, refused where it is another kind, and its references followed.

use serde_json::{Map, Value};

/// Bytes of a document.
pub const LARGEST: usize = 16 << 20;
/// References in a row that lead to references.
const LONGEST_CHAIN: usize = 64;

/// A document of the right version, as JSON.
#[derive(Debug, Clone)]
pub struct Document(Value);

/// Why a document is not compared, or no client made of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it has more than {} MiB", LARGEST >> 20)]
    Large,
    #[error("it is no JSON: {0}")]
    Json(String),
    #[error("it is no OpenAPI document: it has no `openapi` with a version")]
    Other,
    #[error("it is of OpenAPI {0}, and only 3.1 is read: {1}")]
    Version(String, &'static str),
    #[error("{0}: expected {1}")]
    Shape(String, &'static str),
    #[error("`$ref` {0:?} leads out of the document: only `#/…` is followed; put everything into one file")]
    Foreign(String),
    #[error("`$ref` {0:?} leads nowhere in the document")]
    Missing(String),
    #[error("`$ref` {0:?} leads to references only, in a ring or more than {LONGEST_CHAIN} in a row")]
    Ring(String),
    #[error("{0}: schemas lie in one another more than {1} deep")]
    Deep(String, usize),
    #[error("it is too large to be followed: more than {0} steps; split it by client")]
    Long(usize),
}

impl Document {
    /// # Errors
    /// If it is none of OpenAPI 3.1, or too large.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > LARGEST {
            return Err(Unreadable::Large);
        }
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        // The parser bounds how deep values lie in one another.
        let value: Value = serde_json::from_slice(bytes).map_err(|error| Unreadable::Json(error.to_string()))?;
        Self::of(value)
    }

    /// # Errors
    /// If it is none of OpenAPI 3.1.
    pub fn of(value: Value) -> Result<Self, Unreadable> {
        let version = |key: &str| value.get(key).and_then(Value::as_str).map(|text| text.chars().take(32).collect());
        let version: String = version("openapi").or_else(|| version("swagger")).ok_or(Unreadable::Other)?;
        if version != "3.1" && !version.starts_with("3.1.") {
            let way = match version.split('.').next() {
                Some("2") => "have it converted (swagger2openapi, then to 3.1)",
                _ if version.starts_with("3.0") => "have it converted to 3.1, where `nullable` is a type of its own",
                _ => "`weft openapi` writes 3.1",
            };
            return Err(Unreadable::Version(version, way));
        }
        for key in ["paths", "components"] {
            if value.get(key).is_some_and(|part| !part.is_object()) {
                return Err(Unreadable::Shape(key.to_owned(), "an object"));
            }
        }
        Ok(Self(value))
    }

    /// With those operations only that have this tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        let mut root = self.0.clone();
        let items = root.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
        for item in items.filter_map(|(_, item)| item.as_object_mut()) {
            item.retain(|_, operation| {
                let tags = operation.get("tags").and_then(Value::as_array);
                !operation.is_object() || tags.is_some_and(|tags| tags.iter().any(|other| other == tag))
            });
        }
        Self(root)
    }

    pub fn root(&self) -> &Value {
        &self.0
    }

    /// An object of the root, such as `paths`; empty where there is none.
    pub fn section(&self, key: &str) -> &Map<String, Value> {
        self.root().get(key).and_then(Value::as_object).unwrap_or(empty())
    }

    /// The components of a kind, such as `schemas`.
    pub fn components(&self, kind: &str) -> &Map<String, Value> {
        self.section("components").get(kind).and_then(Value::as_object).unwrap_or(empty())
    }

    /// What a reference leads to, and no reference itself; anything else is itself.
    ///
    /// # Errors
    /// If it leads nowhere, out of the document or in a ring.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> Result<&'a Value, Unreadable> {
        let mut found = value;
        for _ in 0..LONGEST_CHAIN {
            match found.get("$ref") {
                None => return Ok(found),
                Some(reference) => found = self.target(reference)?,
            }
        }
        Err(Unreadable::Ring(value.get("$ref").and_then(Value::as_str).unwrap_or_default().to_owned()))
    }

    /// The type of an answer as it is where nobody chooses members of it.
    pub fn whole(schema: &Value) -> &Value {
        let is_chosen_of = schema.get("x-weft-fields") == Some(&Value::Bool(true));
        let whole = schema.get("anyOf").filter(|_| is_chosen_of).and_then(|both| both.get(0));
        whole.unwrap_or(schema)
    }

    /// What the value of one `$ref` names.
    ///
    /// # Errors
    /// If there is nothing, or it is elsewhere.
    pub fn target(&self, reference: &Value) -> Result<&Value, Unreadable> {
        let text = reference.as_str().ok_or_else(|| Unreadable::Shape("$ref".to_owned(), "a text"))?;
        let pointer = text.strip_prefix('#').ok_or_else(|| Unreadable::Foreign(text.to_owned()))?;
        let missing = || Unreadable::Missing(text.to_owned());
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().map_err(|_| missing())?;
        self.0.pointer(&pointer).ok_or_else(missing)
    }
}

/// For what is not there.
pub(super) fn empty() -> &'static Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    &EMPTY
}
