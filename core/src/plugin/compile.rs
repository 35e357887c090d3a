//! Compiling artifacts: in a worker process that is bounded in memory and time ([`worker`]), into a private folder ([`code_cache`]), once
//! for each digest. What a component makes the compiler do never happens in the process that serves. What compiles is the sandbox's.

mod code_cache;
mod config;
pub(super) mod marker;
pub(super) mod worker;

pub use config::Compiling;

use crate::{artifact::Artifact, model::Digest, settings::ByteSize};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

/// Why an artifact could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the component can't be compiled: {0}")]
    Invalid(String),
    #[error("no guest of this process is its own; there are: {0}")]
    NoNative(String),
    #[error("compiling it took more than {0:?} of CPU time (`compile-timeout` in [plugins])")]
    TooSlow(Duration),
    #[error("compiling it took more than {0:?} by the clock, ten times `compile-timeout` in [plugins]")]
    Stuck(Duration),
    #[error("compiling it needed more than {} MiB of memory (`compile-memory` in [plugins])", .0.0 >> 20)]
    TooHungry(ByteSize),
    #[error("the compiler failed ({0}): {1}")]
    Failed(ExitStatus, String),
    #[error("the compiler can't be started: {0}")]
    NoWorker(io::Error),
    #[error("reading it in a process of its own failed: {0}")]
    Reading(Box<CompileError>),
    #[error("the host has died twice in a row while it loaded this file; remove {} to have it tried again", .0.display())]
    Deadly(PathBuf),
    #[error("{path}: {reason}", path = path.display())]
    Folder { path: PathBuf, reason: String },
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl CompileError {
    /// Whether it lies with the host's own folder or processes, so that the same artifact may do the next time.
    pub fn is_hosts(&self) -> bool {
        match self {
            Self::Reading(inner) => inner.is_hosts(),
            Self::NoWorker(_) | Self::Folder { .. } | Self::Io { .. } => true,
            _ => false,
        }
    }
}

/// Whether compiled code can be kept in this folder, once it is made.
pub fn check_folder(folder: &Path) -> Result<(), CompileError> {
    code_cache::check_folder(folder)
}

/// The name of the artifact's compiled form.
fn name(digest: Digest, engine: u64) -> String {
    format!("{}-{engine:016x}", digest.hex())
}

/// Whether the artifact was compiled before, for engines with this number.
pub fn is_compiled(digest: Digest, compiling: &Compiling, engine: u64) -> bool {
    code_cache::CodeCache::open(&compiling.folder)
        .is_ok_and(|code_cache| code_cache.find(&name(digest, engine)).is_some())
}

/// The compiled form of the artifact for engines with this number, made now or found from before. Takes seconds: not for a request's
/// thread. `compile` is what the worker does, for hosts that have none.
pub fn compiled_file(
    artifact: &Artifact,
    compiling: &Compiling,
    engine: u64,
    compile: impl FnOnce(&[u8]) -> Result<Vec<u8>, CompileError>,
) -> Result<PathBuf, CompileError> {
    let code_cache = code_cache::CodeCache::open(&compiling.folder)?;
    let name = name(artifact.digest, engine);
    if let Some(path) = code_cache.find(&name) {
        return Ok(path);
    }
    let fresh = code_cache.temporary(&name);
    let out = fresh.path();
    match &compiling.worker {
        Some(worker) => worker::compile_apart(worker, compiling, &name, out, &artifact.bytes)?,
        None => write(out, &name, &compile(&artifact.bytes)?)?,
    }
    let path = code_cache.keep(fresh, &name)?;
    code_cache.find(&name).ok_or(CompileError::Folder { path, reason: "is not what was written just now".to_owned() })
}

/// Writes the sealed code.
fn write(out: &Path, name: &str, code: &[u8]) -> Result<(), CompileError> {
    code_cache::write(out, name, code).map_err(|source| CompileError::Io { path: out.to_owned(), source })
}
