//! One request and the answer that it should get.

use serde_json::Value;
use std::{fs, path::PathBuf};

/// Stands in an expected body for a value that is another each time.
pub const ANY: &str = "(any)";

/// One request and the answer that it should get.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique; also the name of the file in `expected/`.
    pub name: &'static str,
    pub method: &'static str,
    /// With the query, without the host.
    pub path: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<&'static str>,
    pub status: u16,
    /// Headers that the answer should have, with these very values.
    pub answer_headers: Vec<(&'static str, &'static str)>,
    /// The whole body, if the answer has one. It is missing too where the file in `expected/` is, and then [`crate::check`] says so.
    pub expected: Option<Value>,
}

impl Case {
    /// A request without token or body. What is usual for an answer of this status is expected.
    pub(crate) fn new(name: &'static str, method: &'static str, path: &'static str, status: u16) -> Self {
        let kind = match status {
            204 => None,
            200..400 => Some("application/json"),
            _ => Some("application/problem+json"),
        };
        let answer_headers = kind.into_iter().map(|kind| ("content-type", kind)).collect();
        let (headers, body) = (Vec::new(), None);
        let mut case = Self { name, method, path, headers, body, status, answer_headers, expected: None };
        case.expected = fs::read(case.file()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        case
    }

    pub(crate) fn get(name: &'static str, path: &'static str) -> Self {
        Self::new(name, "GET", path, 200)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this token.
    pub(crate) fn signed_in(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &'static str) -> Self {
        let mut case = self.header("content-type", "application/json");
        case.body = Some(body);
        case
    }

    pub(crate) fn answers(mut self, name: &'static str, value: &'static str) -> Self {
        self.answer_headers.push((name, value));
        self
    }

    /// Where the expected body is kept.
    pub fn file(&self) -> PathBuf {
        crate::folder().join("expected").join(format!("{}.json", self.name))
    }
}
