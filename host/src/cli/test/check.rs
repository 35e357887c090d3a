//! All that is tried of a plugin, and what came of it.

use super::{
    case::Case,
    compare::differences,
    growth, made, optional, snapshot,
    stage::{Asked, Outcome, Stage, Trial},
    verdict::{Check, Kind, Verdict},
};
use crate::{
    artifact::{EndpointPolicy, EndpointSchema, Isolation},
    mocks::{replies::Replies, schema},
    sync::lock,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

/// The share of a limit from where on it is near.
const NEAR: f64 = 0.8;

/// What is to be tried.
#[derive(Debug)]
enum Job<'a> {
    Case(&'a Case),
    Growth(&'a EndpointPolicy),
    Optional(&'a EndpointPolicy),
}

/// Everything that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) checks: Vec<Check>,
    /// Methods that any run has called upstream, as they were sent.
    pub(super) called: BTreeSet<String>,
}

/// What all checks know.
#[derive(Debug)]
pub(super) struct Checks<'a> {
    pub(super) stage: &'a Stage,
    pub(super) cases: &'a [Case],
    pub(super) replies: &'a Replies,
    pub(super) blesses: bool,
    /// Part of the name of what is tried; all where there is none.
    pub(super) filters: &'a [String],
}

impl Checks<'_> {
    /// Several at once. What can't be tried at all fails with its reason.
    pub(super) fn run(&self) -> Found {
        let jobs = self.jobs();
        let (next, called) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
        let done: Mutex<Vec<(usize, Check)>> = Mutex::default();
        let threads = available_parallelism().map_or(1, usize::from).min(jobs.len());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Relaxed);
                        let Some(job) = jobs.get(at) else { break };
                        if let Some(check) = self.job(job, &called) {
                            lock(&done).push((at, check));
                        }
                    }
                });
            }
        });
        let mut done = std::mem::take(&mut *lock(&done));
        done.sort_by_key(|(at, _)| *at);
        let called = std::mem::take(&mut *lock(&called));
        Found { checks: done.into_iter().map(|(_, check)| check).collect(), called }
    }

    fn jobs(&self) -> Vec<Job<'_>> {
        let is_meant =
            |name: &str| self.filters.is_empty() || self.filters.iter().any(|part| name.contains(part.as_str()));
        let cases = self.cases.iter().filter(|case| is_meant(&case.name) || is_meant(&case.endpoint)).map(Job::Case);
        let endpoints = || {
            let all = self.stage.artifact.manifest.endpoints.iter();
            all.filter(|policy| is_meant(&policy.name.to_string()))
        };
        cases.chain(endpoints().map(Job::Growth)).chain(endpoints().map(Job::Optional)).collect()
    }

    fn job(&self, job: &Job<'_>, called: &Mutex<BTreeSet<String>>) -> Option<Check> {
        let began = Instant::now();
        let (kind, name, endpoint, place) = match job {
            Job::Case(case) => (Kind::Case, case.name.clone(), case.endpoint.clone(), Some(case.place.clone())),
            Job::Growth(policy) => (Kind::Growth, policy.name.to_string(), policy.name.to_string(), None),
            Job::Optional(policy) => (Kind::Optional, policy.name.to_string(), policy.name.to_string(), None),
        };
        let found = match job {
            Job::Case(case) => self.case(case, called).map(Some),
            Job::Growth(policy) => {
                self.of_endpoint(policy, |asked| growth::check(self.stage, self.replies, asked).map(Some))
            }
            Job::Optional(policy) => self.of_endpoint(policy, |asked| optional::check(self.stage, self.replies, asked)),
        };
        let (verdict, note) = match found {
            Ok(found) => found?,
            Err(error) => (Verdict::Failed(vec![format!("{error:#}")]), String::new()),
        };
        Some(Check { kind, name, endpoint, place, verdict, note, took: began.elapsed() })
    }

    /// With the request of the endpoint's first case that expects a good answer, or with one that is made.
    fn of_endpoint<T>(
        &self,
        policy: &EndpointPolicy,
        check: impl FnOnce(&Asked) -> anyhow::Result<Option<(Verdict, T)>>,
    ) -> anyhow::Result<Option<(Verdict, T)>>
    where
        T: Default,
    {
        if policy.streams {
            // It may go on for as long as a client listens.
            let reason = "answers in parts, which only cases try".to_owned();
            return Ok(Some((Verdict::Untried(reason), T::default())));
        }
        let name = policy.name.to_string();
        let is_good = |case: &&Case| case.endpoint == name && case.expected.status.is_none_or(|status| status < 400);
        match self.cases.iter().find(is_good) {
            Some(case) => check(&case.asked),
            None => match made::request(policy, self.schema(&name)) {
                Ok(asked) => check(&asked),
                Err(reason) => {
                    let reason = format!("no request can be made from its schema ({reason}); write a case for it");
                    Ok(Some((Verdict::Untried(reason), T::default())))
                }
            },
        }
    }

    fn schema(&self, endpoint: &str) -> Option<&EndpointSchema> {
        let policy =
            self.stage.artifact.manifest.endpoints.iter().find(|policy| policy.name.to_string() == endpoint)?;
        self.stage.artifact.schema.iter().find(|schema| schema.is(&policy.name))
    }

    fn trial(&self, case: &Case) -> Trial {
        let mut trial = Trial::new(case.asked.clone(), case.replies(self.replies.clone()));
        trial.delays.clone_from(&case.delays);
        trial
    }

    /// What is wrong with one case.
    pub(super) fn only(&self, case: &Case) -> anyhow::Result<Vec<String>> {
        Ok(match self.case(case, &Mutex::default())?.0 {
            Verdict::Failed(wrong) => wrong,
            Verdict::Passed | Verdict::Untried(_) => Vec::new(),
        })
    }

    fn case(&self, case: &Case, called: &Mutex<BTreeSet<String>>) -> anyhow::Result<(Verdict, String)> {
        let mut outcome = self.stage.run(self.trial(case))?;
        if !self.near(&outcome).is_empty() {
            // Time is what a busy machine makes of it.
            let again = self.stage.run(self.trial(case))?;
            if again.ran.cost.cpu < outcome.ran.cost.cpu {
                outcome = again;
            }
        }
        lock(called).extend(outcome.upstream.keys().cloned());
        let mut wrong = Vec::new();
        if let Some(reason) = &outcome.ran.failed
            && case.expected.status != Some(outcome.status)
        {
            wrong.push(format!("{}: {reason}", case.endpoint));
        }
        wrong.extend(differences(&case.expected, &outcome));
        wrong.extend(self.breaks(case, &outcome));
        wrong.extend(self.near(&outcome));
        wrong.extend(self.remembers(case, &outcome)?);
        if let Some(file) = &case.snapshot {
            wrong.extend(snapshot::check(file, &outcome, self.blesses)?);
        }
        let note = format!(
            "{} calls, {} upstream, depth {}",
            outcome.calls,
            outcome.upstream.values().sum::<usize>(),
            outcome.depth
        );
        Ok((if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong) }, note))
    }

    /// What the endpoint's schema says otherwise of a good answer.
    fn breaks(&self, case: &Case, outcome: &Outcome) -> Vec<String> {
        let schema = self.schema(&case.endpoint).filter(|schema| !schema.streams());
        let Some(of) = schema.and_then(|schema| schema.response.as_ref()) else { return Vec::new() };
        if !(200..300).contains(&outcome.status) || outcome.body.is_empty() {
            return Vec::new();
        }
        // Members that were not asked for are left out, which is no break.
        let is_chosen = case.asked.target.contains("fields=");
        match outcome.json() {
            Some(body) => {
                let faults = schema::check(of, &body).into_iter();
                let faults = faults.filter(|fault| !(is_chosen && fault.message.contains("required")));
                faults.map(|fault| format!("the response breaks its schema: {fault}")).collect()
            }
            None => vec!["the response breaks its schema: it is no JSON".to_owned()],
        }
    }

    /// Limits of which more is used than is well.
    fn near(&self, outcome: &Outcome) -> Vec<String> {
        let limits = &self.stage.artifact.manifest.limits;
        let cost = &outcome.ran.cost;
        let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let kib = |bytes: u64| format!("{} KiB", bytes / 1024);
        let (memory, body) = (cost.memory as u64, outcome.body.len() as u64);
        [
            ("cpu", cost.cpu.as_secs_f64(), limits.cpu.as_secs_f64(), millis(cost.cpu), millis(limits.cpu)),
            ("memory", memory as f64, limits.memory.0 as f64, kib(memory), kib(limits.memory.0)),
            (
                "calls",
                f64::from(outcome.calls),
                f64::from(limits.calls),
                outcome.calls.to_string(),
                limits.calls.to_string(),
            ),
            ("response", body as f64, limits.response.0 as f64, kib(body), kib(limits.response.0)),
        ]
        .into_iter()
        .filter(|(_, used, most, ..)| *most > 0.0 && *used > most * NEAR)
        .map(|(name, used, most, told, limit)| {
            let share = (used / most * 100.0).round();
            format!("limits.{name}: {told} of {limit} are used ({share} %), and more than 80 % is too near")
        })
        .collect()
    }

    /// Whether an instance that serves again tells of who called before.
    fn remembers(&self, case: &Case, outcome: &Outcome) -> anyhow::Result<Option<String>> {
        if self.stage.artifact.manifest.limits.isolation != Isolation::Reuse {
            return Ok(None);
        }
        let mut before = case.asked.clone();
        if let Some(claims) = &mut before.caller {
            claims.insert("sub".to_owned(), json!("weft-test-before"));
        }
        let mut trial = self.trial(case);
        trial.before = Some(before);
        let after = self.stage.run(trial)?;
        let same = (after.status, &after.body) == (outcome.status, &outcome.body);
        Ok((!same).then(|| {
            let shown = |body: &[u8]| -> Value { serde_json::from_slice(body).unwrap_or_default() };
            format!(
                "isolation = \"reuse\": after another caller's request on the same instance the answer is another one: {} and not {}; \
                 what a module keeps stays for the next caller",
                shown(&after.body),
                shown(&outcome.body)
            )
        }))
    }
}
