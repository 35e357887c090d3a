//! Where artifacts come from: the files of a folder, and which of them have changed. Files that are removed from it go out of service. A
//! folder that is away, is no folder, can't be read, or has been replaced by an empty one is somebody's mistake, or a moment of somebody's
//! work: what serves goes on.

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
    #[cfg(test)]
    pub(super) fn numbered(number: u64) -> Self {
        Self { modified: SystemTime::UNIX_EPOCH, size: number, inode: number }
    }

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
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(folder: &Path) -> io::Result<Self> {
        let meta = fs::metadata(folder)?;
        Ok(Self { device: meta.dev(), inode: meta.ino() })
    }
}

/// The folder as it was found the last time.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    identity: Option<Identity>,
    trouble: Option<String>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, identity: None, trouble: None }
    }

    /// All artifacts in the folder; `None` if it says nothing of what should be served.
    pub(super) fn look(&mut self, is_serving: bool) -> Option<BTreeMap<PathBuf, Stamp>> {
        let found = Identity::of(&self.path).and_then(|identity| Ok((identity, scan(&self.path)?)));
        let trouble = match found {
            Ok((identity, found)) => {
                let is_replaced = self.identity.is_some_and(|before| before != identity);
                if !(is_replaced && found.is_empty() && is_serving) {
                    (self.identity, self.trouble) = (Some(identity), None);
                    return Some(found);
                }
                "was replaced by an empty one; what serves goes on until something lies in it".to_owned()
            }
            Err(error) => format!("can't be read; what serves goes on: {error}"),
        };
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::error!(folder = %self.path.display(), "the plugin folder {trouble}");
        }
        self.trouble = Some(trouble);
        None
    }

    /// Why it says nothing.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

/// All `.wasm` files of the folder by path.
fn scan(folder: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
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

/// The file as it is now; nothing if it is not there.
pub(super) fn stamped(path: PathBuf) -> Option<(PathBuf, Stamp)> {
    let meta = fs::metadata(&path).ok()?;
    Some((path, Stamp::of(&meta)))
}

/// The bytes of a file that nobody writes to any more.
pub(super) fn read_any(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
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
