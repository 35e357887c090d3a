//! A newcomer's two commands: what `cargo demo` compiles and what `cargo test` compiles is the same but for programs and tests.

use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;
use weft_tests::{process::ended, repository};

/// What build scripts need with other features than the host, and is not ours to choose, or small: tonic has prost-build lay out what it
/// writes, and nobody reads the clients of plugins.
const TWICE: [&str; 4] = ["cranelift-bitset", "prost-build", "pulley-interpreter", "wasmtime-internal-core"];

/// Built for these tests was what `cargo demo` would compile: all of it is there, but for the programs themselves.
///
/// A dependency that only tests or only build scripts have may bring features with it. They are then named in `tests/Cargo.toml`.
#[tokio::test]
async fn what_the_demo_needs_was_compiled_for_the_tests() {
    let binary = std::env::current_exe().unwrap();
    let profile = binary.ancestors().nth(2).unwrap();
    if profile.file_name().is_none_or(|name| name != "debug") {
        // These tests were built under another profile than the demo.
        return;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(repository()).env("CARGO_TARGET_DIR", profile.parent().unwrap()).kill_on_drop(true);
    command.args(["build", "--bin", "demo", "--bin", "demo-services", "--bin", "weft", "--message-format=json"]);
    let built = ended(&mut command).await;
    assert_eq!(built.code, 0, "{}", built.err);

    let messages = built.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifacts: Vec<Value> = messages.filter(|message| message["reason"] == "compiler-artifact").collect();
    assert!(artifacts.len() > 100, "{}", built.out);
    let anew: Vec<&str> = artifacts
        .iter()
        .filter(|artifact| artifact["fresh"] == false && artifact["target"]["kind"] != json!(["bin"]))
        .map(|artifact| artifact["package_id"].as_str().unwrap())
        .collect();
    assert_eq!(anew, Vec::<&str>::new(), "compiled again; was the whole workspace chosen for these tests?");
    assert_eq!(twice(&artifacts), TWICE, "compiled twice for the demo: see tests/Cargo.toml");
    assert!(Path::new(profile).join("weft").exists());
}

/// The libraries that are compiled more than once.
fn twice(artifacts: &[Value]) -> Vec<&str> {
    let libraries = artifacts.iter().filter(|artifact| artifact["target"]["kind"] == json!(["lib"]));
    let mut all: Vec<&str> = libraries.filter_map(|artifact| artifact["package_id"].as_str()).collect();
    all.sort_unstable();
    let same = all.windows(2).filter_map(|pair| if pair[0] == pair[1] { pair[0].rsplit('#').next() } else { None });
    same.filter_map(|package| package.split('@').next()).collect()
}
