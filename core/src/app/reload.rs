//! A new configuration for a running host: whole, or not at all.
//!
//! Everything that the new configuration asks for is built beside what serves, plugins loaded and all; only when nothing is missing
//! does it take the place of the old. Requests under way finish with what they began with.

use super::{
    StartError,
    setup::{Kept, Setup, Tasks},
};
use crate::{
    admin::{Host, View},
    config::Config,
    edge::Edge,
    events::Events,
    gateway::Ending,
    identity,
    observe::Followed,
    plugin::Runtime,
    release::Report,
    settings::{Change, Mistake, Parts, diff, shown},
    sync::lock,
    telemetry::{Listed, Metrics},
};
use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::mpsc;

/// Keys that belong to what is made once: listeners, the sandbox, the logs, where the host is registered.
const FIXED: [&str; 6] = ["admin.", "limits.", "telemetry.", "plugins.compiled", "plugins.history", "register."];
/// Keys of `[http]` that are not.
const FREE: [&str; 4] = ["http.timeout", "http.max-body", "http.explain-scope", "http.trusted-peers"];

/// Keys of files that are watched, whatever a reload does.
const WATCHED: [&str; 2] = ["http.tls.", "admin.tls."];

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("the file has mistakes:\n{}", lines(.0))]
    Mistakes(Vec<Mistake>),
    #[error("these can't change while the host runs; restart it:\n{}", lines(.0))]
    Fixed(Vec<Change>),
    #[error("plugins that serve now could not serve with it:\n{}", .0.join("\n"))]
    Refused(Vec<String>),
    #[error(
        "the keys of these issuers can't be had now, and their callers would be locked out; try again when they can:\n{}",
        .0.join("\n")
    )]
    Keyless(Vec<String>),
    #[error("{0}")]
    Start(#[from] StartError),
}

fn lines(list: &[impl ToString]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What a reload replaces, and what it needs.
#[derive(Debug)]
pub(super) struct Reloader {
    file: PathBuf,
    /// The command that compiles artifacts, which no file says.
    worker: Option<PathBuf>,
    /// That every caller is believed, which no file says either.
    anybody: Option<identity::Config>,
    runtime: Runtime,
    metrics: Metrics,
    edge: Arc<Edge>,
    setup: Arc<ArcSwap<Setup>>,
    /// Outlives reloads, so that no message is missed by one.
    events: Events,
    /// Tasks of the setup in service.
    tasks: Mutex<Option<Tasks>>,
    /// What is in force. Held through a reload, so that there is one at a time.
    in_force: tokio::sync::Mutex<InForce>,
}

#[derive(Debug)]
struct InForce {
    text: String,
    parts: Parts,
}

impl InForce {
    fn of(config: &Config) -> Self {
        let folder = config.file.parent().unwrap_or(Path::new(""));
        Self { text: config.text.clone(), parts: Parts::of(&config.text, folder) }
    }
}

impl Reloader {
    pub(super) fn new(
        config: &Config,
        runtime: Runtime,
        metrics: Metrics,
        edge: Arc<Edge>,
        setup: Arc<ArcSwap<Setup>>,
    ) -> Self {
        let (file, in_force) = (config.file.clone(), tokio::sync::Mutex::new(InForce::of(config)));
        let worker = config.plugins.compiling.worker.clone();
        let anybody = config.identity.clone().filter(|identity| identity.anybody);
        let events = Events::new(metrics.clone());
        Self { file, worker, anybody, runtime, metrics, edge, setup, events, tasks: Mutex::default(), in_force }
    }

    pub(super) async fn load(&self) -> Result<Vec<Report>, StartError> {
        let setup = self.setup.load_full();
        setup.load().await?;
        Ok(setup.loader.reports())
    }

    pub(super) fn follow(&self) -> mpsc::Receiver<Followed> {
        self.setup.load().gateway.follow.begin()
    }

    /// Reads the file again and puts it in force; with what has changed.
    pub(super) async fn reload(&self) -> Result<Vec<Change>, ReloadError> {
        let mut in_force = self.in_force.lock().await;
        let outcome = self.try_reload(&in_force).await;
        match outcome {
            Ok((changes, new)) => {
                *in_force = new;
                let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
                tracing::info!(changes = %Listed(&told), "configuration reloaded");
                Ok(changes)
            }
            Err(error) => {
                tracing::error!("the configuration was not reloaded, nothing has changed: {error}");
                Err(error)
            }
        }
    }

    async fn try_reload(&self, in_force: &InForce) -> Result<(Vec<Change>, InForce), ReloadError> {
        let mut config = Config::load(&self.file).map_err(ReloadError::Mistakes)?;
        config.plugins.compiling.worker.clone_from(&self.worker);
        if self.anybody.is_some() {
            config.identity.clone_from(&self.anybody);
        }
        let mut changes = diff(&in_force.text, &config.text);
        let fixed: Vec<_> = changes.iter().filter(|change| is_fixed(&change.key)).cloned().collect();
        if !fixed.is_empty() {
            return Err(ReloadError::Fixed(fixed));
        }
        let new = InForce::of(&config);
        if new.parts == in_force.parts {
            return Ok((changes, new));
        }
        changes.extend(new.parts.changed_files(&in_force.parts).into_iter().map(in_time));
        let before = self.setup.load_full();
        let kept = Kept::of(&in_force.parts, &new.parts);
        let (seen, history) = ((&self.metrics, &before.gateway.tracer), before.loader.history().clone());
        let setup = Setup::prepare(&config, &self.runtime, seen, history, Some((&before, &kept)))?;
        setup.load().await?;
        setup.settle_keys().await;
        let keyless = keyless(&before, &setup);
        if !keyless.is_empty() {
            return Err(ReloadError::Keyless(keyless));
        }
        let lost = lost(&before, &setup);
        if !lost.is_empty() {
            return Err(ReloadError::Refused(lost));
        }
        self.forget_sources(&before, &setup);
        before.engine.hand_over(&setup.engine);
        self.edge.replace(setup.gateway.clone(), &config.http);
        before.gateway.end_streams(Ending::Reload);
        setup.enter_service(Some(&before)).await;
        self.setup.store(Arc::new(setup));
        self.spawn_tasks(&config);
        Ok((changes, new))
    }

    /// Nothing is told any more of where keys come from no longer.
    fn forget_sources(&self, before: &Setup, after: &Setup) {
        let sources = |setup: &Setup| {
            let keys = setup.gateway.verifier.as_ref().map(|verifier| verifier.state()).unwrap_or_default();
            keys.into_iter().map(|state| state.source.clone()).collect::<BTreeSet<_>>()
        };
        sources(before).difference(&sources(after)).for_each(|source| self.metrics.forget_source(source));
    }

    /// Starts the tasks of the setup in service, and ends those of the one before once they have told what they know.
    pub(super) fn spawn_tasks(&self, config: &Config) {
        self.events.follow(&config.events, &self.setup.load().engine);
        let mut tasks = self.tasks();
        let (new, old) = self.setup.load().spawn(tasks.take());
        *tasks = Some(new);
        if let Some(old) = old {
            tokio::spawn(old.finish());
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Option<Tasks>> {
        lock(&self.tasks)
    }

    /// Whether all that should be served is: others serve what this host can't.
    pub(super) fn can_serve(&self) -> bool {
        self.setup.load().loader.trouble().is_none()
    }

    /// Whoever listens to a stream is told that it has ended here.
    pub(super) fn end_streams(&self) {
        self.setup.load().gateway.end_streams(Ending::Stop);
    }

    /// No plugin comes or goes any more; what is invalidated is told still.
    pub(super) fn stop_watching(&self) {
        self.tasks().as_ref().into_iter().for_each(Tasks::stop_watching);
    }

    /// To be called when no request is under way.
    pub(super) async fn finish_tasks(&self) {
        self.events.stop();
        let tasks = self.tasks().take();
        if let Some(tasks) = tasks {
            tasks.finish().await;
        }
    }
}

impl Host for Reloader {
    fn view(&self) -> View {
        let setup = self.setup.load();
        View {
            releases: setup.releases.clone(),
            loader: setup.loader.clone(),
            engine: setup.engine.clone(),
            backends: setup.backends.clone(),
            runtime: self.runtime.clone(),
            verifier: setup.gateway.verifier.clone(),
            events: self.events.state(),
            clients: setup.gateway.clients.names(),
            gateway: setup.gateway.clone(),
        }
    }

    fn reload(&self) -> BoxFuture<'_, Result<Vec<Change>, String>> {
        Box::pin(async { Self::reload(self).await.map_err(|error| error.to_string()) })
    }

    fn settings(&self) -> BoxFuture<'_, Vec<(String, String)>> {
        Box::pin(async { shown(&self.in_force.lock().await.text) })
    }
}

/// Whether a reload can't change it.
fn is_fixed(key: &str) -> bool {
    FIXED.iter().any(|fixed| key.starts_with(fixed)) || (key.starts_with("http.") && !FREE.contains(&key))
}

/// A file with other content is read by who watches it, by this reload, or not before the next start.
fn in_time(mut change: Change) -> Change {
    if is_fixed(&change.key) && !WATCHED.iter().any(|watched| change.key.starts_with(watched)) {
        change.after = change.after.map(|after| format!("{after}, in force after a restart"));
    }
    change
}

/// Issuers whose tokens `before` can verify and `after` can't, and why.
fn keyless(before: &Setup, after: &Setup) -> Vec<String> {
    match (&before.gateway.verifier, &after.gateway.verifier) {
        (Some(before), Some(after)) => after.keyless_beside(before),
        _ => Vec::new(),
    }
}

/// Plugins of `before` that `after` does not serve, and why.
fn lost(before: &Setup, after: &Setup) -> Vec<String> {
    let table = after.releases.current();
    let serves = |name: &str| table.releases().iter().any(|release| release.name == name);
    let reports = after.loader.reports();
    let reason = |file: &Path| {
        let shown = file.display().to_string();
        let report = reports.iter().find(|report| report.file == shown);
        report.and_then(|report| report.refused.clone()).unwrap_or_else(|| "its file is gone".to_owned())
    };
    let current = before.releases.current();
    let lost = current.releases().iter().filter(|release| !serves(&release.name));
    lost.map(|release| format!("{} {}: {}", release.name, release.version, reason(&release.file))).collect()
}
