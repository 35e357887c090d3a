//! `weft check`.

use super::{Failure, Result, print, runtime};
use crate::{
    artifact::Artifact,
    config::Config,
    fanout::{self, Engine, PlanError},
    settings::{Mistake, Place},
    telemetry::Metrics,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Find every mistake in a configuration and in the artifacts that it would serve
///
/// Starts nothing. Also proposes batch rules, ready to paste, for methods that plugins call one by one although the service has a
/// coarse-grained method after AIP-231.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, default_value = "weft.toml")]
    config: PathBuf,
    /// Print mistakes and proposals as JSON
    #[arg(long)]
    json: bool,
}

/// What the check found.
#[derive(Debug, Default, serde::Serialize)]
struct Found {
    mistakes: Vec<Mistake>,
    /// By the table that it belongs into: a line to paste.
    proposals: BTreeMap<String, String>,
    artifacts: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let found = match Config::load(&arguments.config) {
        Ok(config) => check(&config)?,
        Err(mistakes) => Found { mistakes, ..Found::default() },
    };
    if arguments.json {
        print(&serde_json::to_string_pretty(&found)?);
        return if found.mistakes.is_empty() { Ok(()) } else { Err(Failure::Mistakes(found.mistakes)) };
    }
    if !found.mistakes.is_empty() {
        return Err(Failure::Mistakes(found.mistakes));
    }
    print(&format!("{}: no mistakes", arguments.config.display()));
    for artifact in &found.artifacts {
        print(&format!("  {artifact}"));
    }
    for (table, rule) in &found.proposals {
        let method = table.split('"').nth(1).unwrap_or(table);
        print(&format!("\n{method} is called one by one, and could be batched. Add, if it is right:\n{table}\n{rule}"));
    }
    Ok(())
}

fn check(config: &Config) -> Result<Found> {
    // Channels to backends belong to a runtime, although nothing is connected here.
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let (engine, _) =
        Engine::new(config.fanout.clone(), config.forward.clone(), &Metrics::default()).map_err(anyhow::Error::msg)?;
    let mut found = Found::default();
    let clients = config.clients.names();
    for file in artifacts(&config.plugins.folder) {
        let name = file.display().to_string();
        let mut complain = |message: String| {
            found.mistakes.push(Mistake { file: name.as_str().into(), line: 0, key: String::new(), message });
        };
        let artifact = match std::fs::read(&file)
            .map_err(|e| e.to_string())
            .and_then(|b| Artifact::parse(b.into()).map_err(|e| e.to_string()))
        {
            Ok(artifact) => artifact,
            Err(reason) => {
                complain(reason);
                continue;
            }
        };
        if !clients.contains(&artifact.manifest.client) {
            complain(format!("it is for client `{}`, which the configuration doesn't have", artifact.manifest.client));
        }
        match engine.plans(&artifact) {
            Ok(_) => found.artifacts.push(format!(
                "{} {} for {}, {} endpoints",
                artifact.manifest.name,
                artifact.manifest.version,
                artifact.manifest.client,
                artifact.manifest.endpoints.len()
            )),
            Err(errors) => found.mistakes.extend(errors.into_iter().map(|error| mistake(&name, error))),
        }
        propose(config, &artifact, &mut found.proposals);
    }
    found.mistakes.sort();
    found.mistakes.dedup();
    Ok(found)
}

fn artifacts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "wasm")).collect();
    files.sort();
    files
}

fn mistake(file: &str, error: PlanError) -> Mistake {
    match error {
        PlanError::Rule { at, message } => Place::mistake(&at, message),
        other => Mistake { file: file.into(), line: 0, key: String::new(), message: other.to_string() },
    }
}

/// Rules for methods that are called and have none yet.
fn propose(config: &Config, artifact: &Artifact, proposals: &mut BTreeMap<String, String>) {
    for method in &artifact.methods {
        let Some(backend) = method.split_once('/').and_then(|(service, _)| config.fanout.backend_of(service)) else {
            continue;
        };
        if backend.methods.get(method).is_some_and(|configured| configured.batch.is_some()) {
            continue;
        }
        if let Some(rule) = fanout::propose(&artifact.descriptors, method) {
            proposals.insert(format!("[backend.{}.method.\"{method}\"]", backend.name), rule);
        }
    }
}
