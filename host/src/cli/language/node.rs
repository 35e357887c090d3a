//! Node and npm: which there are, and what they are told to do. Missing ones are named, with what mends it.

use crate::cli::tell;
use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

/// The oldest Node that runs the SDK.
const OLDEST: u32 = 20;
const INSTALL: &str =
    "install it from https://nodejs.org, or by your system (`apt-get install nodejs npm`, `brew install node`)";

/// Has Node do one of the things that the SDK's `build/main.js` knows, and returns what it says.
pub(super) fn sdk(folder: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    let script = folder.join(".weft/sdk/js/build/main.js");
    let mut command = Command::new("node");
    command.arg(fs::canonicalize(&script).with_context(|| {
        format!("{} can't be found: package.json has to take the SDK from there, with \"weft-sdk\": \"file:.weft/sdk/js\" in `dependencies`", script.display())
    })?);
    let output =
        command.arg(what).arg(folder).stdin(Stdio::null()).output().map_err(|error| missing("node", &error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    check_version()?;
    bail!("{}", String::from_utf8_lossy(&output.stderr).trim())
}

fn missing(program: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow!(
                "`{program}` is not on the PATH: plugins in JavaScript are built by Node {OLDEST} or newer, with its npm; {INSTALL}"
            )
        }
        _ => anyhow!("`{program}` can't be run: {error}"),
    }
}

/// Asked where something went wrong: an old Node fails in words that nobody understands.
fn check_version() -> anyhow::Result<()> {
    let output = Command::new("node").arg("--version").output().map_err(|error| missing("node", &error))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < OLDEST) {
        bail!("this Node is {version}, and the SDK needs {OLDEST} or newer: {INSTALL}");
    }
    Ok(())
}

/// Installs what `package.json` names, unless the tools that the SDK wants are there in the versions that it wants.
pub(super) fn install(folder: &Path, is_quiet: bool) -> anyhow::Result<()> {
    let sdk = json(&folder.join(".weft/sdk/js/package.json"))?;
    let tools =
        sdk.get("weft").and_then(|weft| weft.get("tools")).and_then(Value::as_object).cloned().unwrap_or_default();
    let wrong = || tools.iter().find(|(name, version)| installed(folder, name).as_deref() != version.as_str());
    if wrong().is_none() {
        return Ok(());
    }
    if !is_quiet {
        tell("installing what package.json names (npm install)");
    }
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]).current_dir(folder);
    let output = command.stdin(Stdio::null()).output().map_err(|error| missing("npm", &error))?;
    if !output.status.success() {
        bail!("`npm install` failed in {}:\n{}", folder.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    match wrong() {
        None => Ok(()),
        Some((name, version)) => {
            let found =
                installed(folder, name).map_or_else(|| "is not there".to_owned(), |there| format!("is {there}"));
            let version = version.as_str().unwrap_or_default();
            bail!(
                "this weft builds with {name} {version}, which {found} after `npm install`: run `npm install --save-dev --save-exact {name}@{version}` in {}",
                folder.display()
            )
        }
    }
}

/// Has the project's own TypeScript look at the types, where there is a `tsconfig.json`.
pub(super) fn check_types(folder: &Path) -> anyhow::Result<()> {
    if !folder.join("tsconfig.json").exists() {
        return Ok(());
    }
    let compiler = folder.join("node_modules/typescript/bin/tsc");
    if !compiler.exists() {
        tell(
            "warning: there is a tsconfig.json, and no TypeScript that could check the types: `npm install --save-dev typescript`",
        );
        return Ok(());
    }
    let mut command = Command::new("node");
    command.arg(compiler).args(["--noEmit", "--pretty", "false"]).current_dir(folder).stdin(Stdio::null());
    let output = command.output().map_err(|error| missing("node", &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("the types do not fit (`npx tsc --noEmit`):\n{}", String::from_utf8_lossy(&said).trim())
}

/// The version of a package that is installed.
fn installed(folder: &Path, name: &str) -> Option<String> {
    let package = json(&folder.join("node_modules").join(name).join("package.json")).ok()?;
    Some(package.get("version")?.as_str()?.to_owned())
}

pub(super) fn json(file: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))
}
