//! The artifacts in a folder, and which of them have changed.

use super::Refusal;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// A file that was written to this recently may still be written to.
pub(super) const UNSETTLED: Duration = Duration::from_millis(100);

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self { modified, size: meta.len(), inode: meta.ino() }
    }

    /// Whether nobody has written to the file for a while. One from the future comes from a machine with another clock.
    pub(super) fn is_settled(&self) -> bool {
        self.modified.elapsed().map_or(true, |age| age >= UNSETTLED)
    }
}

/// What tells a folder from another one under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let meta = fs::metadata(folder)?;
        Ok(Self { device: meta.dev(), inode: meta.ino() })
    }
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
            files.insert(path, Stamp::of(&meta));
        }
    }
    Ok(files)
}

/// The file's bytes, or `None` if it is not, or no longer, what the stamp says.
pub(super) fn read(path: &Path, stamp: Stamp, most: u64) -> Result<Option<Bytes>, Refusal> {
    if stamp.size > most {
        return Err(Refusal::TooLarge { size: stamp.size, most });
    }
    let mut file = File::open(path)?;
    let mut bytes = Vec::with_capacity(stamp.size as usize);
    (&mut file).take(most + 1).read_to_end(&mut bytes)?;
    let is_same = Stamp::of(&file.metadata()?) == stamp && bytes.len() as u64 == stamp.size;
    Ok(is_same.then(|| bytes.into()))
}
