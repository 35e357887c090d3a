//! A plugin's code: compiled by cargo, and asked what it is.

mod described;
mod kept;

pub(super) use described::Description;
pub(super) use kept::Kept;

use super::{runtime, tell};
use crate::{
    sandbox,
    settings::{Document, Mistakes},
};
use anyhow::{Context, anyhow, bail};
use described::Shelf;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const TARGET: &str = "wasm32-wasip2";

/// Plugins are small and run hot, and the names make a trap's backtrace readable. Cargo optimises no library across crates that is an rlib
/// too; where it is asked to, that only makes larger what the library depends on.
///
/// The describer is made under this profile too, and what is built while it is developed, so that all that a plugin depends on is compiled
/// once.
const PROFILE: [&str; 10] = [
    "--profile",
    "plugin",
    "--config",
    "profile.plugin.inherits=\"release\"",
    "--config",
    "profile.plugin.lto=false",
    "--config",
    "profile.plugin.codegen-units=1",
    "--config",
    "profile.plugin.strip=\"debuginfo\"",
];

/// What the plugin's own code is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    /// It runs hot. In parts, as many as a small machine has cores for: it is compiled in two thirds of the time, and 5 % larger.
    Run,
    /// It is compiled again in a second, in parts of which only those are compiled that have changed.
    Compile,
    /// It runs once.
    Once,
}

impl Speed {
    /// Settings for the package with this name; its own code alone, but for `incremental`, which all have whose code lies here.
    fn settings(self, name: &str) -> Vec<String> {
        let of = |setting: &str| format!("profile.plugin.package.\"{name}\".{setting}");
        match self {
            Self::Run => vec![of("codegen-units=4")],
            Self::Compile => {
                vec!["profile.plugin.incremental=true".to_owned(), of("opt-level=1"), of("codegen-units=16")]
            }
            Self::Once => vec![of("opt-level=0"), of("codegen-units=16")],
        }
    }
}

/// How a plugin is compiled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making<'a> {
    /// The plugin's.
    pub(super) folder: &'a Path,
    pub(super) speed: Speed,
    pub(super) voice: Voice<'a>,
}

/// Where goes what cargo says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Voice<'a> {
    /// To standard error.
    Loud,
    /// The same, without what goes well.
    Quiet,
    Kept(&'a Kept),
}

impl<'a> Making<'a> {
    pub(super) fn new(folder: &'a Path, is_quiet: bool) -> Self {
        Self { folder, speed: Speed::Run, voice: if is_quiet { Voice::Quiet } else { Voice::Loud } }
    }

    pub(super) fn is_quiet(&self) -> bool {
        !matches!(self.voice, Voice::Loud)
    }

    /// A line of the command itself.
    pub(super) fn say(&self, line: &str) {
        if matches!(self.voice, Voice::Loud) {
            tell(line);
        }
    }
}

/// What the code in this folder says of itself; compiled for that only where it may say something else than before.
pub(super) fn describe(making: &Making<'_>) -> anyhow::Result<Description> {
    let shelf = Shelf::of(making);
    if let Some(description) = shelf.as_ref().and_then(Shelf::find) {
        return Ok(description);
    }
    // The plugin's own crate alone is another one: nothing of what it depends on is compiled for it.
    let describer = compile(&Making { speed: Speed::Once, ..*making }, &["--cfg", "weft_describe"])?;
    let described = runtime()?
        .block_on(sandbox::describe(&describer))
        .map_err(|error| anyhow!("the plugin can't describe itself: {error}"))?;
    let description =
        serde_json::from_str(&described).context("the plugin's description can't be read; is its SDK too old?")?;
    shelf.iter().for_each(|shelf| shelf.keep(&describer, &description));
    Ok(description)
}

/// Held while a plugin is built: cargo puts describer and component at the same place, one after the other, and of two builds at once
/// one would read what the other has made. Where files can't be locked it is done without.
pub(super) fn turn(manifest: &Path) -> Option<fs::File> {
    let file = fs::File::open(manifest).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// The name of the package in this folder. What is wrong with its manifest is cargo's to say.
fn package(folder: &Path) -> Option<String> {
    let (file, mistakes) = (folder.join("Cargo.toml"), Mistakes::new());
    let text = fs::read_to_string(&file).unwrap_or_default();
    let name: String =
        Document::parse(&file, &text, &mistakes).table(&mistakes).table("package").or("name", String::new());
    (!name.is_empty()).then_some(name)
}

/// In the plugin's folder, where a `rust-toolchain.toml` may choose another compiler than elsewhere.
pub(super) fn add_target(folder: &Path) -> anyhow::Result<()> {
    const RUSTUP: &str = "install Rust by rustup (https://rustup.rs)";
    let listed =
        Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).output();
    let listed = listed.with_context(|| format!("rustc can't be run: {RUSTUP}"))?;
    if listed.status.success() && Path::new(String::from_utf8_lossy(&listed.stdout).trim()).exists() {
        return Ok(());
    }
    tell(&format!("adding the Rust target {TARGET}"));
    let mut rustup = Command::new("rustup");
    let added = rustup.args(["target", "add", TARGET]).current_dir(folder).stdout(Stdio::null()).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => bail!("the Rust target {TARGET} is missing and could not be added: run `rustup target add {TARGET}`"),
        Err(_) => bail!(
            "the Rust target {TARGET} is missing, and there is no rustup to add it: {RUSTUP}, then run `rustup target add {TARGET}`"
        ),
    }
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    // Build scripts have their clients made by this program.
    if let Ok(program) = std::env::current_exe() {
        command.env("WEFT_COMMAND", program);
    }
    command
}

/// Compiles the plugin's library for wasm and returns the component's path. The compiler is told so much more for the
/// plugin's own crate.
pub(super) fn compile(making: &Making<'_>, compiler: &[&str]) -> anyhow::Result<PathBuf> {
    let mut command = cargo(making.folder);
    let settings = package(making.folder).map(|name| making.speed.settings(&name)).unwrap_or_default();
    let format = match making.voice {
        Voice::Kept(kept) => kept.format(),
        Voice::Loud | Voice::Quiet => "json-render-diagnostics",
    };
    command
        .args(["rustc", "--lib", "--target", TARGET, "--message-format", format])
        .args(PROFILE)
        .args(settings.iter().flat_map(|setting| ["--config", setting]))
        .args(matches!(making.voice, Voice::Quiet).then_some("--quiet"))
        .arg("--")
        .args(compiler)
        // Gives the file in cargo's cache a name of its own for each set of settings: else describer and component take each other's
        // place there, and both are linked again each time. Without it (it is cargo's own affair) only time is lost.
        .env("__CARGO_DEFAULT_LIB_METADATA", "weft");
    let (status, out) = match making.voice {
        Voice::Kept(kept) => kept.run(&mut command)?,
        Voice::Loud | Voice::Quiet => {
            let child = command.stdout(Stdio::piped()).spawn().context("cargo can't be run; is Rust installed?")?;
            let output = child.wait_with_output()?;
            (output.status, output.stdout)
        }
    };
    if !status.success() {
        bail!("the plugin does not compile{}", if matches!(making.voice, Voice::Kept(_)) { "" } else { "; see above" });
    }
    let own = fs::canonicalize(making.folder.join("Cargo.toml")).context("the plugin's folder has no Cargo.toml")?;
    let messages = String::from_utf8_lossy(&out);
    let mut files = messages.lines().rev().filter_map(|line| component_of(line, &own));
    files.next().ok_or_else(|| anyhow!("the plugin's crate makes no component: set crate-type = [\"cdylib\", \"rlib\"] under [lib] in its Cargo.toml"))
}

/// The `.wasm` file, if this line of cargo's output tells of the plugin's own library.
fn component_of(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = message.get("manifest_path")?.as_str()?;
    if message.get("reason")? != "compiler-artifact" || fs::canonicalize(path).ok()? != manifest {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// The files that something was made of, as cargo writes it down beside it: those behind the colon. Blanks in names have a backslash before them.
pub(super) fn inputs(text: &str) -> Vec<PathBuf> {
    let Some((_, list)) = text.lines().find_map(|line| line.split_once(": ")) else { return Vec::new() };
    let (mut paths, mut path) = (Vec::new(), String::new());
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&' ') => path.extend(letters.next()),
            ' ' => paths.push(std::mem::take(&mut path)),
            letter => path.push(letter),
        }
    }
    paths.push(path);
    paths.into_iter().filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_has_written_down_is_read_with_blanks_in_names() {
        let text = "/t/a b.wasm: /p/src/lib.rs /p/my\\ protos/a.proto /p/build.rs\n";
        assert_eq!(inputs("x.wasm: /a\n"), [PathBuf::from("/a")]);
        let wanted = ["/p/src/lib.rs", "/p/my protos/a.proto", "/p/build.rs"].map(PathBuf::from);
        assert_eq!(inputs(text), wanted);
        assert_eq!(inputs(""), Vec::<PathBuf>::new());
    }
}
