//! Whether a page outlives its backends: each is failed once, by itself. Where all that a page calls of one has a fallback in the
//! manifest, the page has to be there without it.

use super::{
    stage::{Asked, Stage, Trial},
    verdict::Verdict,
};
use crate::{
    mocks::replies::{Given, Replies},
    model::{Code, Failure},
};
use std::collections::BTreeSet;

/// Tries the endpoint that this request is for. Says of each backend what becomes of the page without it.
pub(super) fn check(stage: &Stage, replies: &Replies, asked: &Asked) -> anyhow::Result<Option<(Verdict, String)>> {
    let base = stage.run(Trial::new(asked.clone(), replies.clone()))?;
    if base.status >= 400 || base.upstream.is_empty() {
        return Ok(None);
    }
    let manifest = &stage.artifact.manifest;
    let (mut wrong, mut notes) = (Vec::new(), Vec::new());
    for (backend, services) in stage.rules.backends(manifest) {
        let is_of_backend = |method: &&String| {
            method.split_once('/').is_some_and(|(service, _)| services.iter().any(|of| of == service))
        };
        let sent: BTreeSet<&String> = base.upstream.keys().filter(is_of_backend).collect();
        if sent.is_empty() {
            continue;
        }
        let optional: Vec<&String> = manifest.fallbacks.keys().filter(is_of_backend).collect();
        let needed: Vec<&String> =
            stage.artifact.methods.iter().filter(is_of_backend).filter(|m| !optional.contains(m)).collect();
        // Of a backend that the page needs as well, only what it can do without is failed.
        let is_needed = needed.iter().any(|method| sent.contains(method) || is_batched(stage, method, &sent));
        let failed: Vec<String> = match (is_needed, optional.is_empty()) {
            (true, false) => with_batches(stage, optional.iter().copied()),
            _ => with_batches(stage, stage.artifact.methods.iter().filter(is_of_backend)),
        };
        let replies =
            failed.iter().fold(replies.clone(), |replies, method| replies.given(method, Given::failure(away())));
        let outcome = stage.run(Trial::new(asked.clone(), replies))?;
        let is_there = outcome.status < 500;
        let without = optional.first().filter(|_| is_needed).map_or(backend.as_str(), |method| method.as_str());
        let degraded = if outcome.degraded.is_empty() { "" } else { ", degraded" };
        match (optional.is_empty(), is_there) {
            (false, false) => wrong.push(format!(
                "{} is optional by [fallback], and without it the page is gone: it answers {}",
                optional.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", "),
                outcome.told()
            )),
            _ => notes.push(format!("without {without} {}{degraded}", outcome.status)),
        }
    }
    let verdict = if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong) };
    Ok(Some((verdict, notes.join("; "))))
}

fn away() -> Failure {
    Failure::new(Code::Unavailable, "failed by weft test")
}

/// Whether calls of the method were sent as a batch.
fn is_batched(stage: &Stage, method: &str, sent: &BTreeSet<&String>) -> bool {
    stage.rules.via(method).is_some_and(|via| sent.contains(&via))
}

/// These methods, and what their calls are batched by.
fn with_batches<'a>(stage: &Stage, methods: impl Iterator<Item = &'a String>) -> Vec<String> {
    methods.flat_map(|method| std::iter::once(method.clone()).chain(stage.rules.via(method))).collect()
}
