//! Clients in Swift and Kotlin: the standard generators read the documents of the demo. Nobody here can compile what they write.

use std::{collections::BTreeSet, fs, path::Path};
use tokio::process::Command;
use weft_tests::{process, program::find, repository};

/// The generator's name, with options, as docs/frontends/typed-client.md tells them.
const GENERATORS: [(&str, &str); 2] = [("kotlin", "-g kotlin "), ("swift6", "-g swift6 ")];

/// All that has been written in a language.
fn texts(folder: &Path, ending: &str) -> String {
    let (mut found, mut open) = (String::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == ending) {
                found.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn swift_and_kotlin_have_a_function_for_each_endpoint_of_the_demo() {
    let Some(generator) = find("openapi-generator-cli") else { return };
    let page = fs::read_to_string(repository().join("docs/frontends/typed-client.md")).unwrap();
    for client in ["web", "tv"] {
        let file = repository().join(format!("examples/openapi/{client}.json"));
        let document: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let operations =
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let names: BTreeSet<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        for (language, options) in GENERATORS {
            let (_, rest) = page.split_once(options).unwrap_or_else(|| panic!("the page has no {options:?}"));
            let options = format!("{options}{}", rest.split('`').next().unwrap());
            let folder = tempfile::tempdir().unwrap();
            let mut command = Command::new(&generator);
            command.arg("generate").arg("-i").arg(&file).args(options.split(' ')).arg("-o").arg(folder.path());
            let told = process::ended(command.kill_on_drop(true)).await;
            assert_eq!(told.code, 0, "{client} {language}: {}{}", told.out, told.err);
            let text = texts(folder.path(), if language == "kotlin" { "kt" } else { "swift" });
            assert!(client != "web" || text.contains("FilmPagePartial"), "{language}");
            for name in &names {
                assert!(
                    text.contains(&format!("fun {name}(")) || text.contains(&format!("func {name}(")),
                    "{client} {language}: {name}"
                );
            }
        }
    }
}
