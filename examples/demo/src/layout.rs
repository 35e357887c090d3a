//! Where things lie: the repository, what cargo makes, the configuration.

use anyhow::{Context, bail};
use std::{
    env, fs,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// Where things lie.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, in which this program lies too.
    target: PathBuf,
}

impl Layout {
    pub(crate) fn find() -> anyhow::Result<Self> {
        let folder = demo::folder();
        let root = folder.ancestors().nth(2).unwrap_or(&folder).to_owned();
        if !root.join("examples/weft.toml").exists() {
            bail!("{} is no Weft repository any more; run `cargo demo` inside of one", root.display());
        }
        let program = env::current_exe().context("the demo's own program can't be found")?;
        // TARGET/debug/demo
        let target = program.ancestors().nth(2).map_or_else(|| root.join("target"), Path::to_owned);
        Ok(Self { root, target })
    }

    /// One of the workspace's programs, as built beside this one.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// Whether the sandbox, most of the work, was compiled before.
    pub(crate) fn has_sandbox(&self) -> bool {
        let mut compiled = fs::read_dir(self.target.join("debug/deps")).into_iter().flatten().flatten();
        compiled.any(|file| file.file_name().to_string_lossy().starts_with("libwasmtime-"))
    }

    /// Where the host looks for artifacts.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.root.join("target/weft")
    }

    /// Whether `weft build` has to be told to put artifacts there.
    pub(crate) fn has_other_target(&self) -> bool {
        self.target != self.root.join("target")
    }

    /// For what the demo itself makes.
    pub(crate) fn own(&self) -> PathBuf {
        self.root.join("target/demo")
    }

    /// Where the token for the hosts' admin side lies. It is made once, and only its maker can read it.
    pub(crate) fn admin_token(&self) -> anyhow::Result<PathBuf> {
        let file = self.own().join("admin-token");
        if fs::read(&file).is_ok_and(|token| !token.is_empty()) {
            return Ok(file);
        }
        let made = || {
            fs::create_dir_all(self.own())?;
            let mut random = [0; 32];
            fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
            let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(&file)?.write_all(token.as_bytes())
        };
        made().with_context(|| format!("{} can't be written", file.display()))?;
        Ok(file)
    }

    /// All folders of `plugins/` that hold a plugin in Rust: the demo needs no other language's tools.
    pub(crate) fn plugins(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.root.join("plugins");
        let entries = fs::read_dir(&folder).with_context(|| format!("{} can't be read", folder.display()))?;
        let folders = entries.flatten().map(|entry| entry.path());
        let mut plugins: Vec<_> = folders
            .filter(|folder| ["plugin.toml", "Cargo.toml"].iter().all(|file| folder.join(file).exists()))
            .collect();
        plugins.sort();
        Ok(plugins)
    }

    /// The path as somebody in the repository's folder would type it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// A command that runs in the repository's folder.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root);
        command
    }
}
