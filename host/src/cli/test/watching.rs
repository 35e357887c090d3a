//! `weft test --watch`: again whenever a file is saved.

use super::{Arguments, once};
use crate::cli::{Failure, Result, print, scratch::Scratch, tell};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Folders that the plugin is made in, and not of.
const MADE: [&str; 4] = ["target", "node_modules", "snapshots", "__pycache__"];
/// Files that are looked at.
const MOST: usize = 20_000;

type Stamps = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Until it is interrupted.
pub(super) fn watch(arguments: &Arguments, scratch: &Scratch) -> Result {
    loop {
        let stamps = stamps(arguments);
        match once(arguments, scratch) {
            Ok(()) | Err(Failure::Told(_)) => {}
            Err(Failure::Failed(error)) => tell(&format!("error: {error:#}")),
            Err(Failure::Mistakes(mistakes)) => mistakes.iter().for_each(|mistake| tell(&format!("error: {mistake}"))),
            Err(usage) => return Err(usage),
        }
        print("\nwaiting for a file to be saved (Ctrl-C ends)\n");
        while self::stamps(arguments) == stamps {
            std::thread::sleep(LOOK);
        }
    }
}

fn stamps(arguments: &Arguments) -> Stamps {
    let mut stamps = Stamps::new();
    look(&arguments.folder, &mut stamps);
    arguments.config.iter().for_each(|config| note(config, &mut stamps));
    stamps
}

fn look(folder: &Path, stamps: &mut Stamps) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || MADE.contains(&&*name) || stamps.len() >= MOST {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => look(&path, stamps),
            _ => note(&path, stamps),
        }
    }
}

fn note(file: &Path, stamps: &mut Stamps) {
    if let Ok(meta) = fs::metadata(file) {
        stamps.insert(file.to_owned(), (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len()));
    }
}
