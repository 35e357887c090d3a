//! What is in `deploy/` for running a host: manifests that Kubernetes would read whole, an image that starts, units that systemd knows.

mod image;
mod manifests;
mod units;

use std::{fs, path::PathBuf};
use weft_tests::repository;

fn deployed(path: &str) -> PathBuf {
    repository().join("deploy").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(deployed(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A step of a Dockerfile: its word, and the rest of its line.
type Step = (String, String);

/// The steps of the last stage of `deploy/Dockerfile`, which make the image.
fn last_stage() -> Vec<Step> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let steps: Vec<Step> = lines.filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.into(), b.into())).collect();
    let last = steps.iter().rposition(|(word, _)| word == "FROM").unwrap();
    steps[last..].to_vec()
}

/// What stands behind this word in the last stage.
fn step(word: &str) -> String {
    let steps = last_stage();
    steps.iter().find(|(found, _)| found == word).unwrap_or_else(|| panic!("no {word}")).1.clone()
}

/// A command that is written as a list.
fn list(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap()
}
