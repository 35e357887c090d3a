//! The SDK's crates are fit to be published: each holds all that it needs, under its own folder.

use serde_json::{Value, json};
use tokio::process::Command;
use weft_tests::{process::ended, repository, target};

const CRATES: [&str; 4] = ["weft-sdk", "weft-sdk-macros", "weft-build", "weft-selection"];

#[tokio::test]
async fn each_of_the_sdks_crates_says_what_registries_show_of_it() {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository()).args(["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let told: Value = serde_json::from_str(&ended(&mut command).await.out).unwrap();
    for name in CRATES {
        let found = told["packages"].as_array().unwrap().iter().find(|package| package["name"] == name).unwrap();
        for key in ["description", "license", "readme", "rust_version"] {
            assert!(found[key].is_string(), "{name} says no {key}");
        }
        assert!(!found["keywords"].as_array().unwrap().is_empty(), "{name}");
        let rs = &found["metadata"]["docs"]["rs"];
        assert_eq!(rs["targets"], json!(["x86_64-unknown-linux-gnu"]), "{name}: what docs.rs builds");
        // What is only there with a feature is shown as well, but for what is there by default or is ours alone.
        let features = found["features"].as_object().unwrap().keys();
        let shown: Vec<_> =
            features.filter(|name| !["default", "generator", "heap"].contains(&name.as_str())).collect();
        assert_eq!(rs["features"].as_array().map_or(0, Vec::len), shown.len(), "{name}: {shown:?}");
    }
}

#[tokio::test]
async fn the_sdks_crates_make_packages() {
    let cargo = |more: &[&str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(repository()).env("CARGO_TARGET_DIR", target().join("packages")).kill_on_drop(true);
        command.args(["package", "--offline", "--allow-dirty"]).args(more);
        command
    };
    let crates = ["-p", "weft-sdk-macros", "-p", "weft-build", "-p", "weft-selection", "-p", "weft-sdk"];
    let packed = ended(&mut cargo(&[&["--no-verify"], &crates[..]].concat())).await;
    assert_eq!(packed.code, 0, "{}", packed.err);
    for (name, more) in [
        ("weft-sdk", &["bindings/plugin.rs", "bindings/describer.rs", "examples/greeting.rs"][..]),
        ("weft-sdk-macros", &[]),
        ("weft-build", &[]),
        ("weft-selection", &[]),
    ] {
        let listed = ended(&mut cargo(&["--list", "-p", name])).await;
        for file in ["LICENSE", "README.md", "src/lib.rs"].iter().chain(more) {
            assert!(listed.out.lines().any(|there| there == *file), "{name} has no {file}:\n{}", listed.out);
        }
    }
}
