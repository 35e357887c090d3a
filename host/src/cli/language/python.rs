//! Plugins in Python: clients and component are made by the SDK's own modules, in the project's own environment.

use super::{Described, described_by, granted, venv, whole};
use crate::settings::{Document, Mistakes};
use anyhow::{Context, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use weft_build::Granted;

/// What says that a folder is a plugin in Python.
pub(super) const PROJECT: &str = "pyproject.toml";

/// What pyproject.toml says, as far as it is asked.
#[derive(Debug)]
struct Project {
    protos: Vec<PathBuf>,
    dependencies: Vec<String>,
}

/// `protos = ["../protos"]` under `[tool.weft]` (`protos` beside it where nothing is said), and `dependencies` under `[project]`.
fn project(folder: &Path) -> anyhow::Result<Project> {
    let file = folder.join(PROJECT);
    let text = fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
    let mistakes = Mistakes::new();
    let document = Document::parse(&file, &text, &mistakes);
    let root = document.table(&mistakes);
    let [tool, of_project] = ["tool", "project"].map(|name| root.table(name));
    let weft = tool.table("weft");
    let protos: Option<Vec<String>> = weft.optional("protos");
    let dependencies: Vec<String> = of_project.or("dependencies", Vec::new());
    // Looked at while the tables are held: what was not asked for is for other tools.
    if let Some(mistake) = mistakes.sorted().first() {
        bail!("{mistake}");
    }
    let protos = match protos {
        Some(names) => names.iter().map(|name| folder.join(name)).collect(),
        None => [folder.join("protos")].into_iter().filter(|folder| folder.exists()).collect(),
    };
    Ok(Project { protos, dependencies })
}

/// Makes the environment if there is none, and writes typed clients for what plugin.toml grants.
pub(super) fn clients(folder: &Path) -> anyhow::Result<Granted> {
    let folder = &whole(folder)?;
    let granted = granted(folder, &project(folder)?.protos)?;
    venv::make(folder)?;
    venv::sdk(folder, "clients")?;
    Ok(granted)
}

pub(super) fn describe(folder: &Path, is_quiet: bool) -> anyhow::Result<Described> {
    let folder = &whole(folder)?;
    venv::make(folder)?;
    venv::install(folder, &project(folder)?.dependencies, is_quiet)?;
    let granted = clients(folder)?;
    described_by(&venv::sdk(folder, "describe")?, granted)
}

pub(super) fn compile(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = &whole(folder)?;
    venv::sdk(folder, "component")?;
    Ok(folder.join(super::FOLDER).join("component.wasm"))
}
