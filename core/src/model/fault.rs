//! A request that ends in an error: what the caller is told, and what only the log is told.

use super::{Blame, ProblemType};
use http::{HeaderName, HeaderValue, StatusCode};
use std::fmt;

/// What the caller is told of a fault: all of it may be seen.
#[derive(Debug, Clone)]
pub struct HostProblem {
    pub kind: ProblemType,
    pub status: StatusCode,
    pub detail: String,
    /// More members of the problem document: `field`, `plugin`.
    pub members: Vec<(&'static str, String)>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What only the log is told. It can't be written anywhere else by mistake: it has no `Display`, and no problem can hold it.
#[derive(Debug, Clone)]
pub struct LogOnly(String);

impl LogOnly {
    pub fn for_log(&self) -> &str {
        &self.0
    }
}

/// A request that ends in an error: logged once, where the answer is made.
#[derive(Debug, Clone)]
pub struct Fault {
    pub problem: HostProblem,
    pub cause: Option<LogOnly>,
}

impl Fault {
    /// With the usual status of its type. The caller sees `detail`.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let (status, detail, members, headers) = (kind.status(), detail.into(), Vec::new(), Vec::new());
        Self { problem: HostProblem { kind, status, detail, members, headers }, cause: None }
    }

    pub fn blame(&self) -> Blame {
        self.problem.kind.blame()
    }

    /// With another one of its type's statuses.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        debug_assert!(self.problem.kind.statuses().contains(&status), "{status} is none of {:?}", self.problem.kind);
        self.problem.status = status;
        self
    }

    pub fn with(mut self, member: &'static str, value: impl Into<String>) -> Self {
        self.problem.members.push((member, value.into()));
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.problem.headers.push((name, value));
        self
    }

    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(LogOnly(cause.to_string()));
        self
    }
}
