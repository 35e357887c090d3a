//! The host as an instance in somebody's registry: there while it is ready, gone at once when it stops.
//!
//! A [`Registry`] keeps up one registration until it can't, and takes it away. All else is done once, here: it is begun again for as long
//! as it takes, only while the host is ready, and the log says when that begins to fail and when it is over. Another registry is a file
//! in this folder and an arm in [`Config`].

mod config;
mod consul;
mod etcd;
mod nacos;

pub use config::{Config, Target};

use crate::{net::Backoff, settings::brief, sync::lock, telemetry::Metrics};
use futures_util::future::BoxFuture;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

/// How often it is looked whether the host is ready.
const PATROL: Duration = Duration::from_millis(500);
/// How long a stop waits until it is taken away.
const LEAVING: Duration = Duration::from_secs(3);

/// What is said of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    /// `HOST:PORT`.
    pub(crate) address: String,
    pub(crate) tls: bool,
    pub(crate) version: String,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Instance {
    /// The host without the brackets of IPv6, as registries have it that keep a port of its own.
    fn host_and_port(&self) -> (String, u16) {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port.parse().unwrap_or_default())
    }
}

/// Knows how to be registered somewhere.
trait Registry: Debug + Send + Sync {
    /// Registers, calls `stands` when that is done and each time that it is seen to hold, and ends with why it does no longer.
    fn hold<'a>(&'a self, stands: &'a (dyn Fn() + Send + Sync)) -> BoxFuture<'a, String>;

    /// Takes it away.
    fn leave(&self) -> BoxFuture<'_, Result<(), String>>;
}

/// A registration that is kept up.
#[derive(Debug)]
pub struct Registration {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Registration {
    /// From now on, while `is_ready`. `listens`: where the host listens and whether with TLS.
    pub fn begin(
        config: &Config,
        port: u16,
        tls: bool,
        metrics: &Metrics,
        is_ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let registry = config.registry(port, tls);
        let keeper = Keeper { registry, url: config.url.clone(), metrics: metrics.clone(), trouble: Mutex::default() };
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(keeper.keep(is_ready, stopped)) }
    }

    /// It is gone when this returns, or can't be taken away.
    pub async fn leave(mut self) {
        self.stop.send_replace(true);
        let _ = timeout(LEAVING, &mut self.task).await;
    }
}

#[derive(Debug)]
struct Keeper {
    registry: Arc<dyn Registry>,
    url: String,
    metrics: Metrics,
    /// Since when it can't be registered.
    trouble: Mutex<Option<Instant>>,
}

impl Keeper {
    async fn keep(self, is_ready: impl Fn() -> bool, mut stopped: watch::Receiver<bool>) {
        let mut backoff = Backoff::of_neighbours();
        let mut may_be_there = false;
        loop {
            if may_be_there && !is_ready() {
                may_be_there = !self.leave().await;
            }
            let pause = if may_be_there { backoff.pause_after(Duration::ZERO) } else { Duration::MAX };
            tokio::select! {
                () = until(&is_ready) => {}
                () = told(&mut stopped) => {
                    if may_be_there {
                        self.leave().await;
                    }
                    return;
                }
                // To take away what could not be taken away before.
                () = tokio::time::sleep(pause) => continue,
            }
            may_be_there = true;
            let begun = Instant::now();
            let stands = || self.stands();
            let lost = tokio::select! {
                reason = self.registry.hold(&stands) => Some(reason),
                () = until(|| !is_ready()) => None,
                () = told(&mut stopped) => {
                    self.leave().await;
                    return;
                }
            };
            let Some(reason) = lost else { continue };
            self.fails(&reason);
            tokio::select! {
                () = tokio::time::sleep(backoff.pause_after(begun.elapsed())) => {}
                () = told(&mut stopped) => {
                    self.leave().await;
                    return;
                }
            }
        }
    }

    fn stands(&self) {
        let url = &self.url;
        if self.metrics.registered.set(1) == 0 {
            match lock(&self.trouble).take() {
                Some(since) => tracing::info!("registered again at {url}, after {:.1?}", since.elapsed()),
                None => tracing::info!("registered at {url}"),
            }
        }
    }

    fn fails(&self, reason: &str) {
        let reason = brief(reason);
        self.metrics.registered.set(0);
        self.metrics.registration_failures.inc();
        let mut trouble = lock(&self.trouble);
        if trouble.is_none() {
            let url = &self.url;
            tracing::warn!("this host can't be registered at {url}: {reason}; it is tried until it can");
        }
        trouble.get_or_insert_with(Instant::now);
    }

    /// Whether it is gone.
    async fn leave(&self) -> bool {
        let url = &self.url;
        self.metrics.registered.set(0);
        let left = timeout(LEAVING, self.registry.leave()).await;
        match left.unwrap_or_else(|_| Err(format!("no answer within {LEAVING:?}"))) {
            Ok(()) => {
                tracing::info!("no longer registered at {url}");
                true
            }
            Err(reason) => {
                let reason = brief(&reason);
                tracing::warn!(
                    "the registration at {url} could not be taken away, and ends with what it hangs on there: {reason}"
                );
                false
            }
        }
    }
}

async fn told(stopped: &mut watch::Receiver<bool>) {
    // Who is gone has no word left to say.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::time::sleep(PATROL).await;
    }
}

#[cfg(test)]
mod tests;
