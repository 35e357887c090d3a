//! Into a folder under the user's cache, once. What is there counts only if it is what would be written; a whole folder comes there by one
//! rename, so that nobody sees half of it.

use super::carried::Sdk;
use anyhow::{Context, anyhow};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Beside the SDK's files, and none of them.
const COMMAND: &str = "weft";

/// `$XDG_CACHE_HOME/weft/sdk`, or that in `~/.cache`.
pub(super) fn cache() -> anyhow::Result<PathBuf> {
    of(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
}

fn of(cache: Option<OsString>, home: Option<OsString>) -> anyhow::Result<PathBuf> {
    // A path that is not absolute counts for nothing, says the specification.
    let whole = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let cache = cache.and_then(whole).or_else(|| Some(home.and_then(whole)?.join(".cache")));
    let cache = cache.ok_or_else(|| {
        anyhow!(
            "there is no place for the SDK: neither XDG_CACHE_HOME nor HOME names a folder; set XDG_CACHE_HOME to one"
        )
    })?;
    Ok(cache.join("weft/sdk"))
}

/// The SDK's folder, which is whole when this returns.
pub(super) fn unpack(cache: &Path, sdk: &Sdk) -> anyhow::Result<PathBuf> {
    let folder = cache.join(&sdk.name);
    if is_whole(&folder, sdk) {
        return Ok(folder);
    }
    make(cache, &folder, sdk).with_context(|| {
        format!(
            "{} can't be written, where the SDK is to be unpacked: make it writable, or set XDG_CACHE_HOME to a folder that is",
            cache.display()
        )
    })?;
    Ok(folder)
}

/// Leads `weft` in an SDK's folder to this program, which makes clients for the build scripts of plugins.
pub(super) fn name_command(folder: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("the place of this program is not known")?;
    let link = folder.join(COMMAND);
    if fs::read_link(&link).is_ok_and(|target| target == program) {
        return Ok(());
    }
    let temporary = folder.with_file_name(format!(".{COMMAND}-{}", std::process::id()));
    let linked = symlink(&program, &temporary).and_then(|()| fs::rename(&temporary, &link));
    linked.with_context(|| format!("{} can't be written", link.display()))
}

fn make(cache: &Path, folder: &Path, sdk: &Sdk) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    // One at a time. Where files can't be locked, the last one wins, and each is whole.
    let lock = fs::File::create(cache.join(".lock"))?;
    let _held = lock.lock();
    if is_whole(folder, sdk) {
        return Ok(());
    }
    let temporary = cache.join(format!(".{}-{}", sdk.name, std::process::id()));
    let made = write(&temporary, sdk).and_then(|()| {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::rename(&temporary, folder)
    });
    if made.is_err() {
        // What can't be cleared away either is in nobody's way.
        let _ = fs::remove_dir_all(&temporary);
        if is_whole(folder, sdk) {
            return Ok(());
        }
    }
    made
}

fn write(folder: &Path, sdk: &Sdk) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for (path, text) in &sdk.files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(file, text.as_bytes())?;
    }
    Ok(())
}

/// Whether it has these files with this content, and no other: cargo runs a `build.rs` wherever it finds one.
fn is_whole(folder: &Path, sdk: &Sdk) -> bool {
    let is_same = |path: &str, text: &str| fs::read(folder.join(path)).is_ok_and(|there| there == text.as_bytes());
    sdk.files.iter().all(|(path, text)| is_same(path, text)) && count(folder).is_ok_and(|n| n == sdk.files.len())
}

fn count(folder: &Path) -> io::Result<usize> {
    fs::read_dir(folder)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let kind = entry.file_type()?;
        let more = match kind {
            kind if kind.is_dir() => count(&entry.path())?,
            kind if kind.is_symlink() && entry.file_name() == COMMAND => 0,
            _ => 1,
        };
        Ok(sum + more)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sdk::carried::sdk;

    #[test]
    fn what_is_broken_is_made_anew() {
        let cache = tempfile::tempdir().unwrap();
        let sdk = sdk();
        let folder = unpack(cache.path(), &sdk).unwrap();
        assert_eq!(folder, cache.path().join(&sdk.name));
        let made = || fs::metadata(folder.join("rust/src/lib.rs")).unwrap().modified().unwrap();
        let first = made();
        assert_eq!(unpack(cache.path(), &sdk).unwrap(), folder);
        assert_eq!(made(), first, "what is whole is left alone");

        let breaks: [&dyn Fn(); 4] = [
            &|| fs::write(folder.join("rust/src/lib.rs"), "mine").unwrap(),
            &|| fs::remove_file(folder.join("rust/build/src/lib.rs")).unwrap(),
            &|| fs::write(folder.join("rust/build.rs"), "fn main() {}").unwrap(),
            &|| {
                fs::remove_dir_all(&folder).unwrap();
                fs::create_dir(&folder).unwrap();
            },
        ];
        for (at, harm) in breaks.iter().enumerate() {
            harm();
            assert!(!is_whole(&folder, &sdk), "{at}");
            unpack(cache.path(), &sdk).unwrap();
            assert!(is_whole(&folder, &sdk), "{at}");
        }
        let left: Vec<_> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the SDK and the lock: {left:?}");
    }

    #[test]
    fn many_at_once_make_one() {
        let cache = tempfile::tempdir().unwrap();
        let sdk = sdk();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(is_whole(&unpack(cache.path(), &sdk).unwrap(), &sdk)));
            }
        });
    }

    #[test]
    fn a_place_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = file.path().join("weft/sdk");
        let told = format!("{:#}", unpack(&cache, &sdk()).unwrap_err());
        assert!(told.contains(&format!("{} can't be written", cache.display())), "{told}");
        assert!(told.contains("set XDG_CACHE_HOME"), "{told}");

        let of = |cache: Option<&str>, home: Option<&str>| of(cache.map(Into::into), home.map(Into::into));
        assert_eq!(of(Some("/c"), Some("/h")).unwrap(), Path::new("/c/weft/sdk"));
        assert_eq!(of(Some("c"), Some("/h")).unwrap(), Path::new("/h/.cache/weft/sdk"));
        assert!(of(None, None).unwrap_err().to_string().contains("neither XDG_CACHE_HOME nor HOME"));
    }
}
