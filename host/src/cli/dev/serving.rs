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
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

/// So long requests may still take at the end. Where a host only gives way to another one, they have their own time.
const LAST: Duration = Duration::from_secs(2);
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
    /// Hosts that finish what they have begun.
    leaving: JoinSet<()>,
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
            .with_context(|| format!("can't listen on {listen}: is another program there already? --listen names another place, such as 127.0.0.1:0 for a free port"))?;
        let http = listener.local_addr()?;
        let (followed, requests) = mpsc::channel(MOST);
        Ok((Self { wanted, listener, http, host: None, leaving: JoinSet::new(), followed }, requests))
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
        if let Some(before) = self.host.replace(host) {
            self.leave(before);
        }
        Ok(backends.told(self.wanted.file.as_deref()))
    }

    /// Beside the one that serves. The listener is the same, and whoever waits there is taken in by either, but by this one only once it
    /// serves what was built.
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
        let passed = Listening { http: Some(self.listener.try_clone()?), admin: None, is_taken: true };
        let running = start_at(config, Environment::Real, passed).await.context("the host can't start")?;
        let host = Host { running, shape, desk };
        match host.refusal().await {
            Ok(()) => {
                host.running.accept();
                Ok(host)
            }
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

    fn leave(&mut self, Host { running, desk, .. }: Host) {
        while self.leaving.try_join_next().is_some() {}
        self.leaving.spawn(async move {
            running.stop().await;
            drop(desk);
        });
    }

    /// Ends when all that was begun is finished, or has had its time.
    pub(super) async fn stop(&mut self) {
        if let Some(host) = self.host.take() {
            self.leave(host);
        }
        let ended = async { while self.leaving.join_next().await.is_some() {} };
        // What takes longer is cut off.
        let _ = timeout(LAST, ended).await;
    }

    /// Ends all at once, and leaves nothing behind.
    pub(super) async fn cut(mut self) {
        self.leaving.shutdown().await;
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
