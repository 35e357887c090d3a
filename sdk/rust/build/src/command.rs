//! Has the `weft` command make the clients: it holds this crate whole, and compiling that takes longer than all the rest of a plugin.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::task::{Long, Task};

/// Names the command, where it is not the one that has unpacked this SDK. `weft build` sets it.
const VARIABLE: &str = "WEFT_COMMAND";
/// Of the SDK that this crate belongs to; with a digest where the command has unpacked it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes the clients, and returns what is odd about the protos.
pub(crate) fn make(task: &Task) -> Result<Vec<String>, Error> {
    let program = program();
    let mut command = Command::new(&program);
    command.args(arguments(task)).stdin(Stdio::null());
    let output = command.output().map_err(|error| {
        Error::new(format!(
            "clients are made by the command `weft`, and {} can't be run: {error}\nRun `weft sdk` in this folder, or set {VARIABLE} to the \
             command. Without it, weft-build makes them with its feature `generator` in Cargo.toml.",
            program.display()
        ))
    })?;
    if !output.status.success() {
        return Err(Error::new(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// In this order: what is said, what has unpacked this SDK, what was compiled to the place where the plugin is (in Weft's repository), what
/// the system finds. Where this crate was compiled tells nothing: plugins that share a target folder share it.
fn program() -> PathBuf {
    let path = |name: &str| env::var_os(name).filter(|said| !said.is_empty()).map(PathBuf::from);
    if let Some(said) = path(VARIABLE) {
        return said;
    }
    let plugin = path("CARGO_MANIFEST_DIR").unwrap_or_default();
    let sdk = plugin.ancestors().map(|folder| folder.join(".weft/sdk/weft"));
    // OUT_DIR: target/debug/build/NAME/out
    let out = path("OUT_DIR").unwrap_or_default();
    let beside = out.ancestors().nth(3).map(|place| place.join("weft"));
    sdk.chain(beside).find(|place| place.is_file()).unwrap_or_else(|| "weft".into())
}

/// What a command is compiled of that has no digest: the one of this repository.
pub(crate) fn source() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    (!VERSION.contains('+') && source.is_dir()).then_some(source)
}

fn arguments(task: &Task) -> Vec<OsString> {
    let mut all: Vec<OsString> = ["make-clients", "--sdk", VERSION].map(OsString::from).to_vec();
    let mut say = |option: &str, value: OsString| all.extend([option.into(), value]);
    say("--manifest", task.manifest.clone().into());
    say("--out", task.out.clone().into());
    task.folders.iter().for_each(|folder| say("--folder", folder.into()));
    task.bytes.iter().for_each(|path| say("--bytes", path.into()));
    task.messages.iter().for_each(|name| say("--message", name.into()));
    task.attributes.iter().for_each(|(path, attribute)| say("--attribute", format!("{path}={attribute}").into()));
    match task.data {
        Some(Long::Text) => say("--data", "text".into()),
        Some(Long::Number) => say("--data", "number".into()),
        None => {}
    }
    all
}
