//! `kubernetes://NAMESPACE/SERVICE:PORT`: the EndpointSlices of a service, listed at one revision and then watched.

mod access;
mod api;
mod kubeconfig;
mod lines;
mod slice;

use super::{Found, Provider, Reached, Sink};
use crate::settings::{Place, Table};
use access::Access;
use api::{Api, ApiError, Event, Listed, event};
use futures_util::future::{BoxFuture, FutureExt};
use kubeconfig::Kubeconfig;
use lines::Lines;
use slice::{Port, Service, Wanted};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// Where a pod has the token of its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// About so long is waited between two lists, or two watches that tell nothing.
const AGAIN: Duration = Duration::from_secs(1);
/// So many of them one after the other are an outage.
const IN_VAIN: usize = 5;
/// Changes that are taken together, if they have come by then.
const TOGETHER: usize = 10_000;
/// Of names: those of Kubernetes are labels of DNS.
const LONGEST: usize = 63;

#[derive(Debug, Clone)]
pub(super) struct Config {
    wanted: Wanted,
    /// The name that is in certificates of its pods, if any is.
    name: String,
    account: Account,
}

/// Who asks.
#[derive(Debug, Clone)]
enum Account {
    /// Whoever this host is: as `$KUBECONFIG` says, else a pod.
    Own {
        context: Option<String>,
    },
    Kubeconfig {
        path: PathBuf,
        context: Option<String>,
        place: Place,
    },
    /// A pod whose token is mounted there.
    Pod(PathBuf),
}

impl Config {
    /// `None` only where a mistake is noted.
    pub(super) fn read(table: &Table<'_>, more: &Table<'_>, url: &str, reached: Reached) -> Option<Self> {
        let account = Account::read(more);
        let expected = "kubernetes://NAMESPACE/SERVICE:PORT, the port as a number or by its name";
        let parts = || {
            let (namespace, rest) = url.strip_prefix("kubernetes://")?.split_once('/')?;
            let (service, port) = rest.rsplit_once(':')?;
            Some((namespace, service, port))
        };
        let Some((namespace, service, port)) = parts().filter(|_| !url.contains('?')) else {
            let hint = "; who asks is said by `discovery = { kubeconfig = \"PATH\" }`";
            let hint = if url.contains('?') { hint } else { "" };
            table.mistake("endpoints", format!("expected {expected}, found {url:?}{hint}"));
            return None;
        };
        let mut is_fit = true;
        for (what, name) in [("a namespace", namespace), ("a service", service)] {
            if !is_name(name) {
                is_fit = false;
                table.mistake("endpoints", format!("expected {expected}: {name:?} is not the name of {what}"));
            }
        }
        let number = port.parse::<u16>().ok().filter(|number| *number > 0);
        let port = match number {
            Some(number) => Some(Port::Number(number)),
            None if is_name(port) && port.contains(|c: char| c.is_ascii_lowercase()) => {
                Some(Port::Named(port.to_owned()))
            }
            None => {
                let text = format!("expected {expected}: {port:?} is no port from 1 to 65535 and no name of one");
                table.mistake("endpoints", text);
                None
            }
        };
        let name = format!("{service}.{namespace}.svc");
        let (namespace, service) = (namespace.to_owned(), service.to_owned());
        let wanted = Wanted { namespace, service, port: port.filter(|_| is_fit)?, reached };
        Some(Self { wanted, name, account })
    }

    /// Makes paths relative to `folder`, and notes what is wrong with a kubeconfig that is named.
    pub(super) fn resolve(&mut self, folder: &Path, root: &Table<'_>) {
        match &mut self.account {
            Account::Kubeconfig { path, place, .. } => {
                *path = folder.join(&path);
                let place = place.clone();
                if let Err(reason) = self.account.access() {
                    root.note(place.mistake(reason));
                }
            }
            Account::Pod(path) => *path = folder.join(&path),
            Account::Own { .. } => {}
        }
    }

    /// As the cluster's own DNS calls the service.
    pub(super) fn certified(&self) -> &str {
        &self.name
    }
}

fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= LONGEST
        && text.chars().all(is_plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl Account {
    fn read(more: &Table<'_>) -> Self {
        let path: Option<PathBuf> = more.optional("kubeconfig");
        let context: Option<String> = more.optional("context");
        let pod: Option<PathBuf> = more.optional("service-account");
        if pod.is_some() && (path.is_some() || context.is_some()) {
            more.mistake(
                "service-account",
                "a pod's account needs no `kubeconfig` and no `context`: leave out the one or the other",
            );
        }
        match (path, pod) {
            (Some(path), _) => Self::Kubeconfig { path, context, place: more.place("kubeconfig") },
            (None, Some(pod)) => Self::Pod(pod),
            (None, None) => Self::Own { context },
        }
    }

    /// All files are read anew.
    fn access(&self) -> Result<Access, String> {
        match self {
            Self::Kubeconfig { path, context, .. } => {
                Kubeconfig::read(std::slice::from_ref(path))?.access(context.as_deref())
            }
            Self::Pod(folder) => Access::of_pod(folder),
            Self::Own { context } => {
                let files = std::env::var_os("KUBECONFIG").unwrap_or_default();
                let files: Vec<_> = std::env::split_paths(&files).filter(|path| !path.as_os_str().is_empty()).collect();
                match (files.is_empty(), context) {
                    (false, context) => Kubeconfig::read(&files)?.access(context.as_deref()),
                    (true, Some(_)) => {
                        Err("`context` needs a kubeconfig, and neither `kubeconfig` nor $KUBECONFIG names one"
                            .to_owned())
                    }
                    (true, None) => Access::of_pod(Path::new(ACCOUNT))
                        .map_err(|reason| format!("no `kubeconfig`, no $KUBECONFIG, and {reason}")),
                }
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Kubernetes {
    config: Config,
}

impl Kubernetes {
    pub(super) fn new(config: Config) -> Self {
        Self { config }
    }

    fn api(&self) -> Result<Api, String> {
        let Wanted { namespace, service, .. } = &self.config.wanted;
        Api::new(self.config.account.access()?, namespace, service)
    }

    async fn listed(&self, api: &Api) -> Result<(Service<'_>, String), ApiError> {
        let wanted = &self.config.wanted;
        let mut service = Service::new(wanted);
        let listing = api.list(|told| match told {
            Listed::Begins => service = Service::new(wanted),
            Listed::Slice(object) => service.put(object),
        });
        let revision = listing.await?;
        Ok((service, revision))
    }

    /// Until it can't go on.
    async fn follow(&self, sink: &Sink) -> Result<(), ApiError> {
        let api = self.api()?;
        let mut in_vain = 0;
        // One turn for each list.
        loop {
            let begun = Instant::now();
            let (mut service, mut revision) = self.listed(&api).await?;
            sink.take(service.found());
            // One turn for each watch.
            let ended = loop {
                let opened = Instant::now();
                let told = match self.one_watch(&api, &mut service, &mut revision, sink).await {
                    Ok(told) => told,
                    Err(error) => break error,
                };
                if service.has_room() {
                    break ApiError::Gone;
                }
                in_vain = if told || opened.elapsed() >= AGAIN { 0 } else { in_vain + 1 };
                if in_vain > 0 {
                    self.breathe(in_vain, "its watches end at once").await?;
                }
            };
            if ended != ApiError::Gone {
                return Err(ended);
            }
            // Not at once: other hosts have lost the same. Who is refused, or flaps, all the time is not listed all the time.
            in_vain += usize::from(begun.elapsed() < AGAIN);
            self.breathe(in_vain, "it knows no revision that it lists (410 Gone)").await?;
        }
    }

    async fn breathe(&self, in_vain: usize, why: &str) -> Result<(), String> {
        if in_vain > IN_VAIN {
            return Err(format!("the API server can't be watched: {why}"));
        }
        tokio::time::sleep(AGAIN.mul_f64(rand::random_range(0.5..1.5))).await;
        Ok(())
    }

    /// One watch to its end, and whether it told of anything.
    async fn one_watch<'a>(
        &'a self,
        api: &Api,
        service: &mut Service<'a>,
        revision: &mut String,
        sink: &Sink,
    ) -> Result<bool, ApiError> {
        let mut watch = api.watch(revision).await?;
        let mut has_told = false;
        while let Some(first) = watch.next().await? {
            has_told = true;
            let (mut next, mut lost, mut room) = (Some(first), None, TOGETHER);
            // Whatever has come by now belongs to the same set.
            while let Some((event, of)) = next.take() {
                apply(service, event);
                *revision = of;
                room -= 1;
                let come = if room > 0 { watch.next().now_or_never() } else { None };
                match come {
                    Some(Ok(more)) => next = more,
                    Some(Err(error)) => lost = Some(error),
                    None => {}
                }
            }
            sink.take(service.found());
            match lost {
                Some(error) => return Err(error),
                None if service.has_room() => return Ok(true),
                None => {}
            }
        }
        Ok(has_told)
    }
}

fn apply(service: &mut Service<'_>, event: Event) {
    match event {
        Event::Put(object) => service.put(&object),
        Event::Gone(object) => service.gone(&object),
        Event::Bookmark => {}
    }
}

/// The set that a watch of this service has told of in these bytes, up to where it is no watch any more.
pub fn told_of_slices(bytes: &[u8], service: &str, reached: Reached) -> Found {
    let port = Port::Named("grpc".to_owned());
    let wanted = Wanted { namespace: String::new(), service: service.to_owned(), port, reached };
    let (mut lines, mut service) = (Lines::default(), Service::new(&wanted));
    lines.push(bytes);
    while let Ok(Some(line)) = lines.next() {
        match event(&line) {
            Ok((event, _)) => apply(&mut service, event),
            Err(_) => break,
        }
    }
    service.found()
}

impl Provider for Kubernetes {
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>> {
        async {
            let api = self.api()?;
            self.listed(&api).await.map(|(service, _)| service.found()).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String> {
        async move { self.follow(sink).await.map_or_else(|error| error.to_string(), |()| String::new()) }.boxed()
    }
}
