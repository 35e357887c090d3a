//! What an operator does all day, faster: new versions, new configurations, now and then a broken one of either. Each deed is looked
//! at: a new version has to be there, a broken one has to change nothing.

use super::Bench;
use crate::{
    arms::{self, ADMIN_TOKEN, Host, Isolation, Server},
    artifacts::{self, set},
    load, say,
};
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Empty;
use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::JoinHandle, time};
use weft::sync::lock;

/// Between two deeds.
const EVERY: Duration = Duration::from_secs(3);
/// Until a deed has shown. A new version may have to be compiled, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Deeds {
    swaps: u64,
    compiled: u64,
    reloads: u64,
    refused_artifacts: u64,
    refused_files: u64,
    /// What did not go as it should.
    pub(super) wrong: Vec<String>,
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { swaps, compiled, reloads, refused_artifacts, refused_files, wrong } = self;
        write!(
            f,
            "{swaps} swaps ({compiled} to a version never seen), {reloads} reloads, {refused_artifacts} bad artifacts and \
             {refused_files} bad configurations refused"
        )?;
        if wrong.is_empty() { Ok(()) } else { write!(f, ", WRONG: {wrong:?}") }
    }
}

pub(super) struct Operator {
    deeds: Arc<Mutex<Deeds>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<anyhow::Result<()>>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Swap,
    /// A version that has to be compiled.
    NewVersion,
    BadArtifact,
    Reload {
        by_signal: bool,
        is_broken: bool,
    },
}

impl Deed {
    /// Every 21 s a reload, of which each fifth is broken; every minute a new version and a bad one; else a swap.
    fn of(turn: u64) -> Self {
        let reload = turn / 7;
        match turn {
            _ if turn.is_multiple_of(7) => {
                Self::Reload { by_signal: reload % 2 == 1, is_broken: reload.is_multiple_of(5) }
            }
            _ if turn % 20 == 1 => Self::NewVersion,
            _ if turn % 20 == 10 => Self::BadArtifact,
            _ => Self::Swap,
        }
    }
}

impl Operator {
    pub(super) fn start(bench: &Bench, server: &Server) -> anyhow::Result<Self> {
        let host = server.host.clone().context("only hosts have an operator")?;
        let hand = Hand {
            text: host.text()?,
            host,
            admin: server.process.address(1)?,
            pid: server.process.pid(),
            log: server.process.log.clone(),
            artifact: arms::pages(&bench.artifacts.pages, Isolation::Request)?,
        };
        let deeds = Arc::new(Mutex::new(Deeds::default()));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(hand.work(deeds.clone(), stopped));
        Ok(Self { deeds, stop: Some(stop), task })
    }

    pub(super) fn deeds(&self) -> Deeds {
        lock(&self.deeds).clone()
    }

    pub(super) async fn stop(&mut self) -> anyhow::Result<Deeds> {
        // If it has failed there is nobody to tell; it says why now.
        let _ = self.stop.take().map(|stop| stop.send(()));
        (&mut self.task).await??;
        Ok(self.deeds())
    }
}

/// What is needed to do things to a host.
struct Hand {
    host: Arc<Host>,
    /// The configuration that it began with.
    text: String,
    admin: SocketAddr,
    pid: u32,
    log: PathBuf,
    artifact: Bytes,
}

impl Hand {
    async fn work(self, deeds: Arc<Mutex<Deeds>>, mut stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
        let mut clock = time::interval(EVERY);
        clock.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        clock.tick().await;
        for turn in 1.. {
            tokio::select! {
                _ = clock.tick() => {}
                _ = &mut stopped => break,
            }
            let deed = Deed::of(turn);
            let outcome = self.act(deed, turn).await;
            let mut deeds = lock(&deeds);
            match outcome {
                Ok(()) => deeds.note(deed),
                Err(error) => {
                    say(format_args!("    WRONG, {deed:?}: {error:#}"));
                    deeds.wrong.push(format!("{deed:?}: {error:#}"));
                }
            }
        }
        Ok(())
    }

    async fn act(&self, deed: Deed, turn: u64) -> anyhow::Result<()> {
        match deed {
            Deed::Swap => {
                let plugins = self.plugins().await?;
                let other = if pages_of(&plugins) == Some("1.0.0") { "1.0.1" } else { "1.0.0" };
                self.swap(other).await
            }
            Deed::NewVersion => self.swap(&format!("1.1.{turn}")).await,
            Deed::BadArtifact => self.spoil().await,
            Deed::Reload { by_signal, is_broken } => {
                // The value changes each time, and changes nothing that anybody could see.
                let timeout = format!("timeout = \"{}ms\"", 5_000 + turn);
                let good = self.text.replace("timeout = \"5s\"", &timeout);
                let broken = format!("{good}\n[backend.ghost]\nservices = 7\n");
                self.host.write(if is_broken { &broken } else { &good })?;
                let was_refused = if by_signal { self.hang_up().await } else { self.post().await };
                if is_broken {
                    self.host.write(&good)?;
                }
                match (is_broken, was_refused?) {
                    (true, None) => bail!("a broken file was taken"),
                    (false, Some(reason)) => bail!("a good file was refused: {reason}"),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Puts a version into service and waits until it is there.
    async fn swap(&self, version: &str) -> anyhow::Result<()> {
        let artifact = artifacts::stamped(&self.artifact, |manifest| set(manifest, "plugin", "version", version))?;
        self.host.install("pages.wasm", &artifact)?;
        self.until("the version came", |plugins| pages_of(plugins) == Some(version)).await
    }

    /// An artifact that is none: it is refused, and what serves goes on.
    async fn spoil(&self) -> anyhow::Result<()> {
        self.host.install("spoilt.wasm", &self.artifact.slice(..self.artifact.len() / 2))?;
        let refused = self.until("the bad artifact was refused", |plugins| {
            let refused = plugins.get("refused").map(ToString::to_string).unwrap_or_default();
            refused.contains("spoilt.wasm") && pages_of(plugins).is_some()
        });
        let refused = refused.await;
        self.host.remove("spoilt.wasm")?;
        refused
    }

    async fn until(&self, what: &str, is: impl Fn(&serde_json::Value) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if is(&self.plugins().await?) {
                return Ok(());
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{PATIENCE:?} were over before {what}")
    }

    async fn plugins(&self) -> anyhow::Result<serde_json::Value> {
        let (_, plugins) = self.ask(Method::GET, "/v1/plugins").await?;
        Ok(serde_json::from_slice(&plugins)?)
    }

    /// Reloads by the admin interface: why it was refused, if it was.
    async fn post(&self) -> anyhow::Result<Option<String>> {
        let (status, body) = self.ask(Method::POST, "/v1/config/reload").await?;
        let said = String::from_utf8_lossy(&body).trim().to_owned();
        match status {
            StatusCode::OK if said.contains("timeout") => Ok(None),
            StatusCode::CONFLICT => Ok(Some(said)),
            _ => bail!("the answer to a reload is {status}: {said}"),
        }
    }

    /// Reloads by SIGHUP; what came of it stands in the log.
    async fn hang_up(&self) -> anyhow::Result<Option<String>> {
        let before = std::fs::metadata(&self.log)?.len();
        crate::process::hang_up(self.pid)?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let log = std::fs::read(&self.log)?;
            let new = log.get(usize::try_from(before)?..).unwrap_or_default();
            let new = String::from_utf8_lossy(new);
            let mut whole = new.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some((_, said)) = whole.find_map(|line| line.split_once("SIGHUP: ")) {
                let is_refused = said.starts_with("nothing was changed");
                return Ok(is_refused.then(|| new.trim().to_owned()));
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{PATIENCE:?} after SIGHUP its log says nothing of it")
    }

    async fn ask(&self, method: Method, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {ADMIN_TOKEN}"));
        let (head, body) = load::exchange(self.admin, request.body(Empty::new())?).await?.into_parts();
        Ok((head.status, body))
    }
}

/// The version of the pages that serves.
fn pages_of(plugins: &serde_json::Value) -> Option<&str> {
    let mut live = plugins.get("plugins")?.as_array()?.iter();
    live.find(|plugin| plugin.get("name").is_some_and(|name| name == "pages"))?.get("version")?.as_str()
}

impl Deeds {
    fn note(&mut self, deed: Deed) {
        match deed {
            Deed::Swap => self.swaps += 1,
            Deed::NewVersion => {
                self.swaps += 1;
                self.compiled += 1;
            }
            Deed::BadArtifact => self.refused_artifacts += 1,
            Deed::Reload { is_broken: true, .. } => self.refused_files += 1,
            Deed::Reload { is_broken: false, .. } => self.reloads += 1,
        }
    }
}
