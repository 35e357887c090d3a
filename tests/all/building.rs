//! What `weft build` says where nothing is wrong with the code: toolchains that are missing, files in other encodings, protos.

use crate::support::weft;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use tokio::process::Command;
use weft_tests::{
    author::Author,
    process::{Ended, ended},
    repository,
};

const MANIFEST: &str = "[plugin]\nname = \"greeter\"\nversion = \"0.1.0\"\nclient = \"web\"\n[endpoint.\"GET /greetings/{name}\"]\nauth = \"none\"\n";

/// `weft build` in `folder`, where these are all the programs that there are.
async fn built_with(folder: &Path, programs: &[(&str, &str)]) -> Ended {
    let bin = tempfile::tempdir().unwrap();
    for (name, script) in programs {
        let file = bin.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(weft());
    command.arg("build").arg(folder).env("PATH", bin.path()).env_remove("CARGO");
    ended(&mut command).await
}

#[tokio::test]
async fn a_missing_toolchain_is_told_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plugin.toml"), MANIFEST).unwrap();
    let bare = built_with(folder.path(), &[]).await;
    let told = "and no code beside it: neither Cargo.toml (a plugin in Rust), package.json (JavaScript) nor pyproject.toml \
                (Python); `weft new` makes both";
    assert!(bare.code == 1 && bare.err.contains(told), "{}", bare.err);
    fs::write(folder.path().join("Cargo.toml"), "").unwrap();
    let without = ("rustc", "echo /nowhere/lib");
    for (programs, told) in [
        (&[][..], "rustc can't be run: install Rust by rustup (https://rustup.rs)"),
        (
            &[without],
            "there is no rustup to add it: install Rust by rustup (https://rustup.rs), then run `rustup target add wasm32-wasip2`",
        ),
        (&[without, ("rustup", "exit 1")], "is missing and could not be added: run `rustup target add wasm32-wasip2`"),
        (&[without, ("rustup", "exit 0")], "cargo can't be run; is Rust installed?"),
    ] {
        let ended = built_with(folder.path(), programs).await;
        assert!(ended.code == 1 && ended.err.contains(told), "{told}:\n{}", ended.err);
    }
    // Which compiler it is may depend on the folder.
    let here =
        format!("[ \"$PWD\" = '{}' ] && echo / || echo /nowhere", fs::canonicalize(folder.path()).unwrap().display());
    let ended = built_with(folder.path(), &[("rustc", &here)]).await;
    assert!(ended.err.contains("cargo can't be run"), "{}", ended.err);
}

#[tokio::test]
async fn what_is_no_utf_8_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{MANIFEST}# Gr\u{fc}\u{df}e\n");
    let latin: Vec<u8> = text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    fs::write(folder.path().join("plugin.toml"), latin).unwrap();
    let ended = built_with(folder.path(), &[]).await;
    assert!(ended.code == 2 && ended.err.contains("plugin.toml:7: is no UTF-8 from here on"), "{ended:?}");
}

/// As files are that were edited on Windows, in a folder that is named in another language.
#[tokio::test]
async fn marks_line_ends_and_folders_of_all_kinds_build() {
    let author = Author::new(weft());
    let place = "Grüße aus Köln";
    fs::create_dir_all(author.folder.join(place).join("protos/catalog/v1")).unwrap();
    fs::copy(
        repository().join("examples/protos/catalog/v1/films.proto"),
        author.folder.join(place).join("protos/catalog/v1/films.proto"),
    )
    .unwrap();
    let made = author.weft(place, &["new", "greeter", "--client", "web", "--protos", "protos"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    let inside = format!("{place}/greeter");
    author.lock(&inside);
    let manifest = author.read(&format!("{inside}/plugin.toml"));
    let manifest =
        manifest.replace("# \"catalog", "\"catalog").replace("auth = \"none\"", "fields = true\nauth = \"none\"");
    author.write(&format!("{inside}/plugin.toml"), &manifest);
    // A type may hold others of its kind.
    let code = author.read(&format!("{inside}/src/lib.rs"));
    let code = code.replace("text: String,", "text: String,\n    pub answers: Vec<Greeting>,");
    author.write(
        &format!("{inside}/src/lib.rs"),
        &code.replace("{name}!\"),", "{name}!\"),\n        answers: Vec::new(),"),
    );
    fs::create_dir(author.folder.join(&inside).join("mocks")).unwrap();
    author.write(
        &format!("{inside}/mocks/greet.json"),
        "{\n  \"endpoint\": \"GET /greetings/{name}\",\n  \"examples\": { \"default\": { \"body\": { \"text\": \"Grüße, Ada!\", \"answers\": [{ \"text\": \"Danke\", \"answers\": [] }] } } }\n}\n",
    );
    for file in [
        "greeter/Cargo.toml",
        "greeter/plugin.toml",
        "greeter/build.rs",
        "greeter/src/lib.rs",
        "greeter/mocks/greet.json",
        "protos/catalog/v1/films.proto",
    ] {
        let file = format!("{place}/{file}");
        let text = author.read(&file).replace('\n', "\r\n");
        author.write(&file, &format!("\u{feff}{text}"));
    }
    let built = author.weft(&inside, &["build"]).await;
    assert_eq!(built.code, 0, "{}", built.err);

    // What is wrong with a proto stands last, with its place.
    let proto = format!("{place}/protos/catalog/v1/films.proto");
    let text = author.read(&proto);
    let first = text.lines().position(|line| line.contains("message ")).unwrap() + 1;
    author.write(&proto, &text.replacen("message ", "massage ", 1));
    let failed = author.weft(&inside, &["build"]).await;
    let told = format!("protos/catalog/v1/films.proto:{first}:1: ");
    assert!(failed.code == 1 && failed.err.contains(&told), "{told}\n{}", failed.err);
}
