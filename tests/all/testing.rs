//! `weft test`: what it catches, what it lets pass, and how it says so.

mod cases;
mod growth;
mod recording;

use crate::support::weft;
use bytes::Bytes;
use serde_json::Value;
use std::{fs, path::Path, process::Command};
use tempfile::TempDir;
use weft_tests::{artifacts, process::Ended, repository, target};

const GROWN: &str = "tests/guests/grown";

/// The plugin with mistakes.
fn grown() -> Bytes {
    artifacts::built(weft(), GROWN)
}

/// A plugin's folder without code: the manifest of the guest with mistakes, and the artifact that was built of it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self::with(&grown())
    }

    fn with(artifact: &Bytes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.wasm"), artifact).unwrap();
        fs::copy(repository().join(GROWN).join("plugin.toml"), folder.path().join("plugin.toml")).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, file: &str, text: &str) -> &Self {
        fs::create_dir_all(self.path().join(file).parent().unwrap()).unwrap();
        fs::write(self.path().join(file), text).unwrap();
        self
    }

    fn write_bytes(&self, file: &str, bytes: &Bytes) {
        fs::write(self.path().join(file), bytes).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap()
    }

    /// `weft test` in this folder.
    fn test(&self, arguments: &[&str]) -> Ended {
        self.weft(&[&["test", "--artifact", "plugin.wasm"], arguments].concat())
    }

    fn weft(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(weft());
        // Compiled code is kept there for the next one.
        command.args(arguments).current_dir(self.path()).env("XDG_CACHE_HOME", target().join("testing"));
        command
    }

    /// What was found, as JSON.
    fn found(&self, arguments: &[&str]) -> Value {
        let ended = self.test(&[&["--json"], arguments].concat());
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }
}

#[track_caller]
fn assert_ended(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, code, "{}\n{}", ended.out, ended.err);
    for text in texts {
        assert!(ended.out.contains(text) || ended.err.contains(text), "no {text:?} in\n{}\n{}", ended.out, ended.err);
    }
}

/// The verdict on an endpoint or a case, with all that was said.
#[track_caller]
fn verdict(found: &Value, kind: &str, name: &str) -> (String, String) {
    let checks = found["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["kind"] == kind && check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {kind} {name} in {found:#}"));
    let reasons = check["reasons"].as_array().unwrap().iter().filter_map(Value::as_str);
    let said = reasons.chain(check["note"].as_str()).collect::<Vec<_>>().join("\n");
    (check["verdict"].as_str().unwrap().to_owned(), said)
}
