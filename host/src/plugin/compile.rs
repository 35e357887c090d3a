//! Compiling artifacts: by a short-lived engine of its own (48.x keeps scratch memory of the compiler for an engine's life), into a
//! private folder, once for each digest.

use super::engine::configuration;
use crate::artifact::Artifact;
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use wasmtime::Engine;

/// Why an artifact could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the component can't be compiled: {0}")]
    Invalid(String),
    #[error("{path}: {reason}", path = path.display())]
    Folder { path: PathBuf, reason: String },
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The compiled form of the artifact, made now or found from before. Takes seconds: not for a request's thread.
pub(super) fn compiled_file(artifact: &Artifact, folder: &Path, engine: &Engine) -> Result<PathBuf, CompileError> {
    check_private(folder)?;
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let path = folder.join(format!("{}-{:016x}.cwasm", artifact.digest.hex(), hasher.finish()));
    if path.exists() {
        return Ok(path);
    }
    let invalid = |error: wasmtime::Error| CompileError::Invalid(format!("{error:#}"));
    let compiler = Engine::new(&configuration()).map_err(invalid)?;
    let code = compiler.precompile_component(&artifact.bytes).map_err(invalid)?;
    write_whole(&path, &code).map_err(|source| CompileError::Io { path: path.clone(), source })?;
    Ok(path)
}

/// Makes the folder, or makes sure that it is ours alone: whoever can write here can run code in this process.
fn check_private(folder: &Path) -> Result<(), CompileError> {
    let io = |source| CompileError::Io { path: folder.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    let meta = fs::symlink_metadata(folder).map_err(io)?;
    let wrong = |reason: &str| Err(CompileError::Folder { path: folder.to_owned(), reason: reason.to_owned() });
    if !meta.is_dir() {
        return wrong("is not a folder");
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return wrong("belongs to another user; compiled code is only kept in a folder of our own");
    }
    if meta.mode() & 0o077 != 0 {
        return wrong("is open to other users; `chmod 700` it");
    }
    Ok(())
}

fn write_whole(path: &Path, code: &[u8]) -> io::Result<()> {
    let unique: u64 = rand::random();
    let temporary = path.with_extension(format!("{unique:016x}.tmp"));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(code).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The name is random, so nothing else is lost with it.
        let _ = fs::remove_file(&temporary);
    }
    written
}
