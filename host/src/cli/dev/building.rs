//! Builds on save: which files matter, and one build after the other.

use crate::cli::{
    Failure, Result,
    build::{self, Built},
    stamps::Stamps,
    toolchain::{Kept, Making, Speed, Voice, inputs},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::task::JoinHandle;

/// What of a plugin's folder matters whatever cargo says.
const OWN: [&str; 9] =
    ["plugin.toml", "Cargo.toml", "package.json", "pyproject.toml", "build.rs", "src", "mocks", "contract", "protos"];

/// How a build ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) built: Result<Built>,
    /// What the compiler has said.
    pub(super) said: String,
    pub(super) took: Duration,
}

/// The plugin's folder, and a build of it where one is under way.
#[derive(Debug)]
pub(super) struct Building {
    /// As it was named.
    named: PathBuf,
    /// As cargo names it.
    folder: PathBuf,
    is_colored: bool,
    /// Beside the folder's own: what cargo says that it was made of, and what else matters.
    more: Vec<PathBuf>,
    seen: Stamps,
    /// The state that the last build has begun with.
    begun: Stamps,
    under_way: Option<(Arc<Kept>, JoinHandle<Outcome>)>,
}

impl Building {
    pub(super) fn new(folder: &Path, is_colored: bool, more: Vec<PathBuf>) -> Self {
        let (named, under_way) = (folder.to_owned(), None);
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| named.clone());
        let (seen, begun) = Default::default();
        Self { named, folder, is_colored, more, seen, begun, under_way }
    }

    /// Looks at the files; says which was saved and when, once nothing is being saved any more and no build is under way.
    pub(super) fn look(&mut self) -> Option<(String, Option<SystemTime>)> {
        let now = self.stamps();
        if now != self.seen {
            self.seen = now;
            return None;
        }
        let is_new = self.under_way.is_none() && self.seen != self.begun;
        is_new.then(|| (self.shown(&self.seen.changed_since(&self.begun)), self.seen.saved_since(&self.begun)))
    }

    /// As seen from the plugin's folder.
    fn shown(&self, file: &str) -> String {
        Path::new(file).strip_prefix(&self.folder).map_or_else(|_| file.to_owned(), |file| file.display().to_string())
    }

    /// Begins a build, unless one is under way.
    pub(super) fn begin(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        self.begun = self.stamps();
        self.seen = self.begun.clone();
        let (folder, kept) = (self.named.clone(), Arc::new(Kept::new(self.is_colored)));
        let of_build = kept.clone();
        let build = tokio::task::spawn_blocking(move || {
            let since = Instant::now();
            let making = Making { folder: &folder, speed: Speed::Compile, voice: Voice::Kept(&of_build) };
            let built = build::built_by(&making);
            Outcome { said: of_build.said(built.is_err()), built, took: since.elapsed() }
        });
        self.under_way = Some((kept, build));
    }

    /// The end of the build that is under way; without one it never comes.
    pub(super) async fn end(&mut self) -> Outcome {
        let Some((_, build)) = &mut self.under_way else { return std::future::pending().await };
        let outcome = match build.await {
            Ok(outcome) => outcome,
            Err(error) => {
                let built = Err(Failure::Failed(anyhow::anyhow!("the build failed: {error}")));
                Outcome { built, said: String::new(), took: Duration::ZERO }
            }
        };
        self.under_way = None;
        if let Ok(built) = &outcome.built {
            self.learn(&built.component);
        }
        outcome
    }

    /// Ends what is compiled now.
    pub(super) async fn stop(&mut self) {
        if let Some((kept, build)) = self.under_way.take() {
            kept.stop();
            let _ = build.await;
        }
    }

    fn stamps(&self) -> Stamps {
        let own = OWN.iter().map(|name| self.folder.join(name));
        Stamps::of(own.chain(self.more.iter().cloned()))
    }

    /// What cargo has written down beside the component: all files that it was made of, those elsewhere too.
    fn learn(&mut self, component: &Path) {
        let target = component.ancestors().nth(3).unwrap_or(component).to_owned();
        let text = fs::read_to_string(component.with_extension("d")).unwrap_or_default();
        let new: Vec<PathBuf> = inputs(&text)
            .into_iter()
            .map(|path| self.folder.join(path))
            .filter(|path| !path.starts_with(&target) && !self.more.contains(path))
            .collect();
        if new.is_empty() {
            return;
        }
        // What is looked at from now on was as it is now when the build began, as far as anybody knows.
        let is_as_built = self.stamps() == self.begun;
        self.more.extend(new);
        if is_as_built {
            self.begun = self.stamps();
            self.seen = self.begun.clone();
        }
    }
}
