//! The languages that plugins are written in: what their code says of itself, and how it becomes a component.

mod javascript;
mod node;
mod protos;
mod python;
mod venv;

use super::{
    tell,
    toolchain::{self, Description, Making, Speed},
};
use anyhow::{Context, anyhow};
use std::{
    fs,
    path::{Path, PathBuf},
};
use weft_build::Granted;

/// Where `weft` puts what it makes, beside the SDK.
const FOLDER: &str = ".weft";

/// By what lies beside `plugin.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// `Cargo.toml`.
    Rust,
    /// `package.json`.
    JavaScript,
    /// `pyproject.toml`.
    Python,
}

/// What `weft build` knows of a plugin before it is compiled.
pub(super) struct Described {
    pub(super) description: Description,
    /// A serialized `FileDescriptorSet`.
    pub(super) descriptors: Vec<u8>,
}

impl Language {
    /// Of the plugin in this folder. One of which nothing can be said is taken for one in Rust, and cargo says what is missing.
    pub(super) fn of(folder: &Path) -> Self {
        let has = |file: &str| folder.join(file).exists();
        match () {
            () if has("Cargo.toml") => Self::Rust,
            () if has("package.json") => Self::JavaScript,
            () if has(python::PROJECT) => Self::Python,
            () => Self::Rust,
        }
    }

    /// Writes what the plugin needs beside the SDK to be tested by the tools of its language.
    pub(super) fn prepare(self, folder: &Path) -> anyhow::Result<()> {
        match self {
            Self::Rust => Ok(()),
            Self::JavaScript => javascript::clients(folder).map(drop),
            Self::Python => python::clients(folder).map(drop),
        }
    }

    /// What the code says of itself.
    pub(super) fn describe(self, making: &Making<'_>) -> anyhow::Result<Described> {
        match self {
            Self::Rust => {
                let description = toolchain::describe(making)?;
                let descriptors = description.descriptors()?;
                Ok(Described { description, descriptors })
            }
            Self::JavaScript => javascript::describe(making.folder, making.is_quiet()),
            Self::Python => python::describe(making.folder, making.is_quiet()),
        }
    }

    /// Makes the component, and returns its path.
    pub(super) fn compile(self, making: &Making<'_>) -> anyhow::Result<PathBuf> {
        match self {
            Self::Rust => toolchain::compile(making, &[]),
            Self::JavaScript => javascript::compile(making.folder, making.speed == Speed::Run),
            Self::Python => python::compile(making.folder),
        }
    }

    /// Where artifacts go that are made of this component.
    pub(super) fn artifacts(self, folder: &Path, component: &Path) -> PathBuf {
        let target = match self {
            // component: TARGET_DIR/wasm32-wasip2/plugin/NAME.wasm
            Self::Rust => component.ancestors().nth(3).map(Path::to_owned),
            Self::JavaScript | Self::Python => None,
        };
        target
            .unwrap_or_else(|| fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).join("target"))
            .join("weft")
    }
}

/// What plugin.toml grants of these protos, described in `.weft/protos.json` for the SDK of the language.
fn granted(folder: &Path, protos: &[PathBuf]) -> anyhow::Result<Granted> {
    let manifest = folder.join("plugin.toml");
    let granted = weft_build::granted(&manifest, protos).map_err(|error| anyhow!("{error}"))?;
    granted.warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
    let described = protos::described(&granted)?;
    let file = folder.join(FOLDER).join("protos.json");
    fs::create_dir_all(folder.join(FOLDER))
        .and_then(|()| fs::write(&file, described.to_string()))
        .with_context(|| format!("{} can't be written", file.display()))?;
    Ok(granted)
}

/// What the SDK of the language has printed of the code.
fn described_by(said: &[u8], granted: Granted) -> anyhow::Result<Described> {
    let mut description: Description =
        serde_json::from_slice(said).context("the plugin's description can't be read; is its SDK too old?")?;
    description.methods = granted.methods;
    Ok(Described { description, descriptors: granted.descriptors })
}

fn whole(folder: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(folder).with_context(|| format!("{} can't be found", folder.display()))
}
