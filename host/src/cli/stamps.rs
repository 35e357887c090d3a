//! The state of files, by which a watcher knows that something was saved: whatever the file system, and without notices of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Files of all folders that are looked at.
const MOST_FILES: usize = 20_000;

/// What tells one state of files from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<PathBuf, (SystemTime, u64)>);

impl Stamps {
    /// Of these files, and of all that is in these folders but what editors leave there for a while.
    pub(super) fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut open: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let mut stamps = BTreeMap::new();
        while let Some(path) = open.pop() {
            let Ok(meta) = fs::metadata(&path) else { continue };
            if meta.is_dir() {
                let inside = fs::read_dir(&path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
                open.extend(inside.filter(|path| !is_an_editors(path)));
                continue;
            }
            stamps.insert(path, (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len()));
            if stamps.len() >= MOST_FILES {
                break;
            }
        }
        Self(stamps)
    }

    /// The file that was saved last of those that differ.
    pub(super) fn changed_since(&self, before: &Self) -> String {
        self.newest_since(before).map_or_else(|| "a change was".to_owned(), |(path, _)| path.display().to_string())
    }

    /// When that was.
    pub(super) fn saved_since(&self, before: &Self) -> Option<SystemTime> {
        self.newest_since(before).map(|(_, at)| at)
    }

    fn newest_since(&self, before: &Self) -> Option<(&Path, SystemTime)> {
        let differ = self.0.iter().filter(|(path, stamp)| before.0.get(*path) != Some(stamp));
        differ.max_by_key(|(_, stamp)| stamp.0).map(|(path, stamp)| (path.as_path(), stamp.0))
    }
}

fn is_an_editors(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.to_string_lossy();
        name.starts_with('.') || name.ends_with('~') || name == "__pycache__"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_made_and_removed_is_seen_and_what_editors_leave_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::create_dir(file("src")).unwrap();
        fs::write(file("src/lib.rs"), "a").unwrap();
        let now = || Stamps::of([folder.path()]);
        let first = now();
        for (name, is_seen) in [("src/.lib.rs.swp", false), ("src/lib.rs~", false), ("src/other.rs", true)] {
            let before = now();
            fs::write(file(name), "").unwrap();
            assert_eq!(now() != before, is_seen, "{name}");
        }
        assert_eq!(now().changed_since(&first), file("src/other.rs").display().to_string());
        assert!(now().saved_since(&first).is_some());
        fs::remove_file(file("src/other.rs")).unwrap();
        assert_eq!(now(), first);
        fs::write(file("src/lib.rs"), "longer").unwrap();
        assert_ne!(now(), first);
    }
}
