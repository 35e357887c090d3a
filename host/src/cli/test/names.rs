//! Names of files.

use std::path::{Path, PathBuf};

/// A path in the plugin's folder, as a person in it would write it.
pub(in crate::cli) fn beside(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

/// As part of a file's name.
pub(in crate::cli) fn plain(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    letters.collect::<String>().split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}
