//! A plugin author's desk: a folder outside this repository, and the commands as they would type them.

use crate::{
    process::{Ended, ended},
    repository, target,
};
use std::{
    ffi::OsStr,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// One at a time: what they compile is kept for the next one, and the next run.
#[derive(Debug)]
pub struct Author {
    weft: PathBuf,
    /// Empty at first, and always in the same place: cargo takes a crate in another folder for another crate.
    pub folder: PathBuf,
    _alone: File,
}

impl Author {
    /// Waits for its turn.
    pub fn new(weft: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        target().hash(&mut hasher);
        let folder = std::env::temp_dir().join(format!("weft-author-{:016x}", hasher.finish()));
        fs::create_dir_all(target()).unwrap();
        let alone = File::create(target().join("author.lock")).unwrap();
        alone.lock().unwrap();
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir(&folder).unwrap();
        Self { weft: weft.to_owned(), folder, _alone: alone }
    }

    /// Where cargo and `weft build` put what they make.
    pub fn target(&self) -> PathBuf {
        target().join("author")
    }

    /// What is the user's cache for the commands of this desk.
    pub fn cache(&self) -> PathBuf {
        self.target().join("cache")
    }

    /// `weft`, typed in a folder of the desk.
    pub async fn weft(&self, folder: &str, arguments: &[&str]) -> Ended {
        self.run(self.weft.as_os_str(), folder, arguments).await
    }

    /// `cargo`, typed in a folder of the desk.
    pub async fn cargo(&self, folder: &str, arguments: &[&str]) -> Ended {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        self.run(&cargo, folder, arguments).await
    }

    /// Lines of a shell, typed in a folder of the desk; `weft` is the one under test. The first that fails is the last.
    pub async fn shell(&self, folder: &str, lines: &str) -> Ended {
        let programs = self.target().join("bin");
        fs::create_dir_all(&programs).unwrap();
        let _ = fs::remove_file(programs.join("weft"));
        std::os::unix::fs::symlink(&self.weft, programs.join("weft")).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let lines = format!("set -eu\nexport PATH='{}':'{path}'\n{lines}", programs.display());
        self.run(OsStr::new("sh"), folder, &["-c", &lines]).await
    }

    async fn run(&self, program: &OsStr, folder: &str, arguments: &[&str]) -> Ended {
        ended(self.command(program, folder).args(arguments)).await
    }

    /// A program that will run in a folder of the desk, as all do.
    pub fn command(&self, program: impl AsRef<OsStr>, folder: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.join(folder)).env("CARGO_TARGET_DIR", self.target());
        // Nobody will debug it, and it would take half a gigabyte.
        command.env("CARGO_PROFILE_DEV_DEBUG", "none");
        // The SDK is unpacked there, and stays in its place for the next run.
        command.env("XDG_CACHE_HOME", self.cache()).kill_on_drop(true);
        command
    }

    /// `weft new`, with the versions of all dependencies that this repository has: nothing new is fetched, or compiled anew because
    /// something was published since.
    pub async fn begin(&self, name: &str, more: &[&str]) -> Ended {
        let ended = self.weft("", &[&["new", name], more].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        self.lock(name);
        ended
    }

    /// See [`Author::begin`].
    pub fn lock(&self, name: &str) {
        fs::copy(repository().join("Cargo.lock"), self.folder.join(name).join("Cargo.lock")).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), text).unwrap();
    }
}
