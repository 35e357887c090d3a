//! The host that serves what is built, in this process, one after the other where its backends change.
//!
//! A host elsewhere, known by its admin interface, will stand here as well once artifacts can be sent to one: what is asked of it is
//! [`Serving::serve`], [`Serving::show`] and requests as they end.

use super::{
    backends::{Backends, Choice},
    desk::{self, Desk},
    mocked::Mocked,
};
use crate::{
    app::{Listening, Running},
    artifact::Artifact,
    cli::{Failure, Result},
    config::Config,
    model::Digest,
    observe::Followed,
    sandbox::Environment,
    start::start_at,
    upstream::StandIn,
};
use anyhow::{Context, anyhow};
use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};
use tokio::{sync::mpsc, task::JoinSet};

/// Requests that may wait to be shown.
const MOST: usize = 1_000;

/// What the user has said of backends.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) choices: Vec<Choice>,
    /// `--config`.
    pub(super) file: Option<PathBuf>,
}

/// Who serves.
#[derive(Debug)]
pub(super) struct Serving {
    wanted: Wanted,
    listener: TcpListener,
    pub(super) http: SocketAddr,
    host: Option<Host>,
    /// Hosts that finish what they have begun, and their folders.
    leaving: (JoinSet<()>, Vec<Desk>),
    followed: mpsc::Sender<Followed>,
}

#[derive(Debug)]
struct Host {
    running: Running,
    shape: (Digest, Option<Digest>),
    desk: Desk,
}

impl Serving {
    /// Nothing yet: whoever connects waits until something is served.
    pub(super) fn new(wanted: Wanted, listen: SocketAddr) -> Result<(Self, mpsc::Receiver<Followed>)> {
        let listener = TcpListener::bind(listen)
            .with_context(|| format!("can't listen on {listen}: is another program there already? (--listen)"))?;
        let http = listener.local_addr()?;
        let (followed, requests) = mpsc::channel(MOST);
        let leaving = Default::default();
        Ok((Self { wanted, listener, http, host: None, leaving, followed }, requests))
    }

    /// Swaps the artifact in. With what is to be said of its backends, where they are others than before. Where it fails, what has served
    /// before goes on.
    pub(super) async fn serve(&mut self, artifact: &Artifact) -> Result<Vec<String>> {
        let (real, text) = self.configured()?;
        let backends = Backends::of(artifact, &self.wanted.choices, real.as_ref())?;
        let shape = (desk::shape(artifact, &backends), text);
        if let Some(host) = self.host.as_ref().filter(|host| host.shape == shape) {
            host.desk.put(artifact)?;
            host.refusal().await?;
            return Ok(Vec::new());
        }
        let host = self.start(artifact, &backends, real.as_ref(), shape).await?;
        let mut requests = host.running.follow();
        let followed = self.followed.clone();
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                if followed.send(request).await.is_err() {
                    break;
                }
            }
        });
        if let Some(Host { running, desk, .. }) = self.host.replace(host) {
            self.leaving.0.spawn(running.stop());
            self.leaving.1.push(desk);
        }
        Ok(backends.told(self.wanted.file.as_deref()))
    }

    /// Beside the one that serves: the listener is the same, and who waits there is taken in by either.
    async fn start(
        &self,
        artifact: &Artifact,
        backends: &Backends,
        real: Option<&Config>,
        shape: (Digest, Option<Digest>),
    ) -> Result<Host> {
        let desk = Desk::new()?;
        desk.put(artifact)?;
        let mut config = desk.configure(artifact, backends, self.http)?;
        let mock: Arc<dyn StandIn> = Arc::new(Mocked::new(artifact));
        backends.put_into(&mut config, real, &mock);
        let passed = Listening { http: Some(self.listener.try_clone()?), admin: None };
        let running = start_at(config, Environment::Real, passed).await.context("the host can't start")?;
        let host = Host { running, shape, desk };
        match host.refusal().await {
            Ok(()) => Ok(host),
            Err(refusal) => {
                host.running.stop().await;
                Err(refusal)
            }
        }
    }

    /// What `--config` leads to, and by which it is known.
    fn configured(&self) -> Result<(Option<Config>, Option<Digest>)> {
        let Some(file) = &self.wanted.file else { return Ok((None, None)) };
        let config = Config::load(file).map_err(Failure::Mistakes)?;
        let digest = Digest::of(config.text.as_bytes());
        Ok((Some(config), Some(digest)))
    }

    /// The address of a page; none before something is served.
    pub(super) fn show(&self, page: String) -> Option<String> {
        Some(self.host.as_ref()?.running.show(page))
    }

    /// Ends when all that was begun is finished, or has had its time.
    pub(super) async fn stop(&mut self) {
        if let Some(Host { running, desk, .. }) = self.host.take() {
            self.leaving.1.push(desk);
            self.leaving.0.spawn(running.stop());
        }
        while self.leaving.0.join_next().await.is_some() {}
    }
}

impl Host {
    /// Loads what was put there, and says why it is not served.
    async fn refusal(&self) -> Result {
        let reports = self.running.load().await.context("the artifact can't be loaded")?;
        match reports.into_iter().find_map(|report| report.refused) {
            Some(reason) => Err(anyhow!("the host refuses what was built: {reason}").into()),
            None => Ok(()),
        }
    }
}
