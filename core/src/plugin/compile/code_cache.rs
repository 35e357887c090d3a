//! The folder of compiled code. Whoever can write here can run code in the process that serves, so the folder and every file in it
//! have to be ours alone, and a file is used only if its seal says that it is whole and stands under the name that it was made for.

use super::CompileError;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What a file ends with: SHA-256 over its name and its code.
const SEAL: usize = 32;
/// Compiled code of one artifact.
const MOST_CODE: usize = 512 << 20;
/// Compiled code that is kept; beyond, what was not used for longest is removed.
const MOST_KEPT: u64 = 4 << 30;
/// A file that was begun longer ago than anything may take was left by a host that was killed.
const ABANDONED: Duration = Duration::from_hours(1);

/// The folder, found to be private.
#[derive(Debug)]
pub(super) struct CodeCache(PathBuf);

/// A file in the making, gone when dropped.
#[derive(Debug)]
pub(super) struct Fresh(PathBuf);

impl Fresh {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Mostly it has been renamed. The name is random, so nothing else is lost with it.
        let _ = fs::remove_file(&self.0);
    }
}

impl CodeCache {
    /// Makes the folder, or makes sure that it is ours alone.
    pub(super) fn open(folder: &Path) -> Result<Self, CompileError> {
        let io = |source| CompileError::Io { path: folder.to_owned(), source };
        check_folder(folder)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        // Somebody else may have made it just now.
        check_folder(folder)?;
        Ok(Self(folder.to_owned()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.cwasm"))
    }

    /// The file of that name, if it is there and good. A bad one is removed, so that it is made anew.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.path(name);
        match check(&path, name) {
            Ok(()) => {
                // For `prune`; without it the file only goes sooner.
                let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                Some(path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %path.display(), "compiled code is not used, and made anew: {error}");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// A name that nothing is ever loaded from.
    pub(super) fn temporary(&self, name: &str) -> Fresh {
        let unique: u64 = rand::random();
        Fresh(self.0.join(format!("{name}.{unique:016x}.tmp")))
    }

    /// Puts a finished file in its place.
    pub(super) fn keep(&self, fresh: Fresh, name: &str) -> Result<PathBuf, CompileError> {
        let path = self.path(name);
        let kept = fs::rename(fresh.path(), &path).and_then(|()| File::open(&self.0)?.sync_all());
        kept.map_err(|source| CompileError::Io { path: path.clone(), source })?;
        self.prune(&path);
        Ok(path)
    }

    /// Removes what hosts left that were killed, and what was not used for longest. Code that is mapped stays mapped.
    fn prune(&self, keep: &Path) {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let meta = entry.metadata().ok()?;
                Some((meta.modified().ok()?, meta.len(), entry.path()))
            })
            .collect();
        files.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
        let mut kept = 0;
        for (modified, size, path) in files {
            kept += size;
            let is_temporary = path.extension().is_some_and(|extension| extension == "tmp");
            let is_old = modified.elapsed().is_ok_and(|age| age > ABANDONED);
            if path != keep && (if is_temporary { is_old } else { kept > MOST_KEPT }) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Whether the folder is ours alone, if it is there.
pub(super) fn check_folder(folder: &Path) -> Result<(), CompileError> {
    let meta = match fs::symlink_metadata(folder) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(CompileError::Io { path: folder.to_owned(), source }),
    };
    let wrong = |reason: &str| Err(CompileError::Folder { path: folder.to_owned(), reason: reason.to_owned() });
    if !meta.is_dir() {
        return wrong("is not a folder");
    }
    if !is_ours(&meta) {
        return wrong("belongs to another user; compiled code is only kept in a folder of our own");
    }
    if meta.mode() & 0o077 != 0 {
        return wrong("is open to other users; `chmod 700` it");
    }
    Ok(())
}

fn is_ours(meta: &Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw()
}

/// Writes code with its seal, and syncs it.
pub(super) fn write(path: &Path, name: &str, code: &[u8]) -> io::Result<()> {
    if code.len() > MOST_CODE {
        return Err(io::Error::other(format!("{} bytes of compiled code are more than is kept", code.len())));
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(code)?;
    file.write_all(&Sha256::new().chain_update(name).chain_update(code).finalize())?;
    file.sync_all()
}

/// Whether this is a file that [`write`] has written under this name, untouched since.
fn check(path: &Path, name: &str) -> io::Result<()> {
    let bad = |reason: &str| Err(io::Error::other(reason.to_owned()));
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() || !is_ours(&meta) || meta.mode() & 0o077 != 0 {
        return bad("it is not a file of this user alone");
    }
    let Some(length) = meta.len().checked_sub(SEAL as u64).filter(|length| *length <= MOST_CODE as u64) else {
        return bad("it is too short or too long");
    };
    let mut file = File::open(path)?;
    let mut hash = Sha256::new().chain_update(name);
    let mut code = (&mut file).take(length);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match code.read(&mut buffer)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let mut seal = [0; SEAL];
    file.read_exact(&mut seal)?;
    if hash.finalize().as_slice() != seal {
        return bad("its seal does not fit: it was changed or cut off");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_whole_files_of_our_own_under_their_own_name_are_used() {
        let folder = tempfile::tempdir().unwrap();
        let code_cache = CodeCache::open(&folder.path().join("deep/code_cache")).unwrap();
        let make = |name: &str| {
            let fresh = code_cache.temporary(name);
            write(fresh.path(), name, b"code").unwrap();
            code_cache.keep(fresh, name).unwrap()
        };
        type Harm<'a> = &'a dyn Fn(&Path);
        let harm: [(&str, Harm<'_>); 5] = [
            ("changed", &|path| fs::write(path, [&b"c0de"[..], &fs::read(path).unwrap()[4..]].concat()).unwrap()),
            ("cut", &|path| File::options().write(true).open(path).unwrap().set_len(20).unwrap()),
            ("another's", &|path| fs::write(path, fs::read(make("other")).unwrap()).unwrap()),
            ("open to others", &|path| fs::set_permissions(path, fs::Permissions::from_mode(0o620)).unwrap()),
            ("a link", &|path| {
                fs::rename(path, path.with_extension("elsewhere")).unwrap();
                std::os::unix::fs::symlink(path.with_extension("elsewhere"), path).unwrap();
            }),
        ];
        for (what, harm) in harm {
            let path = make("mine");
            assert_eq!(code_cache.find("mine"), Some(path.clone()));
            harm(&path);
            assert_eq!(code_cache.find("mine"), None, "{what}");
            assert!(fs::symlink_metadata(&path).is_err(), "{what}: it is removed");
        }
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let refused = CodeCache::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("is open to other users"), "{refused}");
    }

    #[test]
    fn nothing_half_written_is_ever_found_and_what_is_given_up_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let code_cache = CodeCache::open(&folder.path().join("code_cache")).unwrap();
        let fresh = code_cache.temporary("half");
        write(fresh.path(), "half", b"code").unwrap();
        assert_eq!(code_cache.find("half"), None);
        let path = fresh.path().to_owned();
        drop(fresh);
        assert!(!path.exists());
    }
}
