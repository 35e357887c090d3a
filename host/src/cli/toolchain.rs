//! A plugin's code: compiled by cargo, and asked what it is.

use super::{runtime, tell};
use crate::{
    artifact::EndpointSchema,
    sandbox,
    settings::{Document, Mistakes},
};
use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const TARGET: &str = "wasm32-wasip2";

/// Plugins are small and run hot: optimised as a whole, with the names that make a trap's backtrace readable.
///
/// The describer is made under this profile too, so that all that a plugin depends on is compiled once and not twice.
const PROFILE: [&str; 10] = [
    "--profile",
    "plugin",
    "--config",
    "profile.plugin.inherits=\"release\"",
    "--config",
    "profile.plugin.lto=true",
    "--config",
    "profile.plugin.codegen-units=1",
    "--config",
    "profile.plugin.strip=\"debuginfo\"",
];

/// What the `describe` export returns.
#[derive(Debug, Deserialize)]
pub(super) struct Description {
    pub(super) contract: String,
    pub(super) endpoints: Vec<EndpointSchema>,
    pub(super) methods: Vec<String>,
    /// Base64 of a FileDescriptorSet.
    #[serde(default)]
    pub(super) descriptors: String,
    /// What the SDK found to disagree within the code.
    #[serde(default)]
    pub(super) faults: Vec<String>,
}

/// What the code in this folder says of itself.
pub(super) fn describe(folder: &Path, is_quiet: bool) -> anyhow::Result<Description> {
    let describer = compile(folder, is_quiet, &as_describer(folder))?;
    let described = runtime()?
        .block_on(sandbox::describe(&describer))
        .map_err(|error| anyhow!("the plugin can't describe itself: {error}"))?;
    serde_json::from_str(&described).context("the plugin's description can't be read; is its SDK too old?")
}

/// Held while a plugin is built: cargo puts describer and component at the same place, one after the other, and of two builds at once
/// one would read what the other has made. Where files can't be locked it is done without.
pub(super) fn turn(manifest: &Path) -> Option<fs::File> {
    let file = fs::File::open(manifest).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// What makes a describer of it. It runs once, so the plugin's own code is not optimised; all else is, and is compiled already or will be
/// used again.
fn as_describer(folder: &Path) -> Vec<String> {
    let mut more = vec!["--features".to_owned(), "weft-sdk/describe".to_owned()];
    let file = folder.join("Cargo.toml");
    // What is wrong with it is cargo's to say.
    let mistakes = Mistakes::new();
    let text = fs::read_to_string(&file).unwrap_or_default();
    let name: String =
        Document::parse(&file, &text, &mistakes).table(&mistakes).table("package").or("name", String::new());
    if !name.is_empty() {
        more.extend(["--config".to_owned(), format!("profile.plugin.package.\"{name}\".opt-level=0")]);
    }
    more
}

pub(super) fn add_target() -> anyhow::Result<()> {
    let listed = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let there = listed.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).exists());
    if there {
        return Ok(());
    }
    tell(&format!("adding the Rust target {TARGET}"));
    let added = Command::new("rustup").args(["target", "add", TARGET]).stdout(Stdio::null()).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("the Rust target {TARGET} is missing and could not be added: run `rustup target add {TARGET}`"),
    }
}

/// Compiles the plugin's library for wasm and returns the component's path.
pub(super) fn compile(folder: &Path, is_quiet: bool, more: &[String]) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(folder)
        .args(["build", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .args(PROFILE)
        .args(more)
        // Gives the file in cargo's cache a name of its own for each set of features: else describer and component take each other's
        // place there, and both are linked again each time. Without it (it is cargo's own affair) only time is lost.
        .env("__CARGO_DEFAULT_LIB_METADATA", "weft")
        .stdout(Stdio::piped());
    if is_quiet {
        command.arg("--quiet");
    }
    let output = command.spawn().context("cargo can't be run; is Rust installed?")?.wait_with_output()?;
    if !output.status.success() {
        bail!("the plugin does not compile; see above");
    }
    let own = fs::canonicalize(folder.join("Cargo.toml")).context("the plugin's folder has no Cargo.toml")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut files = messages.lines().rev().filter_map(|line| component_of(line, &own));
    files.next().ok_or_else(|| anyhow!("the plugin's crate makes no component: set crate-type = [\"cdylib\", \"rlib\"] under [lib] in its Cargo.toml"))
}

/// The `.wasm` file, if this line of cargo's output tells of the plugin's own library.
fn component_of(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = message.get("manifest_path")?.as_str()?;
    if message.get("reason")? != "compiler-artifact" || fs::canonicalize(path).ok()? != manifest {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}
