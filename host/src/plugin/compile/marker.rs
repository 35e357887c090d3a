//! A file beside the compiled code for as long as an artifact is being loaded. Where one is found later that nobody holds, a host has died
//! at it: that artifact is loaded last and alone, and after a second death in a row not any more.

use super::{CompileError, vault::Vault};
use crate::artifact::Digest;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Deaths in a row after which an artifact is refused.
const MOST_DEATHS: u8 = 2;

/// The mark of a load under way; gone when it has ended, however that went.
#[derive(Debug)]
pub struct Marker {
    path: PathBuf,
    /// Locked, so that another host that shares the folder takes this for no death.
    _file: File,
}

impl Drop for Marker {
    fn drop(&mut self) {
        // One that stays costs the artifact a place at the end of the next start.
        let _ = fs::remove_file(&self.path);
    }
}

fn path(folder: &Path, digest: Digest) -> PathBuf {
    folder.join(format!("{}.loading", digest.hex()))
}

/// Whether a host has died while it loaded this artifact, and nobody has loaded it since.
pub(in super::super) fn has_died(folder: &Path, digest: Digest) -> bool {
    File::open(path(folder, digest)).is_ok_and(|file| file.try_lock_shared().is_ok() && deaths(&file).unwrap_or(0) > 0)
}

/// Marks that the artifact is loaded from now on; `None` where another host does it just now.
pub(in super::super) fn begin(folder: &Path, digest: Digest) -> Result<Option<Marker>, CompileError> {
    Vault::open(folder)?;
    let path = path(folder, digest);
    let marked = mark(&path).map_err(|source| CompileError::Io { path: path.clone(), source })?;
    match marked {
        Marked::Held => Ok(None),
        Marked::Deadly => Err(CompileError::Deadly(path)),
        Marked::Now(file) => Ok(Some(Marker { path, _file: file })),
    }
}

enum Marked {
    Now(File),
    /// By another host that loads it now.
    Held,
    Deadly,
}

fn mark(path: &Path) -> io::Result<Marked> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Marked::Held),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let deaths = deaths(&file)?;
    if deaths >= MOST_DEATHS {
        return Ok(Marked::Deadly);
    }
    file.rewind()?;
    writeln!(file, "{}", deaths + 1)?;
    // A host that dies leaves it as it is; only a machine that dies could lose it, and then it is not the artifact's doing.
    Ok(Marked::Now(file))
}

fn deaths(mut file: &File) -> io::Result<u8> {
    let mut text = String::new();
    file.rewind()?;
    file.take(16).read_to_string(&mut text)?;
    Ok(text.trim().parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_remembered_until_a_load_has_ended_and_two_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, digest) = (folder.path().join("compiled"), Digest::of(b"x"));
        assert!(!has_died(&folder, digest));
        let marker = begin(&folder, digest).unwrap().unwrap();
        assert!(!has_died(&folder, digest), "somebody still loads it");
        assert!(begin(&folder, digest).unwrap().is_none());
        drop(marker);
        assert!(!has_died(&folder, digest));
        let died = || {
            let marker = begin(&folder, digest).unwrap().unwrap();
            marker._file.unlock().unwrap();
            std::mem::forget(marker);
        };
        died();
        assert!(has_died(&folder, digest));
        drop(begin(&folder, digest).unwrap());
        assert!(!has_died(&folder, digest), "it was loaded");
        died();
        died();
        let refused = begin(&folder, digest).unwrap_err().to_string();
        assert!(refused.contains("twice in a row") && refused.contains(".loading"), "{refused}");
        fs::remove_file(path(&folder, digest)).unwrap();
        assert!(begin(&folder, digest).unwrap().is_some());
    }
}
