//! A real HAProxy in a process of its own.

use crate::program::{self, Program};
use tokio::process::Command;

/// With this configuration, once it listens at `port`; killed when dropped. `None`, loudly, where there is no `haproxy`.
///
/// # Panics
/// If it does not start.
pub async fn start(config: &str, port: u16) -> Option<Program> {
    let haproxy = program::find("haproxy")?;
    let folder = program::folder();
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(haproxy);
    command.arg("-db").arg("-f").arg(file);
    Some(Program::start(&mut command, folder).until_listening(port).await)
}
