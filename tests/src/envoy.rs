//! A real Envoy in a process of its own.

use crate::program::{self, Program};
use std::path::PathBuf;
use tokio::process::Command;

/// With this configuration, once it listens at `port`; killed when dropped. `None`, loudly, where there is no `envoy`.
///
/// # Panics
/// If it does not start.
pub async fn start(config: &str, port: u16) -> Option<Program> {
    let envoy = program::find("envoy")?;
    let (folder, file) = written(config);
    let mut command = Command::new(envoy);
    // Several of them on one machine share nothing.
    command.arg("--config-path").arg(file).args(["--disable-hot-restart", "--concurrency", "2"]);
    Some(Program::start(&mut command, folder).until_listening(port).await)
}

fn written(config: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = program::folder();
    let file = folder.path().join("envoy.yaml");
    std::fs::write(&file, config).unwrap();
    (folder, file)
}
