//! What the compiler says of code that is wrong, by rustc itself: each mistake is told at its place, with what mends it.
//!
//! `tests/all/mistakes` has plugins with mistakes, and beside each what is said of it. With `WEFT_BLESS=1` that is written anew.

use crate::support::weft;
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};
use weft_tests::{author::Author, repository};

/// This one is in a crate that has no build.rs.
const BARE: &str = "clients";

fn folder() -> PathBuf {
    repository().join("tests/all/mistakes")
}

/// The names of the plugins.
fn plugins() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<_> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// One crate has all of them as examples, so that what they depend on is compiled once.
async fn desk(names: &[String]) -> Author {
    let author = Author::new(weft());
    let protos = repository().join("examples/protos");
    author.begin("mistakes", &["--client", "web", "--protos", protos.to_str().unwrap()]).await;
    fs::remove_dir_all(author.folder.join("mistakes/tests")).unwrap();
    author.write("mistakes/src/lib.rs", "//! Nothing is wrong here.\n");
    author.write(
        "mistakes/plugin.toml",
        "[plugin]\nname = \"mistakes\"\nversion = \"0.1.0\"\nclient = \"web\"\n[calls]\n\"catalog.v1.Films\" = [\"GetFilm\"]\n",
    );
    let manifest = author.read("mistakes/Cargo.toml");
    let (package, _) = manifest.split_once("[build-dependencies]").unwrap();
    let (mut examples, mut bare) =
        (String::new(), package.replace("\"mistakes\"", "\"bare\"").replace(".weft", "../.weft"));
    for name in names {
        let to = if name == BARE { &mut bare } else { &mut examples };
        let file = folder().join(format!("{name}.rs"));
        write!(to, "\n[[example]]\nname = {name:?}\npath = {file:?}\ncrate-type = [\"lib\"]\n").unwrap();
    }
    let manifest = manifest.replace("[workspace]\n", "[workspace]\nmembers = [\"bare\"]\n");
    author.write("mistakes/Cargo.toml", &(manifest + &examples));
    fs::create_dir_all(author.folder.join("mistakes/bare/src")).unwrap();
    author.write("mistakes/bare/src/lib.rs", "//! Nothing is wrong here.\n");
    author.write("mistakes/bare/Cargo.toml", &bare);
    author
}

/// All that the compiler says, by the plugin that it says it of.
fn told(output: &str) -> BTreeMap<String, String> {
    let mut told = BTreeMap::<String, String>::new();
    for line in output.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["reason"] != "compiler-message" {
            continue;
        }
        let rendered = message["message"]["rendered"].as_str().unwrap();
        // A sum, and where to read on.
        if message["message"]["level"] == "failure-note" || rendered.starts_with("error: aborting due to") {
            continue;
        }
        let text = told.entry(message["target"]["name"].as_str().unwrap().to_owned()).or_default();
        text.push_str(&own(rendered));
        text.push('\n');
    }
    told
}

/// Without the excerpts from files that are not the plugin's, and without numbers: they change with the SDK and its libraries.
fn own(rendered: &str) -> String {
    let (mut text, mut is_foreign) = (String::new(), false);
    let own = format!("{}/", folder().display());
    for line in rendered.trim_end().replace(&own, "").lines() {
        let begun = line.trim_start();
        let place = begun.strip_prefix("--> ").or_else(|| begun.strip_prefix("::: "));
        if let Some(place) = place {
            is_foreign = place.contains('/');
            if !is_foreign {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        }
        let is_excerpt =
            begun.starts_with('|') || begun.starts_with("...") || begun.starts_with(|c: char| c.is_ascii_digit());
        is_foreign &= is_excerpt;
        if !is_foreign {
            let is_count = begun.starts_with("and ") && begun.ends_with(" others");
            text.push_str(if is_count { "  and others" } else { line });
            text.push('\n');
        }
    }
    text
}

#[tokio::test]
async fn mistakes_are_told_at_their_place_with_what_mends_them() {
    let names = plugins();
    let author = desk(&names).await;
    let arguments = ["build", "--offline", "--workspace", "--examples", "--keep-going", "--message-format=json"];
    let ended = author.cargo("mistakes", &arguments).await;
    let told = told(&ended.out);
    let mut wrong = String::new();
    for name in &names {
        let said = told.get(name).unwrap_or_else(|| panic!("nothing is said of {name}:\n{}", ended.err));
        let golden = folder().join(format!("{name}.stderr"));
        if std::env::var_os("WEFT_BLESS").is_some() {
            fs::write(&golden, said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != *said {
            writeln!(wrong, "{name}:\n{said}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "this is said now; if it is as it should be, WEFT_BLESS=1 writes it:\n{wrong}");
    let kept = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let lost: Vec<_> = kept.filter(|path| !path.with_extension("rs").exists()).collect();
    assert!(lost.is_empty(), "of no plugin: {lost:?}");
}
