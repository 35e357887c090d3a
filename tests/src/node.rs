//! Node, and packages of npm that `.ci/run` pins.

use crate::program;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// `node`, ready for arguments. `None`, loudly, where there is none.
pub fn node() -> Option<Command> {
    let mut command = Command::new(program::find("node")?);
    command.kill_on_drop(true);
    Some(command)
}

/// The folder of a package: `$WEFT_TOOLS/node_modules/NAME`. `None`, loudly, where there is none.
pub fn package(name: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("WEFT_TOOLS").unwrap_or_default();
    let folder = Path::new(&tools).join("node_modules").join(name);
    if folder.join("package.json").is_file() {
        return Some(folder);
    }
    program::missing(name);
    None
}
