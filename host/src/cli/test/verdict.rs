//! What came of something that was tried.

use crate::settings::Place;
use std::time::Duration;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Case,
    Growth,
    Optional,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Growth => "growth",
            Self::Optional => "optional",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Passed,
    Failed(Vec<String>),
    /// Why nothing can be said.
    Untried(String),
}

/// One thing that was tried.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) kind: Kind,
    /// The case's name, or the endpoint.
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) place: Option<Place>,
    pub(super) verdict: Verdict,
    pub(super) note: String,
    pub(super) took: Duration,
}
