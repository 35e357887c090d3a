//! A request that ends in an error: what the caller is told, and what only the log is told.

use http::{HeaderName, HeaderValue, StatusCode};
use std::fmt;

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    Client,
    Guest,
    Upstream,
    Host,
}

impl Blame {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Guest => "guest",
            Self::Upstream => "upstream",
            Self::Host => "host",
        }
    }
}

/// An error answer. Everything but `cause` reaches the caller; `cause` is logged once, where the answer is made.
#[derive(Debug, Clone)]
pub struct Fault {
    pub blame: Blame,
    pub status: StatusCode,
    /// Last part of the problem's `type` URI: `not-found`.
    pub kind: &'static str,
    pub detail: String,
    /// More members of the problem document: `field`, `plugin`.
    pub members: Vec<(&'static str, String)>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log only.
    pub cause: Option<String>,
}

impl Fault {
    pub fn new(blame: Blame, status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { blame, status, kind, detail: detail.into(), members: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// The caller did something wrong and is told what.
    pub fn client(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Blame::Client, status, kind, detail)
    }

    pub fn with(mut self, member: &'static str, value: impl Into<String>) -> Self {
        self.members.push((member, value.into()));
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}
