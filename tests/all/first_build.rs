//! A newcomer's two commands: what `cargo demo` compiles and what `cargo test` compiles is the same but for programs and tests.

use serde_json::Value;
use std::path::Path;
use tokio::process::Command;
use weft_tests::{process::ended, repository};

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
        .filter(|artifact| artifact["fresh"] == false && artifact["target"]["kind"] != serde_json::json!(["bin"]))
        .map(|artifact| artifact["package_id"].as_str().unwrap())
        .collect();
    assert_eq!(anew, Vec::<&str>::new(), "compiled again; was the whole workspace chosen for these tests?");
    assert!(Path::new(profile).join("weft").exists());
}
