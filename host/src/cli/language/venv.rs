//! Python and pip: which there are, and what they are told to do. Missing ones are named, with what mends it.

use crate::cli::tell;
use anyhow::{Context, anyhow, bail};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The environment of a plugin, beside its pyproject.toml.
const FOLDER: &str = ".venv";
/// The oldest Python that runs the SDK.
const OLDEST: (u32, u32) = (3, 10);
/// What makes components, in the version that this SDK is made for.
const TOOL: &str = "componentize-py";
const TOOL_VERSION: &str = "0.25.1";
const INSTALL: &str = "install it by your system (`apt-get install python3 python3-venv`, `brew install python`) or from https://www.python.org";

/// Has Python do one of the things that the SDK's `_build` knows, and returns what it says.
pub(super) fn sdk(folder: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    let sdk = folder.join(".weft/sdk/python");
    if !sdk.join("weft_sdk").is_dir() {
        bail!("{} can't be found: `weft sdk {}` links it there", sdk.display(), folder.display());
    }
    let mut command = Command::new(python(folder));
    command.args(["-B", "-m", "weft_sdk._build", what]).arg(folder).env("PYTHONPATH", sdk).current_dir(folder);
    let output = run(&mut command, "python3")?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    bail!("{}", String::from_utf8_lossy(&output.stderr).trim())
}

/// Makes the environment, unless it is there: with the SDK, the plugin's modules and its clients on the path of whatever runs in it.
pub(super) fn make(folder: &Path) -> anyhow::Result<()> {
    if !python(folder).exists() {
        check_version()?;
        let mut command = Command::new("python3");
        let output = run(command.args(["-m", "venv"]).arg(folder.join(FOLDER)), "python3")?;
        if !output.status.success() {
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            // What is there of it would be taken for a whole one the next time.
            let _ = fs::remove_dir_all(folder.join(FOLDER));
            bail!(
                "this Python can't make an environment (`python3 -m venv`): {INSTALL}\n{}",
                said.trim().lines().last().unwrap_or_default()
            );
        }
    }
    let paths = [".weft/sdk/python", ".weft/python", "src"].map(|part| format!("{}\n", folder.join(part).display()));
    for packages in packages(folder)? {
        let file = packages.join("weft.pth");
        if fs::read_to_string(&file).ok().as_deref() != Some(&paths.concat()) {
            fs::write(&file, paths.concat()).with_context(|| format!("{} can't be written", file.display()))?;
        }
    }
    Ok(())
}

/// Installs what builds a component, and what pyproject.toml names, unless it is there.
pub(super) fn install(folder: &Path, dependencies: &[String], is_quiet: bool) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    let there = |package: &Path| package.join(format!("componentize_py-{TOOL_VERSION}.dist-info/RECORD")).exists();
    if !packages(folder)?.iter().any(|package| there(package)) {
        wanted.push(format!("{TOOL}=={TOOL_VERSION}"));
    }
    let asked = folder.join(FOLDER).join("weft-installed");
    let listed = dependencies.join("\n");
    if !dependencies.is_empty() && fs::read_to_string(&asked).ok().as_deref() != Some(&listed) {
        wanted.extend(dependencies.iter().cloned());
    }
    if wanted.is_empty() {
        return Ok(());
    }
    if !is_quiet {
        tell(&format!("installing {} (pip install, into {FOLDER})", wanted.join(", ")));
    }
    let mut command = Command::new(python(folder));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(&wanted);
    let output = run(command.current_dir(folder), "python3")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("No module named pip") {
            bail!("{} has no pip: remove that folder, and {INSTALL}", folder.join(FOLDER).display());
        }
        bail!("`pip install {}` failed in {}:\n{}", wanted.join(" "), folder.display(), said.trim());
    }
    fs::write(&asked, listed).with_context(|| format!("{} can't be written", asked.display()))
}

fn python(folder: &Path) -> PathBuf {
    folder.join(FOLDER).join("bin/python")
}

/// Where the environment's packages lie: `.venv/lib/python3.11/site-packages`.
fn packages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let lib = folder.join(FOLDER).join("lib");
    let entries = fs::read_dir(&lib).with_context(|| format!("{} can't be read: remove {FOLDER}", lib.display()))?;
    let found = entries.filter_map(Result::ok).map(|entry| entry.path().join("site-packages"));
    Ok(found.filter(|packages| packages.is_dir()).collect())
}

fn run(command: &mut Command, name: &str) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let (major, minor) = OLDEST;
            anyhow!("`{name}` is not on the PATH: plugins in Python are built by Python {major}.{minor} or newer, with venv and pip; {INSTALL}")
        }
        _ => anyhow!("`{name}` can't be run: {error}"),
    })
}

fn check_version() -> anyhow::Result<()> {
    let output = run(Command::new("python3").arg("--version"), "python3")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut numbers = said.trim().trim_start_matches("Python ").split('.').map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version < OLDEST {
        bail!("this is {}, and the SDK needs {}.{} or newer: {INSTALL}", said.trim(), OLDEST.0, OLDEST.1);
    }
    Ok(())
}
