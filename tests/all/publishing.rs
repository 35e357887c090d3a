//! The SDK's crates are fit to be published: each holds all that it needs, under its own folder.

use tokio::process::Command;
use weft_tests::{process::ended, repository, target};

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
