//! Puts the SDKs into the command, so that plugins are made and built with nothing but the command and the tools of their language.
//!
//! It is the repository's own files, sorted by name, and a workspace manifest around them that says what the repository's says of the
//! SDK's crates. The same files always give the same text.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// What is carried: by its path in the repository, and by its path in the SDK's folder.
const PARTS: [(&str, &str); 25] = [
    ("LICENSE", "LICENSE"),
    ("sdk/rust/Cargo.toml", "rust/Cargo.toml"),
    ("sdk/rust/README.md", "rust/README.md"),
    ("sdk/rust/src", "rust/src"),
    ("sdk/rust/bindings", "rust/bindings"),
    ("sdk/rust/macros/Cargo.toml", "rust/macros/Cargo.toml"),
    ("sdk/rust/macros/README.md", "rust/macros/README.md"),
    ("sdk/rust/macros/src", "rust/macros/src"),
    ("sdk/rust/build/Cargo.toml", "rust/build/Cargo.toml"),
    ("sdk/rust/build/README.md", "rust/build/README.md"),
    ("sdk/rust/build/src", "rust/build/src"),
    ("sdk/rust/selection/Cargo.toml", "rust/selection/Cargo.toml"),
    ("sdk/rust/selection/README.md", "rust/selection/README.md"),
    ("sdk/rust/selection/src", "rust/selection/src"),
    ("sdk/js/package.json", "js/package.json"),
    ("sdk/js/README.md", "js/README.md"),
    ("sdk/js/src", "js/src"),
    ("sdk/js/build", "js/build"),
    ("sdk/js/wit", "js/wit"),
    ("wit", "js/wit/deps/weft"),
    ("sdk/python/pyproject.toml", "python/pyproject.toml"),
    ("sdk/python/README.md", "python/README.md"),
    ("sdk/python/weft_sdk", "python/weft_sdk"),
    ("sdk/python/wit", "python/wit"),
    ("wit", "python/wit/deps/weft"),
];

/// More than twice what the SDK takes: nothing else is to come along unseen.
const MOST: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let mut files = Vec::new();
    for (from, to) in PARTS {
        let from = root.join(from);
        tell_cargo(&format!("rerun-if-changed={}", from.display()));
        collect(&from, to, &mut files)?;
    }
    files.sort();
    let mut size = 0;
    for (_, file) in &files {
        size += fs::metadata(file)?.len();
    }
    if size > MOST {
        return Err(format!(
            "the SDK has {size} bytes, and {MOST} are allowed: is something among it that is not the SDK's?"
        )
        .into());
    }

    let manifest = root.join("Cargo.toml");
    tell_cargo(&format!("rerun-if-changed={}", manifest.display()));
    let members: Vec<String> = files
        .iter()
        .filter(|(name, _)| name.ends_with("/Cargo.toml"))
        .map(|(_, file)| fs::read_to_string(file))
        .collect::<Result<_, _>>()?;
    let manifest = workspace(&fs::read_to_string(manifest)?, &members);

    let mut text = format!("&[\n    (\"Cargo.toml\", {manifest:?}),\n");
    for (name, file) in &files {
        writeln!(text, "    ({name:?}, include_str!({:?})),", fs::canonicalize(file)?)?;
    }
    text.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("sdk.rs"), text)?;
    Ok(())
}

fn tell_cargo(what: &str) {
    println!("cargo::{what}");
}

fn collect(from: &Path, to: &str, files: &mut Vec<(String, PathBuf)>) -> Result<(), Box<dyn Error>> {
    if !from.is_dir() {
        files.push((to.to_owned(), from.to_owned()));
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("{}: no UTF-8", name.display()))?;
        // What editors and Python leave behind.
        if !name.starts_with('.') && !name.ends_with('~') && name != "__pycache__" {
            collect(&entry.path(), &format!("{to}/{name}"), files)?;
        }
    }
    Ok(())
}

/// The repository's manifest, with the SDK's crates as its members, and of its dependencies those that they name.
fn workspace(repository: &str, members: &[String]) -> String {
    let named = |name: &str| {
        let plain = format!("{name}.workspace = true");
        let more = format!("{name} = {{ workspace = true");
        members.iter().flat_map(|member| member.lines()).any(|line| line == plain || line.starts_with(&more))
    };
    let mut out =
        "[workspace]\nresolver = \"3\"\nmembers = [\"rust\", \"rust/macros\", \"rust/build\", \"rust/selection\"]\n"
            .to_owned();
    let mut section = "";
    for line in repository.lines() {
        if line.starts_with('[') {
            section = line;
            if matters(section) {
                out.push('\n');
            }
        }
        let is_dependency = section == "[workspace.dependencies]" && line != section;
        let is_wanted = matters(section) && !line.starts_with('#') && !line.is_empty();
        if is_wanted && (!is_dependency || line.split_once(" = ").is_some_and(|(name, _)| named(name))) {
            out.push_str(&line.replace("path = \"sdk/", "path = \""));
            out.push('\n');
        }
    }
    out
}

fn matters(section: &str) -> bool {
    section == "[workspace.package]" || section == "[workspace.dependencies]" || section.starts_with("[workspace.lints")
}
