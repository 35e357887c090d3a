//! Everything that has to be built: the target for plugins, host and services, the plugins.

use crate::{crew::Crew, layout::Layout, say};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use tokio::time::Instant;

const TARGET: &str = "wasm32-wasip2";

/// What the first build is, measured on two shared cores of a server.
const FIRST: &str = "\
The first time, this compiles some 500 crates, the sandbox among them: 16 minutes of one core's time.
All of it is kept in target/ and serves `cargo test` too; from then on the demo starts in seconds.";

/// The first three steps of so many.
pub(crate) async fn all(layout: &Layout, crew: &mut Crew, steps: u8) -> anyhow::Result<()> {
    if !layout.has_sandbox() {
        say::line(FIRST);
    }
    say::step(1, steps, &format!("The Rust target for plugins, {TARGET}"));
    target(layout, crew).await?;
    say::step(2, steps, "Building host and services");
    let since = Instant::now();
    programs(layout, crew).await?;
    say::detail(&format!("took {}", say::took(since.elapsed())));
    say::step(3, steps, "Building the plugins, each to one file");
    let since = Instant::now();
    for plugin in layout.plugins()? {
        build_plugin(layout, crew, &plugin).await?;
    }
    say::detail(&format!("took {}", say::took(since.elapsed())));
    Ok(())
}

async fn target(layout: &Layout, crew: &mut Crew) -> anyhow::Result<()> {
    let mut asked = layout.command("rustc");
    let asked = asked.args(["--print", "target-libdir", "--target", TARGET]).kill_on_drop(true).output().await;
    let there = asked.is_ok_and(|answer| Path::new(String::from_utf8_lossy(&answer.stdout).trim()).exists());
    if there {
        say::detail("is there");
        return Ok(());
    }
    say::detail(&format!("is missing; running `rustup target add {TARGET}`"));
    let mut command = layout.command("rustup");
    command.args(["target", "add", TARGET]);
    crew.run("rustup", command).await.with_context(|| {
        format!(
            "the Rust target {TARGET} is missing and could not be added. With rustup (https://rustup.rs) it is added by \
             `rustup target add {TARGET}`; another installation of Rust needs its own package with the standard library for it"
        )
    })
}

async fn programs(layout: &Layout, crew: &mut Crew) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = layout.command(cargo);
    command.args(["build", "--bin", "weft", "--bin", "demo-services"]);
    crew.build("cargo", command).await.context("host and services can't be built; see above")?;
    for name in ["weft", "demo-services"] {
        let program = layout.program(name);
        if !program.exists() {
            bail!("cargo built {name}, but not to {}; is build.target or CARGO_BUILD_TARGET set?", program.display());
        }
    }
    Ok(())
}

async fn build_plugin(layout: &Layout, crew: &mut Crew, plugin: &Path) -> anyhow::Result<()> {
    let mut command = layout.command(layout.program("weft"));
    command.args(build_arguments(layout, plugin));
    say::detail(&say::dim(build_line(layout, plugin)));
    crew.build("weft build", command)
        .await
        .with_context(|| format!("{} can't be built; see above", layout.shown(plugin)))
}

/// The command that builds a plugin, to be typed in the repository's folder.
pub(crate) fn build_line(layout: &Layout, plugin: &Path) -> String {
    let arguments = build_arguments(layout, plugin);
    format!("{} {}", layout.shown(&layout.program("weft")), arguments.join(" "))
}

fn build_arguments(layout: &Layout, plugin: &Path) -> Vec<String> {
    let mut arguments = vec!["build".to_owned(), layout.shown(plugin)];
    if layout.has_other_target() {
        arguments.extend(["--out".to_owned(), layout.artifacts().display().to_string()]);
    }
    arguments
}
