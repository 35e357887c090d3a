//! Why an artifact is not in service.

use super::history::{Record, State};
use crate::{
    artifact::{ArtifactError, EndpointName},
    fanout::PlanError,
    plugin::CompileError,
    routing::Taken,
};
use std::{fmt::Display, io};

/// A reason for the operator, complete in itself.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("can't be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("more than an artifact may have: {size} bytes; `max-artifact` in [plugins] is {most}")]
    TooLarge { size: u64, most: u64 },
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error("its calls don't fit this host:\n{}", lines(.0))]
    Calls(Vec<PlanError>),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("it is for client `{client}`, which the configuration doesn't have; it has: {known}")]
    NoClient { client: String, known: String },
    #[error(
        "{plugin} {version} is in service with another digest, from {file}; raise `version`, or remove that file first"
    )]
    SameVersion { plugin: String, version: String, file: String },
    #[error(
        "{endpoint} of client `{client}` belongs to plugin `{owner}` already; let one of the two give it up, or take another path"
    )]
    EndpointTaken { endpoint: String, client: String, owner: String },
    #[error(
        "it {state}, by {by}{}: no folder and no restart puts it into service again, an explicit apply does: `weft release apply {digest}`", because(.reason)
    )]
    Barred { state: &'static str, by: String, reason: String, digest: String },
    #[error("{}", lines(.0))]
    Several(Vec<Self>),
    #[error("the host failed while loading it: {0}")]
    Host(String),
}

impl Refusal {
    /// Whether it lies with the host's own folder or processes, and not with the artifact.
    pub fn is_hosts(&self) -> bool {
        matches!(self, Self::Compile(error) if error.is_hosts())
    }

    /// Somebody has taken it out of service.
    pub(super) fn barred(record: &Record) -> Self {
        let state = match record.state {
            State::RolledBack => "was rolled back",
            State::Rejected => "was rejected",
            _ => "was retired",
        };
        let (by, reason, digest) = (record.by.clone(), record.reason.clone(), record.digest.to_string());
        Self::Barred { state, by, reason, digest }
    }

    /// Another plugin has an endpoint of this one.
    pub(super) fn taken(client: &str, endpoint: &EndpointName, taken: Taken) -> Self {
        Self::EndpointTaken { endpoint: endpoint.to_string(), client: client.to_owned(), owner: taken.owner }
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

fn lines<T: Display>(errors: &[T]) -> String {
    errors.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n")
}
