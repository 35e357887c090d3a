//! Plugins in JavaScript and TypeScript: clients and component are made by the SDK's own scripts, in Node.

use super::{Described, node, protos};
use crate::cli::{tell, toolchain::Description};
use anyhow::{Context, anyhow};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use weft_build::Granted;

/// Where `weft` puts what it makes, beside the SDK.
const FOLDER: &str = ".weft";

/// Writes typed clients for what plugin.toml grants.
pub(super) fn clients(folder: &Path) -> anyhow::Result<Granted> {
    let folder = &whole(folder)?;
    let manifest = folder.join("plugin.toml");
    let granted = weft_build::granted(&manifest, &proto_folders(folder)?).map_err(|error| anyhow!("{error}"))?;
    granted.warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
    let described = protos::described(&granted)?;
    let file = folder.join(FOLDER).join("protos.json");
    fs::create_dir_all(folder.join(FOLDER))
        .and_then(|()| fs::write(&file, described.to_string()))
        .with_context(|| format!("{} can't be written", file.display()))?;
    node::sdk(folder, "clients")?;
    Ok(granted)
}

pub(super) fn describe(folder: &Path, is_quiet: bool) -> anyhow::Result<Described> {
    let folder = &whole(folder)?;
    node::install(folder, is_quiet)?;
    let granted = clients(folder)?;
    let described = node::sdk(folder, "describe")?;
    let mut description: Description =
        serde_json::from_slice(&described).context("the plugin's description can't be read; is its SDK too old?")?;
    description.methods = granted.methods;
    Ok(Described { description, descriptors: granted.descriptors })
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

fn whole(folder: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(folder).with_context(|| format!("{} can't be found", folder.display()))
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
