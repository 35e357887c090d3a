//! Plugins as artifacts: built once by the real command, and stamped anew for a test.

use crate::{repository, target};
use bytes::Bytes;
use demo_services::proto::DESCRIPTORS;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};
use toml::Table;
use weft::{
    artifact::{CONTRACT, Sections},
    sync::lock,
};

static BUILT: Mutex<Option<HashMap<String, Bytes>>> = Mutex::new(None);

/// The artifact of the plugin in `folder` of the repository, as `weft build` makes it: compiled at most once in a process.
///
/// # Panics
/// If it does not build; with what the command said.
pub fn built(weft: &Path, folder: &str) -> Bytes {
    once(folder, || {
        let out = target().join("artifacts");
        let built = Command::new(weft)
            .args(["build", "--quiet", "--out"])
            .arg(&out)
            .arg(repository().join(folder))
            .output()
            .unwrap();
        assert!(built.status.success(), "{folder}: {}", String::from_utf8_lossy(&built.stderr));
        let file = PathBuf::from(String::from_utf8_lossy(&built.stdout).trim());
        std::fs::read(file).unwrap().into()
    })
}

/// The artifact of a plugin that is not made with the SDK: the component that cargo makes of `folder`, and sections made here of
/// its `plugin.toml` and `methods`.
///
/// # Panics
/// If it does not build.
pub fn assembled(folder: &str, methods: &[&str]) -> Bytes {
    once(folder, || {
        let folder = repository().join(folder);
        let component = std::fs::read(compile(&folder)).unwrap();
        let manifest = std::fs::read_to_string(folder.join("plugin.toml")).unwrap();
        sections(&manifest, methods).append_to(&component).into()
    })
}

/// One at a time, so that no two tests compile the same.
fn once(name: &str, make: impl FnOnce() -> Bytes) -> Bytes {
    let mut built = lock(&BUILT);
    built.get_or_insert_default().entry(name.to_owned()).or_insert_with(make).clone()
}

fn compile(folder: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(folder)
        .args(["build", "--lib", "--quiet", "--target", "wasm32-wasip2", "--message-format=json"])
        // The profile and the name of its cache are those of `weft build`, so that what it has compiled serves here too.
        .args([
            "--profile",
            "plugin",
            "--config",
            "profile.plugin.inherits=\"release\"",
            "--config",
            "profile.plugin.lto=false",
        ])
        .args(["--config", "profile.plugin.codegen-units=1", "--config", "profile.plugin.strip=\"debuginfo\""])
        .env("__CARGO_DEFAULT_LIB_METADATA", "weft")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let files = messages.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut files = files.filter_map(|message| {
        let files = message["filenames"].as_array()?;
        files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
    });
    files.next().unwrap()
}

/// Sections for this manifest, with an endpoint in the schema for each in the manifest, and the demo's protos.
pub fn sections(manifest: &str, methods: &[&str]) -> Sections {
    let table: Table = manifest.parse().unwrap();
    let endpoints = table.get("endpoint").and_then(|endpoints| endpoints.as_table()).into_iter().flatten();
    let schema: Vec<Value> = endpoints
        .map(|(name, _)| {
            let (method, path) = name.split_once(' ').unwrap();
            json!({ "method": method, "path": path, "summary": "", "request": null, "response": null, "query": null })
        })
        .collect();
    Sections {
        manifest: manifest.to_owned(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        descriptors: DESCRIPTORS.to_vec(),
        schema: serde_json::to_vec(&schema).unwrap(),
        mocks: b"{}".to_vec(),
        contract: CONTRACT.to_owned(),
    }
}

/// The artifact with other methods, and the descriptors that `bytes` are; an empty set relies on the host's.
pub fn with_methods(artifact: &Bytes, methods: &[&str], descriptors: &[u8]) -> Bytes {
    let mut sections = Sections::read(artifact).unwrap();
    let mut manifest: Table = sections.manifest.parse().unwrap();
    let mut calls = Table::new();
    for method in methods {
        let (service, method) = method.split_once('/').unwrap();
        let granted = calls.entry(service).or_insert_with(|| Vec::<String>::new().into());
        granted.as_array_mut().unwrap().push(method.into());
    }
    manifest.insert("calls".to_owned(), calls.into());
    sections.manifest = toml::to_string(&manifest).unwrap();
    sections.methods = methods.iter().map(|method| (*method).to_owned()).collect();
    sections.descriptors = descriptors.to_vec();
    sections.append_to(artifact).into()
}

/// The descriptors that an artifact brings.
pub fn descriptors(artifact: &Bytes) -> Vec<u8> {
    Sections::read(artifact).unwrap().descriptors
}

/// The artifact with another manifest: later sections win, so the component stays as it is.
pub fn with_manifest(artifact: &Bytes, change: impl FnOnce(&mut Table)) -> Bytes {
    let mut sections = Sections::read(artifact).unwrap();
    let mut manifest: Table = sections.manifest.parse().unwrap();
    change(&mut manifest);
    sections.manifest = toml::to_string(&manifest).unwrap();
    sections.append_to(artifact).into()
}

/// The artifact with one endpoint more, for everybody.
pub fn with_endpoint(artifact: &Bytes, name: &str) -> Bytes {
    let mut sections = Sections::read(artifact).unwrap();
    let (method, path) = name.split_once(' ').unwrap();
    let mut schema: Vec<Value> = serde_json::from_slice(&sections.schema).unwrap();
    schema.push(
        json!({ "method": method, "path": path, "summary": "", "request": null, "response": null, "query": null }),
    );
    sections.schema = serde_json::to_vec(&schema).unwrap();
    let with_schema: Bytes = sections.append_to(artifact).into();
    with_manifest(&with_schema, |manifest| {
        let policy = Table::from_iter([("auth".to_owned(), "none".into())]);
        table(manifest, "endpoint").insert(name.to_owned(), policy.into());
    })
}

/// The artifact as another version of itself, which it also tells as `version` of its configuration.
pub fn with_version(artifact: &Bytes, version: &str) -> Bytes {
    with_manifest(artifact, |manifest| {
        manifest["plugin"]["version"] = version.into();
        table(manifest, "config").insert("version".to_owned(), version.into());
    })
}

/// The artifact as another plugin for `client`.
pub fn renamed(artifact: &Bytes, name: &str, client: &str) -> Bytes {
    with_manifest(artifact, |manifest| {
        manifest["plugin"]["name"] = name.into();
        manifest["plugin"]["client"] = client.into();
    })
}

/// The artifact with this limit.
pub fn with_limit(artifact: &Bytes, limit: &str, value: impl Into<toml::Value>) -> Bytes {
    let value = value.into();
    with_manifest(artifact, |manifest| drop(table(manifest, "limits").insert(limit.to_owned(), value)))
}

fn table<'a>(manifest: &'a mut Table, name: &str) -> &'a mut Table {
    manifest.entry(name).or_insert_with(|| Table::new().into()).as_table_mut().unwrap()
}
