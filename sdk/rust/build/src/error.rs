//! What can be wrong, said so that it can be put right.

use std::fmt;
#[cfg(feature = "generator")]
use std::path::Path;

/// Why there are no clients. It prints as plain text, one line for each fault, also where `main` returns it.
pub struct Error(Vec<String>);

impl Error {
    pub(crate) fn new(fault: String) -> Self {
        Self(vec![fault])
    }

    #[cfg(feature = "generator")]
    pub(crate) fn all(faults: Vec<String>) -> Self {
        Self(faults)
    }

    #[cfg(feature = "generator")]
    pub(crate) fn file(path: &Path, error: impl fmt::Display) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }

    pub(crate) fn no_out_dir() -> Self {
        Self::new("OUT_DIR is not set: call this from build.rs".to_owned())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

// Cargo shows what `main` returns by `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}\n")
    }
}

impl std::error::Error for Error {}
