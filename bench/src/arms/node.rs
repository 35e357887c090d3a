//! Node as an arm: its packages are fetched when it is first needed.

use super::{Arm, Server};
use crate::{fixture, process::Process, roles::Brief, say};
use anyhow::{Context, bail};
use std::{path::PathBuf, process::Stdio};
use tokio::process::Command;

/// What has to be there for it.
#[derive(Debug)]
pub(crate) struct Node;

impl Node {
    /// Fetches the packages; `false`, with a loud line, where that can't be done.
    pub(crate) async fn prepare() -> bool {
        match prepare().await {
            Ok(()) => true,
            Err(error) => {
                say(format_args!(
                    "\n!!! NODE IS LEFT OUT: {error:#}\n!!! All comparisons with Node are missing below.\n"
                ));
                false
            }
        }
    }
}

fn folder() -> anyhow::Result<PathBuf> {
    fixture::folder("node")
}

async fn prepare() -> anyhow::Result<()> {
    let (from, to) = (fixture::repository().join("bench/node"), folder()?);
    let known = std::fs::read(to.join("installed.json")).ok();
    let wanted = std::fs::read(from.join("package.json"))?;
    std::fs::copy(from.join("server.js"), to.join("server.js"))?;
    run("node", &["--version"]).await?;
    if known.as_ref() == Some(&wanted) {
        return Ok(());
    }
    say("fetching the packages of the Node arm (npm install)");
    std::fs::copy(from.join("package.json"), to.join("package.json"))?;
    run("npm", &["install", "--no-audit", "--no-fund", "--loglevel=error"]).await?;
    // Last, so that a half-done install is done again.
    std::fs::write(to.join("installed.json"), wanted)?;
    Ok(())
}

async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder()?).stdin(Stdio::null());
    let output = command.output().await.with_context(|| format!("`{program}` can't be run; is it installed?"))?;
    if !output.status.success() {
        bail!("`{program} {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

pub(super) async fn start(brief: &Brief) -> anyhow::Result<Server> {
    let mut command = Command::new("node");
    let protos = fixture::repository().join("examples/protos");
    command.current_dir(folder()?).arg("server.js").arg(protos).arg(serde_json::to_string(brief)?);
    command.env("NODE_ENV", "production");
    let process = Process::start(command, "serves on http://", &fixture::folder("logs")?.join("node.log")).await?;
    Ok(Server { arm: Arm::Node, address: process.address(0)?, process, host: None })
}
