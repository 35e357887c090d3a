//! Rust that authors' pages show stands, word for word, in code that is compiled and tested.

use std::{fs, path::Path};
use weft_tests::repository;

/// Where the code of pages comes from.
const SOURCES: [&str; 4] = ["plugins", "sdk/rust/tests", "sdk/rust/examples", "tests/guests"];

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() && !entry.ends_with("target") && !entry.ends_with("node_modules") {
            sources(&entry, text);
        } else if entry.extension().is_some_and(|kind| kind == "rs") {
            text.push_str(&fs::read_to_string(&entry).unwrap());
        }
    }
}

/// Without what differs by where code stands.
fn plain(text: &str) -> String {
    text.replace("pub(crate) ", "").replace("pub ", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each item of a page's blocks of Rust: what stands between empty lines.
fn items(page: &str) -> Vec<String> {
    let blocks = page.split("\n```rust\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.flat_map(|block| block.split("\n\n")).map(plain).collect()
}

#[test]
fn code_in_pages_is_code_that_runs() {
    let mut text = String::new();
    SOURCES.iter().for_each(|folder| sources(&repository().join(folder), &mut text));
    let text = plain(&text);
    let page = fs::read_to_string(repository().join("docs/authors/lists.md")).unwrap();
    let items = items(&page);
    assert!(items.len() >= 6, "{items:?}");
    for item in items {
        assert!(text.contains(&item), "docs/authors/lists.md shows what is compiled nowhere:\n{item}");
    }
}
