//! The artifacts in a folder, and which of them have changed.

use super::Refusal;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Largest artifact that is read.
const LARGEST: u64 = 64 << 20;

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    size: u64,
    inode: u64,
}

/// All `.wasm` files of the folder by path.
pub(super) fn scan(folder: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // A file that went away since is not there.
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_file() {
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.insert(path, Stamp { modified, size: meta.len(), inode: meta.ino() });
        }
    }
    Ok(files)
}

pub(super) fn read(path: &Path) -> Result<Bytes, Refusal> {
    let size = fs::metadata(path)?.len();
    if size > LARGEST {
        return Err(Refusal::TooLarge(size));
    }
    Ok(fs::read(path)?.into())
}
