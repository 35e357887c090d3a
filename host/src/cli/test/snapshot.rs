//! Whole answers, kept beside the cases and compared with what comes.

use super::stage::Outcome;
use anyhow::Context;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// What differs from the file; with `blesses` the file is written.
pub(super) fn check(file: &Path, outcome: &Outcome, blesses: bool) -> anyhow::Result<Vec<String>> {
    let found = text(outcome);
    let shown = file.display();
    if blesses {
        let folder = file.parent().unwrap_or(Path::new("."));
        let is_same = fs::read_to_string(file).is_ok_and(|before| before == found);
        if !is_same {
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(file, found))
                .with_context(|| format!("{shown} can't be written"))?;
        }
        return Ok(Vec::new());
    }
    let Ok(kept) = fs::read_to_string(file) else {
        return Ok(vec![format!("{shown} is not there yet: look at the answer, and write it by `weft test --bless`")]);
    };
    if kept == found {
        return Ok(Vec::new());
    }
    let lines = kept.lines().zip(found.lines()).enumerate().find(|(_, (one, other))| one != other);
    let place = match lines {
        Some((at, (was, is))) => format!(":{}: was `{}`, and is `{}`", at + 1, was.trim(), is.trim()),
        None => format!(": has {} lines, and the answer has {}", kept.lines().count(), found.lines().count()),
    };
    Ok(vec![format!("{shown}{place}; `weft test --bless` takes the new answer")])
}

/// Without what each answer has of its own.
fn text(outcome: &Outcome) -> String {
    let body = outcome.json().map_or_else(
        || Value::String(String::from_utf8_lossy(&outcome.body).into_owned()),
        |mut body| {
            if let Some(members) = body.as_object_mut().filter(|_| outcome.status >= 400) {
                for own in ["request_id", "trace_id", "instance"] {
                    members.remove(own);
                }
            }
            body
        },
    );
    let kind = outcome.headers.get("content-type").and_then(|value| value.to_str().ok());
    let snapshot = json!({
        "status": outcome.status, "content-type": kind, "degraded": outcome.degraded, "upstream": outcome.upstream, "depth": outcome.depth,
        "body": body,
    });
    serde_json::to_string_pretty(&snapshot).unwrap_or_default() + "\n"
}
