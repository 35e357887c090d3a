//! The plugins as artifacts: built by the real command, and stamped with other names, versions and limits.

use anyhow::{Context, bail};
use bytes::Bytes;
use std::{path::PathBuf, process::Stdio};
use toml::{Table, Value};
use weft::artifact::Sections;

/// Runs `weft build` on a folder of the bench.
pub(crate) async fn build(folder: &str) -> anyhow::Result<Bytes> {
    let path = crate::fixture::repository().join("bench").join(folder);
    let mut command = crate::process::role(&["build", "--quiet"])?;
    command.arg("--out").arg(crate::fixture::folder("artifacts")?).arg(&path).stderr(Stdio::inherit());
    let built = command.output().await?;
    if !built.status.success() {
        bail!("{} can't be built; see above", path.display());
    }
    let file = PathBuf::from(String::from_utf8_lossy(&built.stdout).trim());
    let bytes = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
    Ok(bytes.into())
}

/// The artifact with another manifest: later sections win, so the component stays as it is.
pub(crate) fn stamped(artifact: &Bytes, change: impl FnOnce(&mut Table)) -> anyhow::Result<Bytes> {
    let mut sections = Sections::read(artifact)?;
    let mut manifest: Table = sections.manifest.parse()?;
    change(&mut manifest);
    sections.manifest = toml::to_string(&manifest)?;
    Ok(sections.append_to(artifact).into())
}

/// Sets a value of the manifest.
pub(crate) fn set(manifest: &mut Table, table: &str, key: &str, value: impl Into<Value>) {
    let table = manifest.entry(table).or_insert_with(|| Table::new().into());
    if let Some(table) = table.as_table_mut() {
        table.insert(key.to_owned(), value.into());
    }
}
