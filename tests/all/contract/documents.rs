//! The documents of the demo's clients: in the repository, so that a change of theirs is seen, and judged by others.

use crate::support::weft;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;
use weft_tests::{artifacts, process, program::find, repository, setup::Setup};

pub(super) const CLIENTS: [&str; 3] = ["web", "ios", "tv"];

/// What `weft openapi` prints of a client of the demo, by the demo's configuration.
pub(super) async fn printed(client: &str) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("plugin.wasm");
    std::fs::write(&file, artifacts::built(weft(), &format!("plugins/home-{client}"))).unwrap();
    let config = repository().join("examples/weft.toml");
    let config = config.to_str().unwrap();
    let arguments = ["openapi", "--client", client, "--config", config, "--artifact", file.to_str().unwrap()];
    let printed = process::run(weft(), &arguments).await;
    assert_eq!(printed.code, 0, "{}", printed.err);
    printed.out
}

fn golden(client: &str) -> std::path::PathBuf {
    repository().join(format!("examples/openapi/{client}.json"))
}

/// With `WEFT_BLESS=1` they are written anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_documents_are_those_in_the_repository() {
    for client in CLIENTS {
        let printed = printed(client).await;
        if std::env::var_os("WEFT_BLESS").is_some() {
            std::fs::write(golden(client), &printed).unwrap();
        }
        let golden = std::fs::read_to_string(golden(client)).unwrap_or_default();
        assert!(
            golden == printed,
            "examples/openapi/{client}.json is not what `weft openapi --client {client}` prints: if that is meant, run this test with \
             WEFT_BLESS=1, and look at the difference"
        );
    }
}

#[tokio::test]
async fn somebody_elses_validator_takes_them() {
    let Some(validator) = find("openapi-spec-validator") else { return };
    for client in CLIENTS {
        let judged = judged(&validator, &golden(client)).await;
        assert_eq!(judged.code, 0, "{client}: {}{}", judged.out, judged.err);
    }
    // It can say no.
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("broken.json");
    let broken = std::fs::read_to_string(golden("web")).unwrap().replace("\"in\": \"path\"", "\"in\": \"nowhere\"");
    std::fs::write(&file, broken).unwrap();
    assert_ne!(judged(&validator, &file).await.code, 0);
}

/// The commands of docs/frontends/contract.md, as they stand there: all of them print the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_page_print_the_document() {
    let web = artifacts::built(weft(), "plugins/home-web");
    let folder = TempDir::new().unwrap();
    let at = |path: &str| folder.path().join(path);
    for inner in ["examples/identity", "target/weft"] {
        std::fs::create_dir_all(at(inner)).unwrap();
    }
    for file in ["examples/weft.toml", "examples/identity/jwks.json"] {
        std::fs::copy(repository().join(file), at(file)).unwrap();
    }
    std::fs::write(at("target/weft/home-web-1.0.0.wasm"), &web).unwrap();
    std::fs::write(at("home-web-1.0.0.wasm"), &web).unwrap();
    let client = "[[client]]\nname = \"web\"\nprefix = \"/web\"\nhost = \"web.localhost\"\nopenapi = true\n";
    let setup = Setup::new().clients(client).identity("").one_backend("127.0.0.1:1", "");
    let host = setup.plugin("web.wasm", &web).start().await;

    let page = std::fs::read_to_string(repository().join("docs/frontends/contract.md")).unwrap();
    let commands = page.lines().filter(|line| line.starts_with("weft openapi ") || line.starts_with("curl "));
    let expected = std::fs::read_to_string(golden("web")).unwrap();
    let mut count = 0;
    for command in commands {
        let command = command.replace("127.0.0.1:9090", &host.admin_address().to_string());
        let command = command.replace("127.0.0.1:8080", &host.address().to_string());
        let command = command.replace("target/demo/admin-token", host.folder.admin_token().to_str().unwrap());
        let words: Vec<&str> = command.split(' ').collect();
        let program = if words[0] == "weft" { weft() } else { Path::new(words[0]) };
        let ended = process::run_in(program, folder.path(), &words[1..]).await;
        assert_eq!(ended.code, 0, "{command}: {}", ended.err);
        // An artifact alone does not know under which prefix its client stands.
        let printed = match command.contains("--config") || !command.contains("--artifact") {
            true => ended.out,
            false => {
                let mut document: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
                document["servers"] = serde_json::from_str::<serde_json::Value>(&expected).unwrap()["servers"].clone();
                format!("{}\n", serde_json::to_string_pretty(&document).unwrap())
            }
        };
        assert_eq!(printed, expected, "{command}");
        count += 1;
    }
    assert_eq!(count, 4);
}

#[tokio::test]
async fn what_has_no_document_says_why() {
    let config = repository().join("examples/weft.toml");
    let config = config.to_str().unwrap();
    for (arguments, code, why) in [
        (&["openapi", "--config", config, "--artifact", "/nowhere.wasm"][..], 1, "/nowhere.wasm can't be read"),
        (&["openapi", "--config", config, "--artifact", config], 1, "is no artifact"),
        (&["openapi", "--config", "/nowhere.toml"], 2, "/nowhere.toml"),
        (&["openapi", "--admin", "127.0.0.1:1"], 1, "is a host running"),
        (&["openapi", "--admin", "127.0.0.1:1", "--config", config], 2, "cannot be used with"),
    ] {
        let ended = process::run(weft(), arguments).await;
        assert_eq!((ended.code, ended.err.contains(why)), (code, true), "{arguments:?}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("plugin.wasm");
    std::fs::write(&file, artifacts::built(weft(), "plugins/home-web")).unwrap();
    let file = file.to_str().unwrap();
    for (client, why) in [
        (None, "which client? --client NAME, one of: ios, tv, web"),
        (Some("car"), "no client `car`; it has: web, ios, tv"),
    ] {
        let arguments = ["openapi", "--config", config, "--artifact", file].into_iter();
        let arguments: Vec<&str> =
            arguments.chain(client.into_iter().flat_map(|client| ["--client", client])).collect();
        let ended = process::run(weft(), &arguments).await;
        assert_eq!((ended.code, ended.err.contains(why)), (2, true), "{}", ended.err);
    }
}

async fn judged(validator: &Path, file: &Path) -> process::Ended {
    process::ended(Command::new(validator).args(["--schema", "3.1"]).arg(file)).await
}
