//! A private folder for as long as a command runs.

use anyhow::Context;
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The folder, gone with this.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// `what`: part of its name.
    pub(super) fn new(what: &str) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let folder = std::env::temp_dir().join(format!("weft-{what}-{}-{now}", std::process::id()));
        // Fails where it is there already: nobody else can have made it.
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("{} can't be made", folder.display()))?;
        Ok(Self(folder))
    }

    /// Removes it now: who still has it won't come back.
    pub(super) fn clear(&self) {
        // What can't be removed lies where temporary things lie.
        let _ = fs::remove_dir_all(&self.0);
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}
