//! `weft test`: the plugin as it would serve, tried against its cases and against backends that answer by its protos.

mod backends;
mod case;
mod check;
mod compare;
mod growth;
mod made;
mod names;
mod optional;
mod report;
mod rules;
mod snapshot;
mod stage;
mod verdict;
mod watched;
mod watching;

use super::{Failure, Result, build, print, runtime, scratch::Scratch, sdk, tell};
use crate::{artifact::Artifact, mocks::replies::Replies};
use anyhow::{Context, anyhow};
use case::Case;
use check::Checks;
pub(super) use names::{beside, plain};
use report::Report;
use rules::Rules;
use stage::Stage;
pub(super) use stage::check_rules;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::signal::unix::{SignalKind, signal};

/// Try the plugin in this folder: its cases, whether calls grow with a list, and each backend away once
///
/// Builds the plugin and runs it in the host's own sandbox, limits on, in front of backends that answer by the protos. Each case of
/// `tests/*.toml` is a request with what backends answer and what is expected. Beside the cases each endpoint is tried with short and
/// long lists: calls that grow with them (N+1, or a chain that becomes longer) fail, and are named. And each backend is failed once, by
/// itself: a part that has a fallback in the manifest may not take the page with it.
///
/// Exit codes: 0 all is well, 1 something failed, 2 wrong usage or a mistake in a file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's folder: the one with `plugin.toml`
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Only cases and endpoints whose name contains this; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Take the batch rules of this configuration of a host, instead of those of `[test]` in plugin.toml, or of AIP-231
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Try this artifact, and build nothing
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,
    /// Write the answers of cases with `snapshot = true` as they are now
    #[arg(long)]
    bless: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    /// Write what was found as JUnit's XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Go on, and try again whenever a file of the plugin is saved
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

pub(super) fn run(arguments: Arguments) -> Result {
    let scratch = Arc::new(Scratch::new("test")?);
    let runtime = runtime()?;
    let work = {
        let scratch = scratch.clone();
        move || if arguments.watch { watching::watch(&arguments, &scratch) } else { once(&arguments, &scratch) }
    };
    let outcome = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            done = tokio::task::spawn_blocking(work) => done?,
            _ = terminate.recv() => interrupted(),
            _ = interrupt.recv() => interrupted(),
        }
    });
    scratch.clear();
    runtime.shutdown_background();
    outcome
}

fn interrupted() -> Result {
    tell("Stopped.");
    Err(Failure::Told(1))
}

/// One run, from the build to the report.
fn once(arguments: &Arguments, scratch: &Scratch) -> Result {
    let artifact = match &arguments.artifact {
        Some(file) => {
            let bytes = fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
            Artifact::parse(bytes.into()).with_context(|| format!("{} is no artifact", file.display()))?
        }
        None => build::built(&arguments.folder, arguments.json)?.artifact,
    };
    let ready = Ready::new(artifact, &arguments.folder, arguments.config.as_deref(), scratch)?;
    let Ready { stage, cases, .. } = &ready;
    check_filters(&arguments.only, cases, stage)?;
    let found = ready.checks(&arguments.only, arguments.bless).run();
    let report = Report::new(stage, cases, &found);
    if let Some(file) = &arguments.junit {
        write(file, &report.junit())?;
    }
    match arguments.json {
        true => print(&serde_json::to_string_pretty(&report.json())?),
        false => print(&report.text()),
    }
    if report.has_failed() { Err(Failure::Told(1)) } else { Ok(()) }
}

/// All that a run needs.
struct Ready {
    stage: Stage,
    replies: Replies,
    cases: Vec<Case>,
}

impl Ready {
    fn new(artifact: Artifact, folder: &Path, config: Option<&Path>, scratch: &Scratch) -> Result<Self> {
        let rules = Rules::read(&artifact, folder, config)?;
        let stage = Stage::new(artifact, rules, &sdk::beside("compiled")?, scratch)?;
        let replies = Replies::new(stage.artifact.descriptors.clone(), 0);
        let batches = stage.rules.batches().into_iter();
        let replies = batches.fold(replies, |replies, (via, batch)| replies.batched(&via, batch));
        let cases = case::read(folder, &stage.artifact, &replies).map_err(Failure::Mistakes)?;
        Ok(Self { stage, replies, cases })
    }

    fn checks<'a>(&'a self, filters: &'a [String], blesses: bool) -> Checks<'a> {
        Checks { stage: &self.stage, cases: &self.cases, replies: &self.replies, blesses, filters }
    }
}

/// One case, for whoever has just written it.
#[derive(Debug)]
pub(super) struct Once<'a> {
    pub(super) folder: &'a Path,
    pub(super) config: Option<&'a Path>,
    pub(super) case: &'a str,
}

impl Once<'_> {
    /// What differs from what it expects.
    pub(super) fn run(&self, artifact: Artifact, scratch: &Scratch) -> Result<Vec<String>> {
        let ready = Ready::new(artifact, self.folder, self.config, scratch)?;
        let case = ready.cases.iter().find(|case| case.name == self.case);
        let case = case.ok_or_else(|| anyhow!("there is no case {:?}", self.case))?;
        Ok(ready.checks(&[], false).only(case)?)
    }
}

/// A name that nothing has is a slip: all would be well, because nothing was tried.
fn check_filters(only: &[String], cases: &[Case], stage: &Stage) -> Result {
    let endpoints = stage.artifact.manifest.endpoints.iter().map(|policy| policy.name.to_string());
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).chain(endpoints).collect();
    match only.iter().find(|part| !names.iter().any(|name| name.contains(part.as_str()))) {
        Some(part) => Err(Failure::Usage(format!(
            "`--only {part}`: no case and no endpoint has that in its name; there are:\n  {}",
            names.join("\n  ")
        ))),
        None => Ok(()),
    }
}

/// Whole or not at all.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let part = file.with_extension("part");
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&part, text))
        .and_then(|()| fs::rename(&part, file))
        .with_context(|| format!("{} can't be written", file.display()))
}
