//! What is to be made, whoever makes it.

use std::path::PathBuf;

/// Clients for what a manifest grants.
pub(crate) struct Task {
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) manifest: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) bytes: Vec<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) messages: Vec<String>,
    pub(crate) data: Option<Long>,
}

/// How 64-bit numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Long {
    Text,
    Number,
}
