//! `weft check`.

mod connect;

use super::{Failure, Result, print, runtime};
use crate::{
    artifact::{Artifact, Auth, EndpointPolicy, Isolation},
    config::{Config, memory},
    fanout::{self, Engine, PlanError},
    model::Scope,
    plugin,
    release::{Claimant, Contender, Held, Refusal, arrange},
    settings::{Mistake, Place},
    telemetry::Metrics,
};
use std::{
    collections::BTreeMap,
    fmt::Display,
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
    /// Take a secret that is not there for a mistake, as `weft serve` does: for a check on the machine that will serve
    #[arg(long)]
    secrets: bool,
    /// Ask once where the endpoints of each backend are, and print what was found. Needs the secrets that this needs
    #[arg(long)]
    connect: bool,
}

/// What the check found.
#[derive(Debug, Default, serde::Serialize)]
struct Found {
    mistakes: Vec<Mistake>,
    /// By the table that it belongs into: a line to paste.
    proposals: BTreeMap<String, String>,
    /// What is no mistake, and may not be meant.
    warnings: Vec<String>,
    artifacts: Vec<String>,
    /// By backend: what was found of its endpoints.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    endpoints: BTreeMap<String, connect::Endpoints>,
    /// What the host may take of memory at most, in bytes, by what takes it.
    memory: BTreeMap<&'static str, u64>,
}

impl Found {
    /// Something that is wrong with a whole file.
    fn complain(&mut self, file: &Path, what: &dyn Display) {
        let file = file.display().to_string().into();
        self.mistakes.push(Mistake { file, line: 0, key: String::new(), message: what.to_string() });
    }

    fn complain_of_plan(&mut self, file: &Path, error: PlanError) {
        match error {
            PlanError::Rule { at, message } => self.mistakes.push(Place::mistake(&at, message)),
            other => self.complain(file, &other),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let (config, away) = match arguments.secrets || arguments.connect {
        true => (Config::load(&arguments.config), Vec::new()),
        false => Config::check(&arguments.config),
    };
    let mut found = match config {
        Ok(config) => check(&config, arguments.connect)?,
        Err(mistakes) => Found { mistakes, ..Found::default() },
    };
    let without = |secret: Mistake| format!("{secret}; `weft serve` will not start without it (checked by --secrets)");
    found.warnings.extend(away.into_iter().map(without));
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
    for (backend, endpoints) in &found.endpoints {
        print(&format!("  backend {backend}: {endpoints}"));
    }
    let most: u64 = found.memory.values().sum();
    print(&format!(
        "  at most {} MiB of memory (docs/operators/operations.md, \"Memory, added up\"; by parts with --json)",
        most >> 20
    ));
    for warning in &found.warnings {
        print(&format!("\nwarning: {warning}"));
    }
    for (table, rule) in &found.proposals {
        let method = table.split('"').nth(1).unwrap_or(table);
        print(&format!("\n{method} is called one by one, and could be batched. Add, if it is right:\n{table}\n{rule}"));
    }
    Ok(())
}

fn check(config: &Config, connect: bool) -> Result<Found> {
    // Channels to backends belong to a runtime, although nothing is connected here.
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let (engine, backends) = Engine::new(config.fanout.clone(), config.forward.clone(), &Metrics::default(), None)
        .map_err(anyhow::Error::msg)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = memory::rows(config, cores).into_iter().map(|row| (row.what, row.bytes)).collect();
    let warnings = config.register.iter().filter_map(|register| register.warning());
    let warnings = warnings.chain(config.admin.warnings()).collect();
    let mut found = Found { memory, warnings, ..Found::default() };
    look_for_folder(&config.plugins.folder, &mut found);
    if let Err(error) = plugin::check_compiled_folder(&config.plugins.compiling.folder) {
        found.complain(&config.plugins.compiling.folder, &error);
    }
    let mut artifacts = Vec::new();
    for file in files(&config.plugins.folder) {
        match read(&file) {
            Ok(artifact) => artifacts.push((file, artifact)),
            Err(refusal) => found.complain(&file, &refusal),
        }
    }
    let clients = config.clients.names();
    for (file, artifact) in &artifacts {
        let manifest = &artifact.manifest;
        if !clients.contains(&manifest.client) {
            found.complain(file, &Refusal::NoClient { client: manifest.client.clone(), known: clients.join(", ") });
        }
        match runtime.block_on(engine.plans(artifact)) {
            Ok(_) => found.artifacts.push(format!(
                "{} {} for {}, {} endpoints",
                manifest.name,
                manifest.version,
                manifest.client,
                manifest.endpoints.len()
            )),
            Err(errors) => errors.into_iter().for_each(|error| found.complain_of_plan(file, error)),
        }
        propose(config, artifact, &mut found.proposals);
        found.warnings.extend(shared_with_nobody(config, artifact));
        found.warnings.extend(remembers_tenants(artifact));
        found.warnings.extend(strict_alone(config, artifact));
        found.warnings.extend(hidden(config, artifact));
    }
    let protos: Vec<_> = artifacts.iter().map(|(_, artifact)| &artifact.descriptors).collect();
    let misnamed = runtime.block_on(engine.misnamed(&protos)).into_iter();
    found.mistakes.extend(misnamed.map(|(place, message)| place.mistake(message)));
    let claimants: Vec<_> =
        artifacts.iter().map(|(file, artifact)| Contender::from(Claimant { file, artifact })).collect();
    for (at, refusals) in arrange(&claimants, &Held::default()).refused {
        let Some((file, artifact)) = artifacts.get(at) else { continue };
        for refusal in refusals {
            found.complain(file, &format_args!("plugin `{}`: {refusal}", artifact.manifest.name));
        }
    }
    if connect {
        for (backend, endpoints) in runtime.block_on(connect::endpoints(&backends)) {
            match endpoints {
                Ok(endpoints) => _ = found.endpoints.insert(backend.name().to_owned(), endpoints),
                Err(reason) => found.mistakes.push(backend.endpoints_place().mistake(reason)),
            }
        }
    }
    found.mistakes.sort();
    found.mistakes.dedup();
    Ok(found)
}

/// Whether there is a folder to load from.
fn look_for_folder(folder: &Path, found: &mut Found) {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => found.warnings.push(format!(
            "the plugin folder {} is not there (plugins.folder): `weft serve` makes it, and serves nothing until an artifact lies in it; is \
             this the folder that you mean?",
            folder.display()
        )),
        Err(error) => found.complain(folder, &format_args!("the plugin folder can't be read: {error}")),
        Ok(_) => {}
    }
}

fn read(file: &Path) -> std::result::Result<Artifact, Refusal> {
    Ok(Artifact::parse(std::fs::read(file)?.into())?)
}

/// What a host would load, in the order in which it would.
fn files(folder: &Path) -> Vec<PathBuf> {
    let is_hidden = |path: &Path| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "wasm") && !is_hidden(path)).collect();
    files.sort();
    files
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

/// Endpoints without a subject of a plugin that may remember something by it.
fn remembers_tenants(artifact: &Artifact) -> Option<String> {
    let manifest = &artifact.manifest;
    let is_tenants = |endpoint: &&EndpointPolicy| endpoint.cache.as_ref().is_some_and(|c| c.scope == Scope::Tenant);
    let endpoints: Vec<_> = manifest.endpoints.iter().filter(is_tenants).map(|e| format!("`{}`", e.name)).collect();
    (manifest.limits.isolation == Isolation::Reuse && !endpoints.is_empty()).then(|| {
        format!(
            "plugin `{}`: instances are used again (isolation = \"reuse\"), and the responses of {} are kept for whole tenants, so their \
             requests have an empty subject: what the plugin keeps in its own memory has to be kept by issuer and tenant too",
            manifest.name,
            endpoints.join(", ")
        )
    })
}

/// Endpoints that would rather refuse a write than do it twice, where no host can know what others did.
fn strict_alone(config: &Config, artifact: &Artifact) -> Option<String> {
    let manifest = &artifact.manifest;
    let is_strict = |endpoint: &&EndpointPolicy| endpoint.idempotency.is_some_and(|rule| rule.strict);
    let endpoints: Vec<_> = manifest.endpoints.iter().filter(is_strict).map(|e| format!("`{}`", e.name)).collect();
    (config.fanout.shared.is_none() && !endpoints.is_empty()).then(|| {
        format!(
            "plugin `{}`: {} asks for `idempotency` with `strict`, and hosts share nothing here: each knows its own keys only, until it ends; \
             set `shared` in [cache]",
            manifest.name,
            endpoints.join(", ")
        )
    })
}

/// Endpoints at the paths of the host's own pages, which go first.
fn hidden(config: &Config, artifact: &Artifact) -> Option<String> {
    let manifest = &artifact.manifest;
    let client = config.clients.named(&manifest.client)?;
    let is_hidden = |endpoint: &&EndpointPolicy| client.page(endpoint.name.template()).is_some();
    let endpoints: Vec<_> = manifest.endpoints.iter().filter(is_hidden).map(|e| format!("`{}`", e.name)).collect();
    (!endpoints.is_empty()).then(|| {
        format!(
            "plugin `{}`: {} is never called, because the host shows its own page there (`openapi` of client `{}`)",
            manifest.name,
            endpoints.join(", "),
            client.name
        )
    })
}

/// Methods whose calls would be batched or cached, if the callers of some endpoints had an identity to share within.
fn shared_with_nobody(config: &Config, artifact: &Artifact) -> Vec<String> {
    let is_anonymous = |endpoint: &&EndpointPolicy| {
        endpoint.auth != Auth::Required || endpoint.cache.as_ref().is_some_and(|cache| cache.scope == Scope::Public)
    };
    let manifest = &artifact.manifest;
    let endpoints: Vec<_> = manifest.endpoints.iter().filter(is_anonymous).map(|e| format!("`{}`", e.name)).collect();
    if endpoints.is_empty() {
        return Vec::new();
    }
    let is_alone = |method: &&String| {
        let backend = method.split_once('/').and_then(|(service, _)| config.fanout.backend_of(service));
        let rules = backend.and_then(|backend| backend.methods.get(*method));
        rules.is_some_and(|rules| rules.scope == Scope::Principal && (rules.batch.is_some() || rules.cache.is_some()))
    };
    let warning = |method: &String| {
        format!(
            "plugin `{}`: callers of {} may be anonymous, and `{method}` has scope \"principal\": their calls of it are neither batched \
             nor cached, but sent one by one; set scope = \"public\" if its replies are the same for everybody",
            manifest.name,
            endpoints.join(", ")
        )
    };
    artifact.methods.iter().filter(is_alone).map(warning).collect()
}
