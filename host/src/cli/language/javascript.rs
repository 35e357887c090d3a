//! Plugins in JavaScript and TypeScript: clients and component are made by the SDK's own scripts, in Node.

use super::{Described, FOLDER, described_by, granted, node, whole};
use anyhow::anyhow;
use serde_json::Value;
use std::path::{Path, PathBuf};
use weft_build::Granted;

/// Writes typed clients for what plugin.toml grants.
pub(super) fn clients(folder: &Path) -> anyhow::Result<Granted> {
    let folder = &whole(folder)?;
    let granted = granted(folder, &proto_folders(folder)?)?;
    node::sdk(folder, "clients")?;
    Ok(granted)
}

pub(super) fn describe(folder: &Path, is_quiet: bool) -> anyhow::Result<Described> {
    let folder = &whole(folder)?;
    node::install(folder, is_quiet)?;
    let granted = clients(folder)?;
    described_by(&node::sdk(folder, "describe")?, granted)
}

/// `checks`: the types as well, which takes longer than all the rest.
pub(super) fn compile(folder: &Path, checks: bool) -> anyhow::Result<PathBuf> {
    let folder = &whole(folder)?;
    if checks {
        node::check_types(folder)?;
    }
    node::sdk(folder, "component")?;
    Ok(folder.join(FOLDER).join("component.wasm"))
}

/// `"weft": { "protos": ["../protos"] }` of package.json; `protos` beside it where nothing is said.
fn proto_folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let file = folder.join("package.json");
    let package = node::json(&file)?;
    let Some(named) = package.get("weft").and_then(|weft| weft.get("protos")) else {
        return Ok([folder.join("protos")].into_iter().filter(|folder| folder.exists()).collect());
    };
    let names = named.as_array().map(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let names = names.flatten().ok_or_else(|| {
        anyhow!(
            "{}: `weft.protos` is a list of folders, as in \"weft\": {{ \"protos\": [\"../protos\"] }}",
            file.display()
        )
    })?;
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
