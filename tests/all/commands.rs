//! The command as its `--help` tells it: written into the documents, and what documents say of it held against that.

use crate::support::weft;
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};
use weft_tests::{process::run, repository};

const PAGE: &str = "docs/reference/cli.md";

/// What each command says of itself, by its name; the whole program's by "".
async fn help() -> Vec<(String, String)> {
    let whole = run(weft(), &["--help"]).await.out;
    let names = commands(&whole);
    assert!(names.len() > 10, "{whole}");
    let mut help = vec![(String::new(), whole)];
    for name in names {
        let told = run(weft(), &[&name, "--help"]).await;
        assert!(told.code == 0 && told.out.contains("Usage: "), "{name}: {told:?}");
        let parts = commands(&told.out);
        help.push((name.clone(), told.out));
        for part in parts {
            let told = run(weft(), &[&name, &part, "--help"]).await;
            assert!(told.code == 0 && told.out.contains("Usage: "), "{name} {part}: {told:?}");
            help.push((format!("{name} {part}"), told.out));
        }
    }
    help
}

/// Those that a help lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default().lines().take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// With `WEFT_BLESS=1` the page is written anew.
#[tokio::test]
async fn the_page_of_commands_is_what_they_say_of_themselves() {
    let mut page =
        "# Commands\n\nWhat `weft --help` says, and each command's own. Exit codes: 0 done, 1 failed, 2 wrong usage.\n"
            .to_owned();
    for (name, text) in help().await {
        let title = if name.is_empty() { "weft".to_owned() } else { format!("weft {name}") };
        let text: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        write!(page, "\n## `{title}`\n\n```text\n{}\n```\n", text.join("\n").replace("weft-under-test", "weft"))
            .unwrap();
    }
    let file = repository().join(PAGE);
    if std::env::var_os("WEFT_BLESS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == page,
        "{PAGE} is not what `--help` says: write it by WEFT_BLESS=1"
    );
}

/// Whatever names commands for people or their agents.
fn texts() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = ["docs", "host/templates", "sdk"].map(|folder| repository().join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ["md", "txt", "sh", "template"].iter().any(|known| ending == *known))
            {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        found.insert(name.into(), fs::read_to_string(repository().join(name)).unwrap());
    }
    found.remove(&repository().join(PAGE));
    found
}

/// Command lines in a text: `weft …` between backticks, and at the begin of a line.
fn command_lines(text: &str) -> Vec<&str> {
    let quoted = text.split('`').filter(|part| part.starts_with("weft "));
    let begun =
        text.lines().map(|line| line.trim_start().trim_start_matches("$ ")).filter(|line| line.starts_with("weft "));
    quoted.chain(begun).collect()
}

#[tokio::test]
async fn what_documents_say_to_type_is_there_to_be_typed() {
    let help: BTreeMap<String, String> = help().await.into_iter().collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (file, text) in texts() {
        let file = file.strip_prefix(repository()).unwrap_or(Path::new(&file)).display().to_string();
        for line in command_lines(&text) {
            let words = line.split_whitespace().skip(1).take_while(|word| !["#", "|", ">", "&&", ";"].contains(word));
            let words: Vec<&str> = words.map(|word| word.trim_end_matches([',', '.', ':', ')', ';'])).collect();
            let Some(name) = words.first().filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            else {
                continue;
            };
            let name = if name.starts_with('-') { "" } else { name };
            let part = words.get(1).map(|part| format!("{name} {part}")).unwrap_or_default();
            let Some(told) = help.get(&part).or_else(|| help.get(name)) else {
                // What lists of commands don't have is there all the same; a sentence may begin with the name of the program.
                if words.len() <= 3 && run(weft(), &[name, "--help"]).await.code != 0 {
                    wrong.push(format!("{file}: {line}: there is no such command"));
                }
                continue;
            };
            seen += 1;
            let flags = words.iter().filter(|word| word.starts_with("--") && word.len() > 2);
            let flags = flags.map(|flag| flag.split('=').next().unwrap());
            let unknown = flags
                .filter(|flag| !told.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == *flag));
            wrong.extend(unknown.map(|flag| format!("{file}: {line}: there is no {flag}")));
        }
    }
    assert!(seen > 60 && wrong.is_empty(), "{seen}: {wrong:#?}");
}
