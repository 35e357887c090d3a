//! Where a backend's instances come from: what `endpoints = "SCHEME://…"` names.
//!
//! A [`Provider`] knows whole sets only. Whenever it knows another one it tells it to a [`Sink`]; when it can't go on it says why and
//! ends. It has no state of instances, and none is asked while calls are made. All that providers have in common is done once, by
//! `supervise`: beginning again after a pause, what the log is told, what is kept of the last set, bounds. So a provider is a file in
//! this folder, an arm of [`Kind`] and a scheme in [`Source::read`]. `static://` needs none: its only set is known at once.

mod address;
mod consul;
mod dns;
mod etcd;
mod fixed;
mod found;
mod kubernetes;
mod nacos;
mod status;
mod texts;

pub use consul::ConsulSource;
pub use etcd::{Entry, EtcdSource, Layout, Naming};
pub use found::{Found, Nonsense, Skipped};
pub use kubernetes::told_of_slices;
pub use nacos::NacosSource;
pub use status::{DiscoveryError, DiscoveryState};

pub(super) use status::{Line as StatusLine, Status};

use crate::settings::{Place, Table};
use futures_util::future::BoxFuture;
use http::Uri;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{sync::watch, task::AbortHandle};

/// One instance, as a provider tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSpec {
    /// Scheme and authority: `http://127.0.0.1:50051`. By it an instance is known again.
    pub uri: Uri,
    /// Its share of calls, relative to the others, for the policies that know weights. Above 0.
    pub weight: f64,
    /// What else is known of it: `version`, `zone`.
    pub metadata: BTreeMap<String, String>,
}

impl InstanceSpec {
    /// The same one, called by another scheme.
    pub(super) fn reached_by(mut self, scheme: &str) -> Option<Self> {
        let mut parts = self.uri.into_parts();
        parts.scheme = Some(scheme.parse().ok()?);
        self.uri = Uri::from_parts(parts).ok()?;
        Some(self)
    }
}

/// Knows the instances of a backend, and hears of it when they change.
pub(super) trait Provider: Debug + Send + Sync {
    /// The whole set as it is now.
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>>;

    /// Tells each whole set from now on, beginning with the one that there is. Ends with why it can't go on, within a bounded time also
    /// where nobody answers; it is begun again after a pause.
    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String>;
}

/// Takes sets from a provider and never makes it wait: of sets that come faster than they are taken, the newest counts.
#[derive(Debug)]
pub(super) struct Sink(watch::Sender<Option<Arc<Found>>>);

impl Sink {
    pub(super) fn new() -> (Self, watch::Receiver<Option<Arc<Found>>>) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), receiver)
    }

    pub(super) fn take(&self, found: Found) {
        self.0.send_replace(Some(Arc::new(found)));
    }
}

/// How the instances of a backend are reached, which decides who is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    pub tls: bool,
    pub rest: bool,
}

impl Reached {
    fn scheme(self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// `endpoints`, and `discovery` beside it.
#[derive(Debug, Clone)]
pub struct Source {
    kind: Kind,
    reached: Reached,
    /// As it is written; there are no secrets in it.
    pub url: String,
    /// Whether an empty set is taken although instances of the one before answer.
    pub allow_empty: bool,
    /// How long a start, or a reload, waits for the first set.
    pub wait: Duration,
    pub place: Place,
}

#[derive(Debug, Clone)]
enum Kind {
    Static(Vec<InstanceSpec>),
    Dns(dns::Config),
    Etcd(Box<EtcdSource>),
    Consul(Box<ConsulSource>),
    Nacos(Box<NacosSource>),
    Kubernetes(Box<kubernetes::Config>),
}

impl Source {
    /// Without instances only where a mistake is noted, or where they are still to be found.
    pub(super) fn read(table: &Table<'_>, reached: Reached) -> Self {
        let url: String = table.required("endpoints").unwrap_or_default();
        let scheme = url.split("://").next().unwrap_or_default();
        let more = table.table("discovery");
        let kind = match scheme {
            _ if url.is_empty() => Kind::Static(Vec::new()),
            "static" => Kind::Static(fixed::read(table, &url, reached.scheme())),
            "dns" | "dns+srv" => dns::Config::read(table, &url, reached.scheme()).map_or_else(Kind::none, Kind::Dns),
            "etcd" => {
                let config = EtcdSource::read(table, "endpoints", &more, &url, reached);
                config.map_or_else(Kind::none, |config| Kind::Etcd(Box::new(config)))
            }
            "consul" => {
                let config = ConsulSource::read(table, "endpoints", &more, &url, reached);
                config.map_or_else(Kind::none, |config| Kind::Consul(Box::new(config)))
            }
            "nacos" => {
                let config = NacosSource::read(table, "endpoints", &more, &url, reached);
                config.map_or_else(Kind::none, |config| Kind::Nacos(Box::new(config)))
            }
            "kubernetes" => {
                let config = kubernetes::Config::read(table, &more, &url, reached);
                config.map_or_else(Kind::none, |config| Kind::Kubernetes(Box::new(config)))
            }
            _ => {
                let known = "\"static://HOST:PORT,HOST:PORT\", dns://NAME:PORT, dns+srv://NAME, etcd://HOST:PORT/SERVICE, \
                             consul://HOST:PORT/SERVICE, nacos://HOST:PORT/SERVICE or kubernetes://NAMESPACE/SERVICE:PORT";
                table.mistake("endpoints", format!("expected {known}, found the scheme {scheme:?}"));
                Kind::none()
            }
        };
        let place = table.place("endpoints");
        if more.exists() && matches!(&kind, Kind::Static(specs) if !specs.is_empty()) {
            table.mistake(
                "discovery",
                "static endpoints are not looked for: give `endpoints` another scheme, or leave this out",
            );
        }
        Self {
            kind,
            reached,
            url,
            allow_empty: more.or("allow-empty", false),
            wait: more.within("wait", Duration::from_secs(5), Duration::ZERO, Duration::from_mins(5)),
            place,
        }
    }

    /// `http` or `https`: that of all its instances.
    pub(super) fn instances_scheme(&self) -> &'static str {
        self.reached.scheme()
    }

    /// Makes paths relative to `folder`, and notes those that can't be read.
    pub fn resolve(&mut self, folder: &Path, root: &Table<'_>) {
        let tls = match &mut self.kind {
            Kind::Etcd(config) => config.access.tls.as_mut(),
            Kind::Consul(config) => config.access.tls.as_mut(),
            Kind::Nacos(config) => config.access.tls.as_mut(),
            Kind::Kubernetes(config) => {
                config.resolve(folder, root);
                None
            }
            Kind::Static(_) | Kind::Dns(_) => None,
        };
        if let Some(tls) = tls {
            tls.resolve(folder, root);
        }
    }

    /// The set that is known before anything is asked.
    pub fn known(&self) -> &[InstanceSpec] {
        match &self.kind {
            Kind::Static(specs) => specs,
            Kind::Dns(_) | Kind::Etcd(_) | Kind::Consul(_) | Kind::Nacos(_) | Kind::Kubernetes(_) => &[],
        }
    }

    /// The name that certificates are for, where that is the same for all instances and none of them is called by it.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Dns(dns) => dns.certified(),
            Kind::Kubernetes(config) => Some(config.certified()),
            Kind::Static(_) | Kind::Etcd(_) | Kind::Consul(_) | Kind::Nacos(_) => None,
        }
    }

    /// `static`, `dns`: what stands before `://`.
    pub(super) fn scheme(&self) -> &'static str {
        match &self.kind {
            Kind::Static(_) => "static",
            Kind::Dns(dns) => dns.scheme(),
            Kind::Etcd(_) => "etcd",
            Kind::Consul(_) => "consul",
            Kind::Nacos(_) => "nacos",
            Kind::Kubernetes(_) => "kubernetes",
        }
    }

    /// Who finds them; `None`: they are known. Connects to nothing yet.
    pub(super) fn provider(&self) -> Option<Arc<dyn Provider>> {
        match &self.kind {
            Kind::Static(_) => None,
            Kind::Dns(config) => Some(Arc::new(dns::Dns::new(config.clone()))),
            Kind::Etcd(config) => Some(Arc::new(etcd::FromEtcd::new(config.as_ref().clone()))),
            Kind::Consul(config) => Some(Arc::new(consul::FromConsul::new(config.as_ref().clone()))),
            Kind::Nacos(config) => Some(Arc::new(nacos::FromNacos::new(config.as_ref().clone()))),
            Kind::Kubernetes(config) => Some(Arc::new(kubernetes::Kubernetes::new(config.as_ref().clone()))),
        }
    }
}

impl Kind {
    fn none() -> Self {
        Self::Static(Vec::new())
    }
}

/// A backend's instances are looked for: by whom, and how that goes.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) status: Arc<Status>,
    wait: Duration,
    task: OnceLock<AbortHandle>,
}

impl Discovery {
    pub(super) fn new(source: &Source, provider: Arc<dyn Provider>) -> Self {
        let status = Arc::new(Status::new(source.scheme(), &source.url));
        Self { provider, status, wait: source.wait, task: OnceLock::new() }
    }

    /// The task that watches, once; it ends with this.
    pub(super) fn begin(&self, spawn: impl FnOnce() -> AbortHandle) {
        self.task.get_or_init(spawn);
    }

    /// Until the first set has been told, or the time for it is over.
    pub(super) async fn first_set(&self) -> bool {
        tokio::time::timeout(self.wait, self.status.told()).await.is_ok()
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}
