//! The SDKs that this command carries: where they are unpacked, and how a plugin finds its own.
//!
//! A plugin's Cargo.toml or package.json names `.weft/sdk`, a link at the root of its workspace that is not committed. Whichever `weft` builds the plugin
//! leads it to its own SDK, so that what is committed is the same on every machine, and SDK and host always fit.

mod carried;
mod unpack;

use super::{Result, language::Language, print};
use crate::settings::{Document, Mistakes};
use anyhow::{Context, bail};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The folder beside the root's `Cargo.toml`, and what cargo must not take for a member.
pub(super) const FOLDER: &str = ".weft";
/// In it.
const LINK: &str = "sdk";

/// Put the SDK of this program where a plugin looks for it, and print where it lies
///
/// `weft new` and `weft build` do it as well: needed once after a fresh clone, before cargo, npm or Python is called by hand. For a plugin in
/// JavaScript or Python it also writes the typed clients for what plugin.toml grants, and for one in Python it makes `.venv`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's folder: the one with `plugin.toml`, and `Cargo.toml`, `package.json` or `pyproject.toml`
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let sdk = unpacked()?;
    let folder = &arguments.folder;
    let Some(file) =
        ["Cargo.toml", "package.json", "pyproject.toml"].into_iter().find(|file| folder.join(file).exists())
    else {
        let shown = folder.display();
        return Err(anyhow::anyhow!(
            "{shown} is no plugin's folder: it has no Cargo.toml, package.json or pyproject.toml"
        )
        .into());
    };
    match of(folder) {
        Some(root) => link(&root, &sdk)?,
        None => super::tell(&format!("the {file} there takes its SDK from elsewhere: nothing was linked")),
    }
    Language::of(folder).prepare(folder)?;
    print(&sdk.display().to_string());
    Ok(())
}

/// Where the SDK of this program lies, unpacked.
pub(super) fn unpacked() -> anyhow::Result<PathBuf> {
    let folder = unpack::unpack(&unpack::cache()?, &carried::sdk())?;
    unpack::name_command(&folder)?;
    Ok(folder)
}

/// Another folder of this program under the user's cache.
pub(super) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(unpack::cache()?.with_file_name(name))
}

/// What `version` in a plugin's Cargo.toml names, from a registry.
pub(super) fn version() -> &'static str {
    carried::VERSION
}

/// The same with the digest of the SDK, as its crates have it where they are unpacked.
pub(super) fn whole_version() -> String {
    let (version, sdk) = (carried::VERSION, carried::sdk());
    let digest = sdk.name.trim_start_matches(version).trim_start_matches('-');
    format!("{version}+{digest}")
}

/// Whether a part of the SDK with this version belongs to this program. The repository's own has no digest: it is built together with it.
pub(super) fn is_of_this_program(version: &str) -> bool {
    version == carried::VERSION || version == whole_version()
}

/// How a plugin's Cargo.toml names a part of it, seen from so many folders below the root.
pub(super) fn dependency(depth: usize, part: &str) -> String {
    // Clients are made by the command: compiled into the build script, that would be half of a plugin's first build.
    let more = if part == "/build" { ", default-features = false" } else { "" };
    format!("{{ path = \"{}{FOLDER}/{LINK}/rust{part}\"{more} }}", "../".repeat(depth))
}

/// The folder with `.weft`, where the plugin in this folder takes its SDK from it.
pub(super) fn of(folder: &Path) -> Option<PathBuf> {
    let file = folder.join("Cargo.toml");
    let Ok(text) = fs::read_to_string(&file) else { return of_package(folder) };
    // What is wrong with it is cargo's to say.
    let mistakes = Mistakes::new();
    let document = Document::parse(&file, &text, &mistakes);
    let path: Option<String> = document.table(&mistakes).table("dependencies").table("weft-sdk").optional("path");
    let root = path?.strip_suffix(&format!("{FOLDER}/{LINK}/rust"))?.to_owned();
    Some(folder.join(root))
}

/// The same of one in JavaScript or Python.
fn of_package(folder: &Path) -> Option<PathBuf> {
    let Ok(package) = fs::read(folder.join("package.json")) else {
        // One in Python has it there, always.
        return folder.join("pyproject.toml").exists().then(|| folder.to_owned());
    };
    let package: Value = serde_json::from_slice(&package).ok()?;
    let of = |kind: &str| package.get(kind)?.get("weft-sdk")?.as_str().map(str::to_owned);
    let path = of("dependencies").or_else(|| of("devDependencies"))?;
    let root = path.strip_prefix("file:")?.strip_suffix(&format!("{FOLDER}/{LINK}/js"))?;
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
