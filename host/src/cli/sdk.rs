//! The Rust SDK that this command carries: where it is unpacked, and how a plugin finds it.
//!
//! A plugin's Cargo.toml names `.weft/sdk`, a link at the root of its workspace that is not committed. Whichever `weft` builds the plugin
//! leads it to its own SDK, so that what is committed is the same on every machine, and SDK and host always fit.

mod carried;
mod unpack;

use super::{Result, print};
use crate::settings::{Document, Mistakes};
use anyhow::{Context, bail};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The folder beside the root's `Cargo.toml`, and what cargo must not take for a member.
pub(super) const FOLDER: &str = ".weft";
/// In it.
const LINK: &str = "sdk";

/// Put the Rust SDK of this program where a plugin's Cargo.toml looks for it, and print where it lies
///
/// `weft new` and `weft build` do it as well: needed once after a fresh clone, before cargo is called by hand.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's folder: the one with `plugin.toml` and `Cargo.toml`
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let sdk = unpacked()?;
    if !arguments.folder.join("Cargo.toml").exists() {
        return Err(
            anyhow::anyhow!("{} is no plugin's folder: it has no Cargo.toml", arguments.folder.display()).into()
        );
    }
    match of(&arguments.folder) {
        Some(root) => link(&root, &sdk)?,
        None => super::tell("the Cargo.toml there takes its SDK from elsewhere: nothing was linked"),
    }
    print(&sdk.display().to_string());
    Ok(())
}

/// Where the SDK of this program lies, unpacked.
pub(super) fn unpacked() -> anyhow::Result<PathBuf> {
    unpack::unpack(&unpack::cache()?, &carried::sdk())
}

/// Another folder of this program under the user's cache.
pub(super) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(unpack::cache()?.with_file_name(name))
}

/// What `version` in a plugin's Cargo.toml names, from a registry.
pub(super) fn version() -> &'static str {
    carried::VERSION
}

/// How a plugin's Cargo.toml names a part of it, seen from so many folders below the root.
pub(super) fn dependency(depth: usize, part: &str) -> String {
    format!("{{ path = \"{}{FOLDER}/{LINK}/rust{part}\" }}", "../".repeat(depth))
}

/// The folder with `.weft`, where the plugin in this folder takes its SDK from it.
pub(super) fn of(folder: &Path) -> Option<PathBuf> {
    let file = folder.join("Cargo.toml");
    let text = fs::read_to_string(&file).ok()?;
    // What is wrong with it is cargo's to say.
    let mistakes = Mistakes::new();
    let document = Document::parse(&file, &text, &mistakes);
    let path: Option<String> = document.table(&mistakes).table("dependencies").table("weft-sdk").optional("path");
    let root = path?.strip_suffix(&format!("{FOLDER}/{LINK}/rust"))?.to_owned();
    Some(folder.join(root))
}

/// Leads `.weft/sdk` in this folder to the SDK. Whoever reads it meanwhile sees the old one or the new one.
pub(super) fn link(root: &Path, sdk: &Path) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    let link = folder.join(LINK);
    if fs::read_link(&link).is_ok_and(|target| target == sdk) {
        return Ok(());
    }
    if fs::symlink_metadata(&link).is_ok_and(|there| !there.is_symlink()) {
        bail!("{} is not the link that `weft` makes: remove it, or name another SDK in Cargo.toml", link.display());
    }
    let temporary = folder.join(format!(".{LINK}-{}", std::process::id()));
    let ignore = folder.join(".gitignore");
    let linked = fs::create_dir_all(&folder)
        .and_then(|()| if ignore.exists() { Ok(()) } else { fs::write(&ignore, "*\n") })
        .and_then(|()| symlink(sdk, &temporary))
        .and_then(|()| fs::rename(&temporary, &link));
    linked.with_context(|| format!("{} can't be written", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_led_to_another_sdk_and_nothing_else_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let there = root.join(".weft/sdk");
        for sdk in ["/one", "/other", "/other"] {
            link(root, Path::new(sdk)).unwrap();
            assert_eq!(fs::read_link(&there).unwrap(), Path::new(sdk));
        }
        let names: Vec<_> = fs::read_dir(root.join(".weft")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        fs::remove_file(&there).unwrap();
        fs::create_dir(&there).unwrap();
        assert!(link(root, Path::new("/one")).unwrap_err().to_string().contains("is not the link that `weft` makes"));
    }

    #[test]
    fn who_takes_the_sdk_from_elsewhere_gets_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let of = |dependency: &str| {
            fs::write(folder.path().join("Cargo.toml"), format!("[dependencies]\nweft-sdk = {dependency}\n")).unwrap();
            of(folder.path())
        };
        assert_eq!(of(&dependency(0, "")), Some(folder.path().to_owned()));
        assert_eq!(of(&dependency(2, "")), Some(folder.path().join("../../")));
        for elsewhere in ["\"0.1.0\"", "{ path = \"../sdk/rust\" }", "{ git = \"https://a.example/weft\" }"] {
            assert_eq!(of(elsewhere), None, "{elsewhere}");
        }
    }
}
