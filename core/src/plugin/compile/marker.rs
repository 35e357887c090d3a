//! A file beside the compiled code for as long as an artifact is being loaded. Where one is found later that nobody holds, a host has died
//! at it: that artifact is loaded last and alone, and after a second death in a row not any more. A host that is told to end takes its
//! marks back first: what it leaves unfinished is no death.

use super::{CompileError, code_cache::CodeCache};
use crate::{model::Digest, sync::lock};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

/// Deaths in a row after which an artifact is refused.
const MOST_DEATHS: u8 = 2;

/// The marks of this host.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Marks(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// From now on nothing is marked.
    is_over: bool,
    /// Locked, so that another host that shares the folder takes them for no deaths; and the deaths that were there before.
    held: HashMap<PathBuf, (File, u8)>,
}

/// The mark of a load under way; gone when it has ended, however that went.
#[derive(Debug)]
pub struct Marker {
    path: PathBuf,
    marks: Marks,
}

impl Drop for Marker {
    fn drop(&mut self) {
        if self.marks.state().held.remove(&self.path).is_some() {
            // One that stays costs the artifact a place at the end of the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn path(folder: &Path, digest: Digest) -> PathBuf {
    folder.join(format!("{}.loading", digest.hex()))
}

/// Whether a host has died while it loaded this artifact, and nobody has loaded it since.
pub(in super::super) fn has_died(folder: &Path, digest: Digest) -> bool {
    File::open(path(folder, digest)).is_ok_and(|file| file.try_lock_shared().is_ok() && deaths(&file).unwrap_or(0) > 0)
}

impl Marks {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Marks that the artifact is loaded from now on; `None` where another host does it just now, or this one is about to end.
    pub(in super::super) fn begin(&self, folder: &Path, digest: Digest) -> Result<Option<Marker>, CompileError> {
        CodeCache::open(folder)?;
        let path = path(folder, digest);
        let mut state = self.state();
        if state.is_over {
            return Ok(None);
        }
        let marked = mark(&path).map_err(|source| CompileError::Io { path: path.clone(), source })?;
        match marked {
            Marked::Held => Ok(None),
            Marked::Deadly => Err(CompileError::Deadly(path)),
            Marked::Now(file, deaths) => {
                state.held.insert(path.clone(), (file, deaths));
                Ok(Some(Marker { path, marks: self.clone() }))
            }
        }
    }

    /// Takes all marks back: the host is about to end, and by no artifact's doing.
    pub(in super::super) fn take_back(&self) {
        let mut state = self.state();
        state.is_over = true;
        for (path, (file, deaths)) in state.held.drain() {
            // What can't be undone counts as a death; a second one would be needed to do harm. And who was a suspect is one still: what ends
            // from now on may have ended for want of a host.
            let _ = if deaths == 0 { fs::remove_file(path) } else { write(&file, deaths) };
            // Closing is not enough: a process that is being started has the file open as well for a moment.
            let _ = file.unlock();
        }
    }
}

enum Marked {
    /// And the deaths before.
    Now(File, u8),
    /// By another host that loads it now.
    Held,
    Deadly,
}

fn mark(path: &Path) -> io::Result<Marked> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Marked::Held),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let deaths = deaths(&file)?;
    if deaths >= MOST_DEATHS {
        return Ok(Marked::Deadly);
    }
    write(&file, deaths + 1)?;
    // A host that dies leaves it as it is; only a machine that dies could lose it, and then it is not the artifact's doing.
    Ok(Marked::Now(file, deaths))
}

fn write(mut file: &File, deaths: u8) -> io::Result<()> {
    file.rewind()?;
    writeln!(file, "{deaths}")
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
        let marks = Marks::default();
        assert!(!has_died(&folder, digest));
        let marker = marks.begin(&folder, digest).unwrap().unwrap();
        assert!(!has_died(&folder, digest), "somebody still loads it");
        assert!(marks.begin(&folder, digest).unwrap().is_none());
        drop(marker);
        assert!(!has_died(&folder, digest));
        let died = || {
            let marks = Marks::default();
            std::mem::forget(marks.begin(&folder, digest).unwrap().unwrap());
            marks.state().held.drain().for_each(|(_, (file, _))| file.unlock().unwrap());
        };
        died();
        assert!(has_died(&folder, digest));
        drop(marks.begin(&folder, digest).unwrap());
        assert!(!has_died(&folder, digest), "it was loaded");
        died();
        died();
        let refused = marks.begin(&folder, digest).unwrap_err().to_string();
        assert!(refused.contains("twice in a row") && refused.contains(".loading"), "{refused}");
        fs::remove_file(path(&folder, digest)).unwrap();
        assert!(marks.begin(&folder, digest).unwrap().is_some());
    }

    #[test]
    fn a_host_that_is_told_to_end_leaves_what_it_found() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, fresh, suspect) = (folder.path().join("compiled"), Digest::of(b"x"), Digest::of(b"y"));
        let ended = || {
            let marks = Marks::default();
            let load = |digest| marks.begin(&folder, digest).unwrap();
            let begun = [load(fresh), load(suspect)];
            marks.take_back();
            assert!(load(Digest::of(b"z")).is_none(), "what begins after that is not counted");
            drop(begun);
        };
        CodeCache::open(&folder).unwrap();
        fs::write(path(&folder, suspect), "1\n").unwrap();
        for _ in 0..3 {
            ended();
            assert!(!path(&folder, fresh).exists());
            assert!(has_died(&folder, suspect), "as it was before");
            assert_eq!(fs::read_to_string(path(&folder, suspect)).unwrap(), "1\n");
        }
        let marks = Marks::default();
        let marker = marks.begin(&folder, suspect).unwrap();
        // As a process has it that is being started.
        let inherited: Vec<_> = marks.state().held.values().map(|(file, _)| file.try_clone().unwrap()).collect();
        marks.take_back();
        drop(marker);
        assert!(has_died(&folder, suspect), "what ends from now on says nothing");
        drop(inherited);
    }
}
