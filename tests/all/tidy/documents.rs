//! What documents say, as far as a program can know: links, paths, tests, metrics and problems that they name are there.

use super::source::{is_made, sources};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};
use weft::model::ProblemType;
use weft_tests::repository;

/// Where a path that a document names may begin.
const ROOTS: [&str; 5] = ["", "host/src", "core/src", "sandbox/src", "sdk/rust/src"];

/// All Markdown files by their place in the repository.
fn documents() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![repository()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !is_made(&name) {
                folders.push(path);
            } else if name.ends_with(".md") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(repository()).unwrap().to_owned(), text);
            }
        }
    }
    assert!(found.len() > 10, "the documents were not found");
    found
}

fn document(place: &str) -> String {
    documents().remove(Path::new(place)).unwrap_or_else(|| panic!("{place} is missing"))
}

/// What a document's links lead to, but the web.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    targets.filter(|target| !target.contains("://"))
}

/// `docs/operators/scaling.md` for `../operators/scaling.md` in a file of `docs/inside`.
fn beside(document: &Path, target: &str) -> PathBuf {
    let mut place = document.parent().unwrap().to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => assert!(place.pop(), "{target} leaves the repository"),
            part => place.push(part),
        }
    }
    place
}

/// The names by which a document's headings can be linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_documents_that_newcomers_look_for_are_there() {
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"] {
        let text = fs::read_to_string(repository().join(name)).unwrap_or_default();
        assert!(text.len() > 200, "{name} is missing, or as good as empty");
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let documents = documents();
    let mut broken = Vec::new();
    for (document, text) in &documents {
        for link in links(text) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let place = if target.is_empty() { document.clone() } else { beside(document, target) };
            let known = |text: &String| anchor.is_empty() || anchors(text).contains(anchor);
            let is_good = documents.get(&place).map_or_else(|| repository().join(&place).exists(), known);
            if !is_good {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_found_from_the_readme() {
    let documents = documents();
    let (mut reached, mut left) = (BTreeSet::new(), vec![PathBuf::from("README.md")]);
    while let Some(place) = left.pop() {
        let Some(text) = documents.get(&place) else { continue };
        left.extend(links(text).filter_map(|link| {
            let target = link.split('#').next().filter(|target| !target.is_empty())?;
            Some(beside(&place, target)).filter(|place| !reached.contains(place))
        }));
        reached.insert(place);
    }
    let lost: Vec<_> = documents.keys().filter(|place| !reached.contains(*place)).collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}

#[test]
fn every_file_that_is_named_is_there() {
    let endings = [".rs", ".md", ".toml", ".wit", ".proto", ".svg"];
    let is_path = |word: &&str| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
        plain
            && word.contains('/')
            && !word.starts_with('/')
            && (word.contains("src/") || endings.iter().any(|end| word.ends_with(end)))
    };
    let is_there = |word: &str| ROOTS.iter().any(|root| repository().join(root).join(word).exists());
    // The tutorial's plugin, and media types.
    let is_none = |word: &str| word.starts_with("greeter/") || word.starts_with("application/");
    let mut missing = BTreeSet::new();
    for (document, text) in documents() {
        let named = quoted(&text).filter(is_path).filter(|word| !is_none(word) && !is_there(word));
        missing.extend(named.map(|word| format!("{}: {word}", document.display())));
    }
    for source in sources(&repository()).iter().filter(|source| !source.path.ends_with(file!())) {
        let words = source.text.split(|c: char| !(c.is_ascii_alphanumeric() || "/_-.".contains(c)));
        let pages = words.map(|word| word.trim_end_matches('.')).filter(|word| {
            let shouted = word.strip_suffix(".md").is_some_and(|name| name.chars().all(|c| c.is_ascii_uppercase()));
            (word.starts_with("docs/") && word.contains(".md"))
                || (shouted && !["README", "AGENTS"].iter().any(|known| word.starts_with(known)))
        });
        let missed = pages.filter(|word| !repository().join(word).exists());
        missing.extend(missed.map(|word| format!("{}: {word}", source.path.display())));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_promise_has_its_test() {
    let promises = document("docs/operators/security.md");
    let rows = promises.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    let named: Vec<&str> = rows.flat_map(quoted).filter(|word| word.contains("::")).collect();
    assert!(named.len() > 20, "the table of promises was not found");
    let files = sources(&repository());
    let missing: Vec<&str> = named
        .into_iter()
        .filter(|path| {
            let (module, name) = path.rsplit_once("::").unwrap();
            let file = format!("{}.rs", module.replace("::", "/"));
            let definition = format!("fn {name}(");
            !files.iter().any(|source| source.path.ends_with(&file) && source.text.contains(&definition))
        })
        .collect();
    assert!(missing.is_empty(), "docs/operators/security.md names tests that are not there: {missing:?}");
}

#[test]
fn what_is_measured_is_in_the_documents_and_what_is_in_the_documents_is_measured() {
    let files = sources(&repository()).into_iter().filter(|source| source.path.starts_with("core/src/telemetry"));
    let metrics: String = files.map(|source| source.text).collect();
    let registered = metrics.split("r.register").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let registered: BTreeSet<String> = registered.map(|name| format!("weft_{name}")).collect();
    let base = |name: &str| {
        let ends = ["", "_total", "_seconds", "_bytes"];
        ends.iter().find_map(|end| name.strip_suffix(end).filter(|name| registered.contains(*name)).map(str::to_owned))
    };
    let mut told = BTreeSet::new();
    let mut unknown = Vec::new();
    for (document, text) in documents() {
        let named = quoted(&text).filter(|word| word.starts_with("weft_") && !word.contains("::"));
        let names = named.map(|word| word.split(['{', ' ']).next().unwrap_or(word));
        for name in names.filter(|name| !name.ends_with('*')) {
            match base(name) {
                Some(name) => _ = told.insert(name),
                None => unknown.push(format!("{}: {name}", document.display())),
            }
        }
    }
    assert!(registered.len() > 20 && unknown.is_empty(), "{registered:?} has no {unknown:?}");
    let untold: Vec<_> = registered.difference(&told).collect();
    assert!(untold.is_empty(), "no document tells of {untold:?}");
}

/// The table of problems is that of the host, row by row.
#[test]
fn every_problem_is_in_the_documents_as_the_host_knows_it() {
    let rows = ProblemType::ALL.iter().map(|kind| {
        let statuses: Vec<_> = kind.statuses().iter().map(|status| status.as_str().to_owned()).collect();
        format!("| `{}` | {} | {} | {} |\n", kind.as_str(), statuses.join(", "), kind.title(), kind.meaning())
    });
    let table = format!("| type | status | title | what |\n|---|---|---|---|\n{}", rows.collect::<String>());
    let page = document("docs/frontends/problems.md");
    assert!(page.contains(&table), "the table in docs/frontends/problems.md should be:\n{table}");
}

/// The table of rules is that of `weft diff` and of releases.
#[test]
fn every_rule_of_compatibility_is_in_the_documents_as_the_code_has_it() {
    let (page, table) = (document("docs/frontends/compatibility.md"), weft::compat::table());
    assert!(page.contains(&table), "the table in docs/frontends/compatibility.md should be:\n{table}");
}

/// Whatever can be a problem is one somewhere, and what the SDK calls by such a name is one too.
#[test]
fn every_problem_type_is_used() {
    let host: Vec<_> = ["host/src", "core/src"].iter().flat_map(|root| sources(&repository().join(root))).collect();
    for kind in ProblemType::ALL {
        let name = format!("ProblemType::{kind:?}");
        assert!(host.iter().any(|source| source.text.contains(&name)), "nobody makes {name}");
    }
    let sdk = sources(&repository().join("sdk/rust/src"));
    let named = sdk.iter().flat_map(|source| source.text.split("\"urn:weft:problem:").skip(1));
    let named: BTreeSet<_> = named.filter_map(|rest| rest.split('"').next()).collect();
    let unknown: Vec<_> = named.iter().filter(|word| !ProblemType::ALL.iter().any(|k| k.as_str() == **word)).collect();
    assert!(!named.is_empty() && unknown.is_empty(), "the SDK has problems that the host does not know: {unknown:?}");
}

/// What stands in the last column of the glossary is a name in the code, so who renames something finds its word here.
#[test]
fn the_glossary_names_what_is_in_the_code() {
    let map = document("ARCHITECTURE.md");
    let (_, glossary) = map.split_once("## Glossary").unwrap();
    let (glossary, _) = glossary.split_once("\n## ").unwrap();
    let rows: Vec<&str> = glossary.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let words: BTreeSet<String> = sources(&repository()).iter().flat_map(super::source::Source::words).collect();
    let cells = rows.iter().filter_map(|row| row.strip_suffix(" |")?.rsplit_once('|')).map(|(_, cell)| cell);
    let names = cells.flat_map(quoted).filter(|name| !name.contains(' '));
    let unknown: Vec<&str> = names.filter(|name| !words.contains(*name)).collect();
    assert!(rows.len() > 20 && unknown.is_empty(), "the glossary names what is not in the code: {unknown:?}");
}

#[test]
fn every_decision_is_dated_and_says_why() {
    let mut records = 0;
    for (place, text) in documents().iter().filter(|(place, _)| place.starts_with("docs/inside/decisions")) {
        for record in text.split("\n## ").skip(1) {
            let (title, rest) = record.split_once('\n').unwrap();
            let is_dated = rest.trim_start().starts_with("20");
            let is_whole = ["**Context.**", "**Decision.**"].iter().all(|part| rest.contains(part));
            assert!(is_dated && is_whole, "{}: {title}", place.display());
            records += 1;
        }
    }
    assert!(records > 20, "the decisions were not found");
}
