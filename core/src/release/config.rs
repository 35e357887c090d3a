//! `[plugins]` of `weft.toml`: where artifacts come from, and what the operator grants beyond a manifest.

use crate::{
    plugin::Compiling,
    settings::{ByteSize, Table},
};
use http::HeaderName;
use std::{collections::BTreeMap, path::PathBuf};

/// Where artifacts are found and what they get.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that is watched; relative to the configuration's folder.
    pub folder: PathBuf,
    /// Where compiled code is kept, and within which bounds it is made.
    pub compiling: Compiling,
    /// Where the history of releases is kept, with the bytes of those that have served: a private folder; without one the host knows
    /// nothing of what was before its start.
    pub history: Option<PathBuf>,
    /// Largest artifact that is read.
    pub max_artifact: ByteSize,
    /// Response headers beyond the usual ones that plugins may set if their manifests ask for them.
    pub response_headers: Vec<HeaderName>,
    /// `[plugins.config.NAME]`: values that replace those of `[config]` in the plugin's manifest.
    pub overrides: BTreeMap<String, BTreeMap<String, String>>,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let names: Vec<String> = table.or("response-headers", Vec::new());
        let parse = |name: &String| {
            let parsed = HeaderName::try_from(name.as_str());
            parsed.map_err(|_| table.mistake("response-headers", format!("`{name}` is no header name"))).ok()
        };
        let overrides = table.table("config").named_tables().into_iter().map(|(plugin, values)| {
            let values = values.names().into_iter().map(|key| (key.clone(), values.or(&key, String::new()))).collect();
            (plugin, values)
        });
        Self {
            overrides: overrides.collect(),
            folder: table.required("folder").unwrap_or_default(),
            compiling: Compiling::read(table),
            history: Some(table.or("history", PathBuf::from(".weft/history")))
                .filter(|path| !path.as_os_str().is_empty()),
            max_artifact: table.within("max-artifact", ByteSize(32 << 20), ByteSize(1 << 10), ByteSize(256 << 20)),
            response_headers: names.iter().filter_map(parse).collect(),
        }
    }
}
