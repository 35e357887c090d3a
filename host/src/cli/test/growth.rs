//! Whether an endpoint's calls grow with a list: each list of each reply grows alone, and then all together.
//!
//! What grows is told with the call: how often it left the host, or how long the chain of calls became that waited for one another.

use super::{
    stage::{Asked, Outcome, Stage, Trial},
    verdict::Verdict,
};
use crate::mocks::replies::{ListField, Replies, Sizes};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Items of each list at first, of one that grows, and of all when all grow.
const FEW: usize = 2;
const MANY: usize = 6;
const ALL: usize = 4;
/// Runs of a size before it is said that calls grow: on a machine that is busy, calls that would travel together may not.
const RUNS: usize = 3;

/// What one run called.
#[derive(Debug, Default)]
struct Calls {
    /// Calls that left the host, by the method that the plugin called.
    upstream: BTreeMap<String, usize>,
    /// The longest chain of calls that ends in one of this method.
    depth: BTreeMap<String, u64>,
    /// Those that reached a backend, as they were sent.
    sent: BTreeSet<String>,
    status: u16,
    told: String,
    /// The plugin gave no answer: it met a limit, or trapped.
    has_failed: bool,
}

impl Calls {
    fn total(&self) -> usize {
        self.upstream.values().sum()
    }

    fn depth(&self) -> u64 {
        self.depth.values().copied().max().unwrap_or_default()
    }
}

/// Tries the endpoint that this request is for.
pub(super) fn check(stage: &Stage, replies: &Replies, asked: &Asked) -> anyhow::Result<(Verdict, String)> {
    let run = |sizes: Sizes| calls(stage, replies, asked, sizes);
    let base = run(Sizes::all(FEW))?;
    if base.status >= 400 {
        let answers = format!("{} {} answers {}", asked.method, asked.target, base.told);
        return Ok(match base.has_failed {
            true => (Verdict::Failed(vec![answers]), String::new()),
            false => (Verdict::Untried(format!("{answers}; write a case with a request that it takes")), String::new()),
        });
    }
    if base.sent.is_empty() {
        return Ok((Verdict::Passed, "calls nothing".to_owned()));
    }
    let lists: BTreeSet<ListField> = base.sent.iter().flat_map(|method| replies.lists(method)).collect();
    if lists.is_empty() {
        return Ok((Verdict::Passed, "no reply has a list: its calls never depend on one".to_owned()));
    }
    let mut wrong = Vec::new();
    for list in &lists {
        let sizes = || Sizes::all(FEW).with(list.clone(), MANY);
        let grown = grown(&stage.rules.may_grow, &run, base_of(&base), &sizes)?;
        wrong.extend(grown.map(|grown| format!("{}.{} from {FEW} to {MANY} items: {grown}", list.0, list.1)));
    }
    if wrong.is_empty() {
        let grown = grown(&stage.rules.may_grow, &run, base_of(&base), &|| Sizes::all(ALL))?;
        wrong.extend(grown.map(|grown| format!("all lists from {FEW} to {ALL} items: {grown}")));
    }
    let count = lists.len();
    let note = format!("calls do not grow with any of {count} list{}", if count == 1 { "" } else { "s" });
    Ok(if wrong.is_empty() { (Verdict::Passed, note) } else { (Verdict::Failed(wrong), String::new()) })
}

fn base_of(base: &Calls) -> (usize, u64, &Calls) {
    (base.total(), base.depth(), base)
}

/// What grows, in words; `None` where nothing does.
fn grown(
    may_grow: &BTreeSet<String>,
    run: &dyn Fn(Sizes) -> anyhow::Result<Calls>,
    (mut most, deepest, first): (usize, u64, &Calls),
    sizes: &dyn Fn() -> Sizes,
) -> anyhow::Result<Option<String>> {
    let mut least: Option<Calls> = None;
    let mut deepest = deepest;
    for again in 0..RUNS {
        let found = run(sizes())?;
        if found.status >= 400 {
            return Ok(Some(format!("it answers {} and no more {}", found.told, first.status)));
        }
        let is_more = |calls: &Calls| calls.total() > most || calls.depth() > deepest;
        if !is_more(&found) {
            return Ok(None);
        }
        if least.as_ref().is_none_or(|least| (found.depth(), found.total()) < (least.depth(), least.total())) {
            least = Some(found);
        }
        if again + 1 < RUNS {
            // Perhaps it was the smaller one that was lucky.
            let small = run(Sizes::all(FEW))?;
            (most, deepest) = (most.max(small.total()), deepest.max(small.depth()));
        }
    }
    let Some(found) = least.filter(|found| found.total() > most || found.depth() > deepest) else { return Ok(None) };
    Ok(told(may_grow, first, &found))
}

/// The calls that are more, and the ones that wait for one another.
fn told(may_grow: &BTreeSet<String>, before: &Calls, after: &Calls) -> Option<String> {
    let is_counted = |method: &&String| !may_grow.contains(*method);
    let more: Vec<String> = after
        .upstream
        .iter()
        .filter(|(method, _)| is_counted(method))
        .filter_map(|(method, now)| {
            let was = before.upstream.get(method).copied().unwrap_or_default();
            (*now > was).then(|| format!("{method} is sent {was} → {now} times"))
        })
        .collect();
    let deepest = after.depth.iter().filter(|(method, _)| is_counted(method)).max_by_key(|(_, depth)| **depth);
    let deeper = deepest.filter(|(_, depth)| **depth > before.depth()).map(|(method, depth)| {
        format!(
            "{method} waits for itself in a loop, depth {} → {depth}: start the calls first and await them together (`join_all`)",
            before.depth()
        )
    });
    let mend = if deeper.is_none() && !more.is_empty() {
        ": give it a batch rule, or ask for all items at once (`[test] may-grow` of plugin.toml where it may)"
    } else {
        ""
    };
    let parts: Vec<String> = deeper.into_iter().chain(more).collect();
    (!parts.is_empty()).then(|| format!("{}{mend}", parts.join("; ")))
}

fn calls(stage: &Stage, replies: &Replies, asked: &Asked, sizes: Sizes) -> anyhow::Result<Calls> {
    let mut trial = Trial::new(asked.clone(), replies.clone().sized(sizes));
    (trial.explains, trial.unbounded) = (true, true);
    let outcome = stage.run(trial)?;
    let waterfall = outcome.json();
    Ok(match waterfall.as_ref().and_then(|waterfall| explained(waterfall, &outcome)) {
        Some(calls) => calls,
        // Refused before its calls were recorded.
        None => Calls {
            depth: BTreeMap::from([(String::new(), u64::from(outcome.depth))]),
            sent: outcome.upstream.keys().cloned().collect(),
            status: outcome.status,
            told: outcome.told(),
            has_failed: outcome.ran.failed.is_some(),
            upstream: outcome.upstream,
        },
    })
}

/// What the waterfall says: which call went in which trip, and which waited for which.
fn explained(waterfall: &Value, outcome: &Outcome) -> Option<Calls> {
    let answer = waterfall.get("answer")?;
    let status = u16::try_from(answer.get("status")?.as_u64()?).ok()?;
    let detail = answer.get("detail").and_then(Value::as_str);
    let reason = outcome.ran.failed.as_deref().or(detail);
    let mut calls = Calls {
        status,
        told: reason.map_or_else(|| status.to_string(), |reason| format!("{status}: {reason}")),
        sent: outcome.upstream.keys().cloned().collect(),
        has_failed: outcome.ran.failed.is_some(),
        ..Calls::default()
    };
    let mut trips = BTreeSet::new();
    for call in waterfall.get("calls")?.as_array()? {
        let method = call.get("method")?.as_str()?;
        let depth = call.get("depth").and_then(Value::as_u64).unwrap_or_default();
        let deepest = calls.depth.entry(method.to_owned()).or_default();
        *deepest = depth.max(*deepest);
        if let Some(trip) = call.get("trip").and_then(Value::as_u64)
            && trips.insert(trip)
        {
            *calls.upstream.entry(method.to_owned()).or_default() += 1;
        }
    }
    Some(calls)
}
