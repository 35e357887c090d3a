//! Where a new plugin takes its SDK from, and how its files name folders so that they mean the same on another machine.

use crate::cli::sdk;
use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// This program.
    Carried,
    /// crates.io, in this program's version.
    Crates,
    /// The folder of the crate `weft-sdk`.
    Folder(PathBuf),
    /// The URL of a repository.
    Git(String),
}

impl Origin {
    /// What `--sdk` says, for the plugin in this folder.
    pub(super) fn read(said: Option<&str>, plugin: &Path) -> Result<Self, String> {
        let said = match said {
            None => return Ok(Self::Carried),
            Some("crates") => return Ok(Self::Crates),
            Some(said) => said,
        };
        if said.contains("://") {
            return Ok(Self::Git(said.to_owned()));
        }
        if !Path::new(said).exists() && said.contains('@') && said.contains(':') {
            return Err(format!("`--sdk {said}`: cargo takes URLs, such as ssh://{}", said.replacen(':', "/", 1)));
        }
        // A repository of Weft, what `weft sdk` prints, or the crate itself.
        let parts = ["sdk/rust", "rust", ""].map(|part| Path::new(said).join(part));
        let found =
            parts.iter().find(|part| part.join("build/Cargo.toml").exists() && part.join("Cargo.toml").exists());
        let Some(found) = found else {
            return Err(format!("`--sdk {said}`: there is no SDK, no folder with the crates weft-sdk and weft-build"));
        };
        seen_from(plugin, found).map(Self::Folder).map_err(|error| format!("`--sdk {said}`: {error:#}"))
    }

    /// How Cargo.toml names a part of the SDK: "" or "/build". The plugin lies so many folders below the root of its workspace.
    pub(super) fn dependency(&self, depth: usize, part: &str) -> String {
        match self {
            Self::Carried => sdk::dependency(depth, part),
            Self::Crates => format!("{:?}", sdk::version()),
            Self::Folder(folder) => format!("{{ path = \"{}{part}\" }}", folder.display()),
            Self::Git(url) => format!("{{ git = {url:?} }}"),
        }
    }

    /// What is to be known of it, in the Cargo.toml.
    pub(super) fn comment(&self) -> &'static str {
        match self {
            Self::Carried => {
                "# The SDK is the one of the `weft` that builds the plugin. It links it there; where nothing was built yet, `weft sdk` does.\n"
            }
            _ => "",
        }
    }
}

/// A folder as the plugin in another one names it: relative where it was given so, since then both move together.
pub(super) fn seen_from(plugin: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let whole = fs::canonicalize(folder).with_context(|| format!("{} can't be found", folder.display()))?;
    if folder.is_absolute() {
        return Ok(whole);
    }
    let shared = plugin.iter().zip(&whole).take_while(|(one, other)| one == other).count();
    let up = plugin.iter().skip(shared).map(|_| Path::new(".."));
    Ok(up.chain(whole.iter().skip(shared).map(Path::new)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_where_it_is_said_to_be() {
        let plugin = Path::new("/somewhere/greeter");
        let read = |said: &str| Origin::read(Some(said), plugin);
        assert_eq!(Origin::read(None, plugin), Ok(Origin::Carried));
        assert_eq!(read("crates").unwrap().dependency(0, "/build"), format!("{:?}", env!("CARGO_PKG_VERSION")));
        let url = "https://git.example/weft";
        assert_eq!(read(url).unwrap().dependency(0, ""), "{ git = \"https://git.example/weft\" }");
        assert!(read("git@git.example:team/weft").unwrap_err().contains("ssh://git@git.example/team/weft"));
        assert!(read("/nowhere").unwrap_err().contains("there is no SDK"));

        let folder = tempfile::tempdir().unwrap();
        let crates = folder.path().join("sdk/rust/build");
        fs::create_dir_all(&crates).unwrap();
        fs::write(crates.join("Cargo.toml"), "").unwrap();
        fs::write(crates.join("../Cargo.toml"), "").unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let path = format!("{{ path = \"{}/sdk/rust/build\" }}", root.display());
        for said in ["", "sdk", "sdk/rust"] {
            assert_eq!(read(root.join(said).to_str().unwrap()).unwrap().dependency(0, "/build"), path, "{said}");
        }
    }

    #[test]
    fn what_was_given_as_seen_from_here_moves_along() {
        let here = std::env::current_dir().unwrap();
        let seen = |plugin: &str, folder: &str| seen_from(&here.join(plugin), Path::new(folder)).unwrap();
        assert_eq!(seen("greeter", "src"), Path::new("../src"));
        assert_eq!(seen("plugins/greeter", "./src/cli"), Path::new("../../src/cli"));
        assert_eq!(seen_from(&here.join("x"), &here.join("src")).unwrap(), fs::canonicalize("src").unwrap());
        assert!(seen_from(&here, Path::new("nowhere")).is_err());
    }
}
