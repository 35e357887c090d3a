//! The JSON files of a folder.

use crate::settings::{self, Mistake, Mistakes};
use serde_json::{Map, Value};
use std::{fs, path::Path};

/// Bytes of one file.
const LARGEST: u64 = 8 << 20;
/// Files of one folder.
const MOST: usize = 2_000;

/// All of them, by their names. A folder that is not there has none.
pub(super) fn read(folder: &Path, mistakes: &Mistakes) -> Map<String, Value> {
    let mut files = Map::new();
    if !folder.exists() {
        return files;
    }
    let wrong = |file: &Path, line: usize, message: String| {
        mistakes.add(Mistake { file: file.display().to_string().into(), line, key: String::new(), message });
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            wrong(folder, 0, format!("can't be read: {error}"));
            return files;
        }
    };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        if files.len() >= MOST {
            wrong(folder, 0, format!("has more than {MOST} files"));
            break;
        }
        match text(&path) {
            Ok(text) => match serde_json::from_str(&text) {
                Ok(value) => drop(files.insert(name, value)),
                Err(error) => wrong(&path, error.line(), format!("is no JSON: {error}")),
            },
            Err(mistake) => mistakes.add(mistake),
        }
    }
    files
}

fn text(path: &Path) -> Result<String, Mistake> {
    let size = fs::metadata(path).map_or(0, |about| about.len());
    if size > LARGEST {
        let message = format!("has {size} bytes, and may have {LARGEST}");
        return Err(Mistake { file: path.display().to_string().into(), line: 0, key: String::new(), message });
    }
    settings::text(path)
}
