//! Whether apps that were built against one OpenAPI document go on working with another: one table of rules, for `weft diff`, for releases
//! and for the documents (`docs/frontends/compatibility.md`).
//!
//! In reading order: [`Rule`] is the table; [`Document`] a document of which nothing is taken for granted; `endpoints` and `messages` walk
//! both sides; `comparison` knows how far it has come, `schema` compares what is sent, by `view` (a schema in the one form that is compared) and `bounds`.
//!
//! What is sent is a set of values. A request stays good as long as the new set has all of the old one, an answer as long as the old set
//! has all of the new one: so each difference of two schemas is one that widens or one that narrows, and its direction says whether it breaks.

mod bounds;
mod comparison;
mod document;
mod endpoints;
mod messages;
mod parameters;
mod rules;
mod schema;
mod security;
mod text;
mod union;
mod view;

#[cfg(test)]
mod tests;

pub use document::{Document, LARGEST, Unreadable};
pub use rules::Rule;
pub use text::{grouped, table};

use serde::Serialize;

/// One difference, at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub rule: Rule,
    /// `GET /films/{id}`; empty where it is about all.
    pub endpoint: String,
    /// `response 200 application/json`, `query parameter page`.
    pub place: String,
    /// `$.cast[].name`; empty outside of bodies.
    pub path: String,
    /// What was, and what is.
    pub detail: String,
}

/// All changes from `old` to `new`, in the order of `new`'s and `old`'s endpoints.
///
/// # Errors
/// Where one of them can't be followed: a reference that leads nowhere, or more than is compared.
pub fn diff(old: &Document, new: &Document) -> Result<Vec<Change>, Unreadable> {
    endpoints::compare(old, new)
}

impl Serialize for Change {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rule", self.rule.id())?;
        map.serialize_entry("breaking", &self.rule.breaks())?;
        map.serialize_entry("endpoint", &self.endpoint)?;
        map.serialize_entry("place", &self.place)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("detail", &self.detail)?;
        map.serialize_entry("why", self.rule.why())?;
        map.serialize_entry("do", self.rule.advice())?;
        map.end()
    }
}
