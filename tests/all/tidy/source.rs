//! Rust sources as far as tidiness needs them: without comments and strings, and what they import from their own crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One `.rs` file.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the folder that was searched.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// The top module: `fanout` of `fanout/session.rs` and of `fanout.rs`.
    pub(super) fn module(&self) -> String {
        let first = self.path.iter().next().unwrap();
        Path::new(first).file_stem().unwrap().to_string_lossy().into_owned()
    }

    /// The modules that lead to it: `fanout`, `session` for `fanout/session.rs`; none for the root.
    pub(super) fn place(&self) -> Vec<String> {
        let path = self.path.with_extension("");
        let names: Vec<_> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if names == ["lib"] || names == ["main"] { Vec::new() } else { names }
    }

    /// Its code up to the tests that stand at its end.
    pub(super) fn code_without_tests(&self) -> String {
        let code = code(&self.text);
        code.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()
    }

    /// The names in its code.
    pub(super) fn words(&self) -> Vec<String> {
        let code = code(&self.text);
        let words = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// The top modules that it imports from its own crate, by `crate::…` wherever that stands.
    pub(super) fn imports(&self) -> Vec<String> {
        let code = code(&self.text);
        code.split("crate::").skip(1).flat_map(heads).collect()
    }
}

/// All sources under a folder, but what is built, hidden or generated.
pub(super) fn sources(root: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    collect(root, root, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(root, &path, found);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), text });
        }
    }
}

/// What follows `crate::`: a name, or a group of paths of which the first names count.
fn heads(rest: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut heads = Vec::new();
    let (mut depth, mut start) = (1, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                heads.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            heads.push(name(&group[start..at]));
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// The text with spaces for comments and for what stands in strings.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            'r' if !code.ends_with(is_word) && raw_string(rest).is_some() => raw_string(rest).unwrap(),
            '"' => string(rest),
            // A character that could be taken for the beginning of something else.
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\") => rest[2..].find('\'').map_or(rest.len(), |at| at + 3),
            _ => {
                code.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        code.push(' ');
        rest = &rest[end..];
    }
    code
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a string that begins here ends.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

/// Where a raw string that begins here ends, if one does.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    text[1 + hashes..].starts_with('"').then_some(())?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = 2 + hashes;
    Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

#[test]
fn imports_are_found_wherever_they_stand_and_nowhere_else() {
    let text = r##"
        //! crate::comment
        use crate::{model::{Code, Deadline}, /* crate::not */ store, fanout::Engine};
        fn f() -> crate::artifact::Digest { let s = "crate::text \" crate::too"; let r = r#"crate::raw " x"#; '"'; crate::choice! {} }
    "##;
    let source = Source { path: "gateway/input.rs".into(), text: text.to_owned() };
    assert_eq!(source.module(), "gateway");
    assert_eq!(source.imports(), ["model", "store", "fanout", "artifact", "choice"]);
    assert!(!source.words().iter().any(|word| word == "raw" || word == "comment"));
}
