//! Which release is meant: by file, by plugin and version, or by digest.

use super::super::Failure;
use crate::{admin::ReleasesAnswer, release::history::Record, settings::nearest};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use std::path::Path;

/// Digits of a digest that tell releases apart.
const LEAST: usize = 4;

/// What was named.
pub(super) enum Named<'a> {
    File(Bytes),
    Known(&'a Record),
}

/// A file if there is one of that name, else a release that is known.
pub(super) fn named<'a>(answer: &'a ReleasesAnswer, text: &str) -> Result<Named<'a>, Failure> {
    let path = Path::new(text);
    if path.is_file() {
        let bytes = std::fs::read(path).with_context(|| text.to_owned())?;
        return Ok(Named::File(bytes.into()));
    }
    if text.ends_with(".wasm") {
        return Err(Failure::Usage(format!(
            "{text}: there is no such file; `weft build` makes artifacts in target/weft"
        )));
    }
    Ok(Named::Known(find(answer, text)?))
}

pub(super) fn find<'a>(answer: &'a ReleasesAnswer, text: &str) -> anyhow::Result<&'a Record> {
    let all = || answer.plugins.iter().flat_map(|plugin| &plugin.releases);
    if let Some((plugin, version)) = text.split_once('@') {
        let is_it = |record: &&Record| record.name.plugin == plugin && record.name.version.to_string() == version;
        let mut found = all().filter(is_it);
        return match (found.next(), found.next()) {
            (Some(record), None) => Ok(record),
            (Some(_), Some(_)) => Err(anyhow!("there are several artifacts of `{text}`: name one by its digest")),
            (None, _) => Err(unknown(answer, text, plugin)),
        };
    }
    let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let is_digest = digits.len() >= LEAST && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut found = all().filter(|record| is_digest && record.digest.hex().starts_with(&digits));
    match (found.next(), found.next()) {
        (Some(record), None) => Ok(record),
        (Some(_), Some(_)) => Err(anyhow!("`{text}` is the beginning of several digests: give more of it")),
        (None, _) => Err(unknown(answer, text, text)),
    }
}

fn unknown(answer: &ReleasesAnswer, text: &str, plugin: &str) -> anyhow::Error {
    let known = answer.plugins.iter().map(|plugin| plugin.plugin.as_str());
    let hint = nearest(plugin, known).map_or_else(String::new, |near| format!(" (there is a plugin `{near}`)"));
    anyhow!(
        "no release `{text}` is known there{hint}: give a file, PLUGIN@VERSION, or a digest or the beginning of one; `weft release list` shows \
         what there is"
    )
}

/// Of a plugin, as it was seen: what nobody knows has none, and the host says so.
pub(super) fn revision(answer: &ReleasesAnswer, plugin: &str) -> u64 {
    answer.plugins.iter().find(|known| known.plugin == plugin).map_or(0, |known| known.revision)
}
