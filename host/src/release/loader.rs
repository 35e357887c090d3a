//! From files to a new release table: read, verify, compile, build, swap.

use super::{
    Config, Refusal, Releases,
    folder::{self, Stamp},
    table::{Release, Table},
};
use crate::{
    artifact::{Artifact, Digest},
    fanout::Engine,
    plugin::{Plugin, Runtime},
    telemetry::Metrics,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Loads what lies in the folder. One runs at a time, on a thread that serves no requests.
#[derive(Debug)]
pub struct Loader {
    config: Config,
    clients: Vec<String>,
    runtime: Runtime,
    engine: Arc<Engine>,
    metrics: Metrics,
    releases: Arc<Releases>,
    files: Mutex<BTreeMap<PathBuf, Candidate>>,
}

/// One file of the folder.
#[derive(Debug, Clone)]
struct Candidate {
    stamp: Stamp,
    /// The last state of the file that could be loaded.
    good: Option<Arc<Release>>,
    /// What is wrong with its present state, by itself.
    refused: Option<Arc<Refusal>>,
    /// What keeps it out of the table, beside the others.
    clash: Option<Arc<Refusal>>,
    /// When it was first seen: who came first keeps an endpoint.
    order: u64,
}

impl Candidate {
    /// Whether it is another file that keeps it out.
    fn is_blocked(&self) -> bool {
        self.refused.as_ref().is_some_and(|reason| matches!(**reason, Refusal::SameVersion { .. }))
    }
}

/// One file as the admin interface shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    pub file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Loader {
    pub fn new(
        config: Config,
        clients: Vec<String>,
        runtime: Runtime,
        engine: Arc<Engine>,
        metrics: &Metrics,
        releases: Arc<Releases>,
    ) -> Self {
        Self { config, clients, runtime, engine, metrics: metrics.clone(), releases, files: Mutex::default() }
    }

    /// The folder that it loads from.
    pub fn folder(&self) -> &Path {
        &self.config.folder
    }

    /// Looks at the folder and puts what has changed into service. Blocks while it compiles.
    pub fn refresh(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match folder::scan(&self.config.folder) {
            Ok(found) => found,
            // Not there yet is empty; not there any more is a mistake, or a moment of somebody's moving it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && files.is_empty() => return,
            Err(error) => {
                tracing::error!(folder = %self.config.folder.display(), %error, "the plugin folder can't be read; what serves goes on");
                return;
            }
        };
        let before = files.len();
        files.retain(|path, _| found.contains_key(path));
        let is_gone = files.len() != before;
        let is_as_before =
            |(path, stamp): &(PathBuf, Stamp)| files.get(path).is_some_and(|candidate| candidate.stamp == *stamp);
        let (same, mut changed): (Vec<_>, Vec<_>) = found.into_iter().partition(is_as_before);
        if changed.is_empty() && !is_gone {
            return;
        }
        // What was refused for another file's sake may come in now.
        changed.extend(same.into_iter().filter(|(path, _)| files.get(path).is_some_and(Candidate::is_blocked)));
        let mut order = files.values().map(|candidate| candidate.order).max().unwrap_or(0);
        for (path, stamp) in changed {
            order += 1;
            let candidate = self.examine(&path, stamp, order, files.get(&path).cloned(), &files);
            files.insert(path, candidate);
        }
        self.rebuild(&mut files);
    }

    fn examine(
        &self,
        path: &Path,
        stamp: Stamp,
        order: u64,
        before: Option<Candidate>,
        files: &BTreeMap<PathBuf, Candidate>,
    ) -> Candidate {
        let order = before.as_ref().map_or(order, |candidate| candidate.order);
        let good = before.and_then(|candidate| candidate.good);
        match self.load(path, files) {
            Ok(release) => Candidate { stamp, good: Some(release), refused: None, clash: None, order },
            Err(reason) => {
                self.metrics.releases_refused.inc();
                let consequence = good.as_ref().map_or_else(
                    || "it is not served".to_owned(),
                    |old| format!("{} {} goes on", old.name, old.version),
                );
                tracing::error!(file = %path.display(), "artifact refused, {consequence}: {reason}");
                Candidate { stamp, good, refused: Some(Arc::new(reason)), clash: None, order }
            }
        }
    }

    fn load(&self, path: &Path, files: &BTreeMap<PathBuf, Candidate>) -> Result<Arc<Release>, Refusal> {
        let artifact = Artifact::parse(folder::read(path)?)?;
        if let Some(known) = self.known(artifact.digest, path, files) {
            return Ok(known);
        }
        let manifest = &artifact.manifest;
        if !self.clients.contains(&manifest.client) {
            return Err(Refusal::NoClient { client: manifest.client.clone(), known: self.clients.join(", ") });
        }
        let same = files.iter().find_map(|(other, candidate)| {
            let release = candidate.good.as_ref().filter(|_| other != path)?;
            let is_same = release.name == manifest.name
                && release.version == manifest.version
                && release.digest != artifact.digest;
            is_same.then(|| other.display().to_string())
        });
        if let Some(file) = same {
            return Err(Refusal::SameVersion {
                plugin: manifest.name.clone(),
                version: manifest.version.to_string(),
                file,
            });
        }
        let plans = self.engine.plans(&artifact).map_err(Refusal::Calls)?;
        let overrides = self.config.overrides.get(&manifest.name).cloned().unwrap_or_default();
        let since = std::time::Instant::now();
        let plugin = Plugin::load(&self.runtime, &artifact, &overrides)?;
        tracing::debug!(plugin = %manifest.name, version = %manifest.version, took = ?since.elapsed(), "compiled");
        Ok(Arc::new(Release::new(&artifact, path.to_owned(), plugin, plans, &self.metrics)))
    }

    /// The same bytes, loaded before under this or another name.
    fn known(&self, digest: Digest, path: &Path, files: &BTreeMap<PathBuf, Candidate>) -> Option<Arc<Release>> {
        let here = files.get(path).into_iter();
        here.chain(files.values())
            .filter_map(|candidate| candidate.good.as_ref())
            .find(|release| release.digest == digest)
            .cloned()
    }

    /// Makes a table of all that can serve, and swaps it in.
    fn rebuild(&self, files: &mut BTreeMap<PathBuf, Candidate>) {
        let mut candidates: Vec<_> = files.values().filter_map(|c| Some((c.order, c.good.clone()?))).collect();
        candidates.sort_by_key(|(order, _)| *order);
        let mut releases: Vec<Arc<Release>> = Vec::new();
        for (_, release) in candidates {
            if !releases.iter().any(|other| other.digest == release.digest) {
                releases.push(release);
            }
        }
        let (table, clashes) = Table::build(releases, &self.metrics);
        for candidate in files.values_mut() {
            candidate.clash = None;
        }
        for (release, reason) in clashes {
            tracing::error!(plugin = %release.name, version = %release.version, file = %release.file.display(), "release refused: {reason}");
            self.metrics.releases_refused.inc();
            let reason = Arc::new(reason);
            let mine = files.values_mut().filter(|c| c.good.as_ref().is_some_and(|good| Arc::ptr_eq(good, &release)));
            mine.for_each(|candidate| candidate.clash = Some(reason.clone()));
        }
        let before = self.releases.current();
        self.announce(&before, &table);
        self.releases.swap(table);
    }

    fn announce(&self, before: &Table, after: &Table) {
        let has =
            |table: &Table, release: &Release| table.releases().iter().any(|other| other.digest == release.digest);
        for release in before.releases().iter().filter(|release| !has(after, release)) {
            self.metrics.releases.remove(&release.labels());
            tracing::info!(plugin = %release.name, version = %release.version, digest = %release.digest.short(), "release retired");
        }
        for release in after.releases().iter().filter(|release| !has(before, release)) {
            self.metrics.releases.get_or_create(&release.labels()).set(1);
            tracing::info!(plugin = %release.name, version = %release.version, client = %release.client,
                endpoints = release.endpoints.len(), digest = %release.digest.short(), "release live");
        }
    }

    /// What became of each file.
    pub fn reports(&self) -> Vec<Report> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |(path, candidate): (&PathBuf, &Candidate)| {
            let reason = candidate.refused.as_ref().or(candidate.clash.as_ref());
            Report { file: path.display().to_string(), refused: reason.map(ToString::to_string) }
        };
        files.iter().map(report).collect()
    }
}
