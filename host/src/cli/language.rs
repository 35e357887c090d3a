//! The languages that plugins are written in: what their code says of itself, and how it becomes a component.

mod javascript;
mod node;
mod protos;

use super::toolchain::{self, Description, Making, Speed};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// By what lies beside `plugin.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// `Cargo.toml`.
    Rust,
    /// `package.json`.
    JavaScript,
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
        if !has("Cargo.toml") && has("package.json") { Self::JavaScript } else { Self::Rust }
    }

    /// Writes what the plugin needs beside the SDK to be tested by the tools of its language.
    pub(super) fn prepare(self, folder: &Path) -> anyhow::Result<()> {
        match self {
            Self::Rust => Ok(()),
            Self::JavaScript => javascript::clients(folder).map(drop),
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
        }
    }

    /// Makes the component, and returns its path.
    pub(super) fn compile(self, making: &Making<'_>) -> anyhow::Result<PathBuf> {
        match self {
            Self::Rust => toolchain::compile(making, &[]),
            Self::JavaScript => javascript::compile(making.folder, making.speed == Speed::Run),
        }
    }

    /// Where artifacts go that are made of this component.
    pub(super) fn artifacts(self, folder: &Path, component: &Path) -> PathBuf {
        let target = match self {
            // component: TARGET_DIR/wasm32-wasip2/plugin/NAME.wasm
            Self::Rust => component.ancestors().nth(3).map(Path::to_owned),
            Self::JavaScript => None,
        };
        target
            .unwrap_or_else(|| fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).join("target"))
            .join("weft")
    }
}
