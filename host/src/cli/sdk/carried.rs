//! The SDK's files, as `build.rs` of this package put them together.

use crate::model::Digest;
use std::borrow::Cow;

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// An SDK as it is to lie in its folder.
#[derive(Debug, Clone)]
pub(super) struct Sdk {
    /// Of the folder: version and digest.
    pub(super) name: String,
    /// By their paths in it, sorted.
    pub(super) files: Vec<(&'static str, Cow<'static, str>)>,
}

pub(super) fn sdk() -> Sdk {
    let mut all = Vec::new();
    for (path, text) in FILES {
        for part in [path, text] {
            all.extend(part.len().to_le_bytes());
            all.extend(part.as_bytes());
        }
    }
    let digest = Digest::of(&all).short();
    // Behind a link that leads elsewhere now, cargo sees another SDK by its version alone.
    let (plain, own) = (format!("version = \"{VERSION}\""), format!("version = \"{VERSION}+{digest}\""));
    let files = FILES.iter().map(|(path, text)| match *path {
        "Cargo.toml" => (*path, Cow::Owned(text.replacen(&plain, &own, 1))),
        _ => (*path, Cow::Borrowed(*text)),
    });
    Sdk { name: format!("{VERSION}-{digest}"), files: files.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_carried_is_the_repositorys_sdk() {
        let sdk = sdk();
        let text = |path: &str| {
            let found = sdk.files.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| text.clone().into_owned())
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk");
        for file in ["rust/src/lib.rs", "rust/bindings/plugin.rs", "rust/macros/src/lib.rs", "rust/build/Cargo.toml"] {
            assert_eq!(text(file).unwrap(), std::fs::read_to_string(root.join(file)).unwrap(), "{file}");
        }
        let manifest = text("Cargo.toml").unwrap();
        let digest = sdk.name.strip_prefix(&format!("{VERSION}-")).unwrap();
        for line in [
            "members = [\"rust\", \"rust/macros\", \"rust/build\", \"rust/selection\"]",
            &format!("version = \"{VERSION}+{digest}\""),
            "unsafe_code = \"deny\"",
        ] {
            assert!(manifest.lines().any(|there| there == line), "no {line:?} in\n{manifest}");
        }
        assert!(manifest.contains("weft-sdk-macros = { path = \"rust/macros\""), "{manifest}");
        for other in ["wasmtime", "tokio", "weft-core"] {
            assert!(!manifest.contains(other), "{manifest}");
        }
        assert!(sdk.files.iter().all(|(name, _)| !name.contains("tests/")), "tests of the SDK are nobody's but ours");
    }
}
