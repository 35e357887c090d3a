//! `nacos://HOST:PORT,HOST:PORT/SERVICE?namespace=&group=&cluster=`: the instances of a service in Nacos that are enabled and healthy,
//! as one of its servers tells of them, and then each time that they change.

mod instance;

use super::{Found, Provider, Reached, Sink, address};
use crate::{
    settings::Table,
    upstream::nacos::{Access, ELSEWHERE, Nacos, NacosService, Server, Session, Told},
};
use futures_util::future::{BoxFuture, FutureExt};
use http::Uri;
use std::time::Duration;
use tokio::time::Instant;

/// As all of Nacos' clients have it.
const GRPC_IS_ABOVE: u16 = 1000;
/// How often the whole set is asked for although changes are told.
const WHOLE: Duration = Duration::from_mins(1);

/// A service in Nacos, to be read or to be registered with.
#[derive(Debug, Clone)]
pub struct NacosSource {
    pub access: Access,
    pub service: NacosService,
    reached: Reached,
}

impl NacosSource {
    /// The URL stands at `key`, and in `more` who asks. `None` only where a mistake is noted.
    pub fn read(table: &Table<'_>, key: &str, more: &Table<'_>, url: &str, reached: Reached) -> Option<Self> {
        let mistake = |text: String| table.mistake(key, text);
        let mut access = Access::read(more);
        let rest = url.strip_prefix("nacos://")?;
        if rest.contains('@') {
            mistake("credentials don't stand in a URL: there are `user` and `password = \"env:NAME\"`; a group stands in ?group=".to_owned());
            return None;
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, name) = place.split_once('/').unwrap_or((place, ""));
        if name.is_empty() || name.contains('/') {
            mistake(format!("expected the name of a service, as in nacos://{hosts}/films.grpc, found {name:?}"));
        }
        let mut service = NacosService {
            namespace: "public".to_owned(),
            group: "DEFAULT_GROUP".to_owned(),
            name: name.to_owned(),
            clusters: Vec::new(),
        };
        let mut port = None;
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                // Empty is what Nacos itself calls the namespace of those who name none.
                Some(("namespace", "")) => {}
                Some(("namespace", text)) => text.clone_into(&mut service.namespace),
                Some(("group", text)) if !text.is_empty() => text.clone_into(&mut service.group),
                Some(("cluster", text)) if !text.is_empty() => {
                    service.clusters.extend(text.split(',').map(str::to_owned))
                }
                Some(("grpc-port", text)) if text.parse::<u16>().is_ok_and(|port| port > 0) => port = text.parse().ok(),
                _ => mistake(format!(
                    "expected the options namespace, group, cluster and grpc-port=PORT, found {option:?}"
                )),
            }
        }
        let scheme = if access.tls.is_some() { "https" } else { "http" };
        for host in hosts.split(',').map(str::trim) {
            match server(scheme, host, port) {
                Ok(server) => access.servers.push(server),
                Err(reason) => {
                    mistake(format!("expected nacos://HOST:PORT,HOST:PORT/SERVICE, found {host:?}: {reason}"))
                }
            }
        }
        Some(Self { access, service, reached })
    }
}

fn server(scheme: &str, host: &str, port: Option<u16>) -> Result<Server, String> {
    let http = address::uri(scheme, host)?;
    let own = http.port_u16().unwrap_or_default();
    let port = port.or_else(|| own.checked_add(GRPC_IS_ABOVE));
    let port =
        port.ok_or_else(|| format!("there is no port {GRPC_IS_ABOVE} above {own}, for gRPC: say ?grpc-port="))?;
    let grpc = format!("{scheme}://{}:{port}", http.host().unwrap_or_default());
    Ok(Server { grpc: grpc.parse::<Uri>().map_err(|error| error.to_string())?, http })
}

impl NacosSource {
    /// Whether the service has an instance at this address now.
    pub async fn has(&self, session: &mut Session, ip: &str, port: u16) -> Result<bool, String> {
        instance::has(&session.query(&self.service).await?, ip, port)
    }
}

#[derive(Debug)]
pub(super) struct FromNacos {
    nacos: Nacos,
    service: NacosService,
    reached: Reached,
}

impl FromNacos {
    pub(super) fn new(config: NacosSource) -> Self {
        let NacosSource { access, service, reached } = config;
        Self { nacos: Nacos::new(access), service, reached }
    }

    fn found(&self, message: &[u8]) -> Result<Found, String> {
        instance::read(message, &self.service, self.reached)
    }

    async fn follow(&self, sink: &Sink) -> Result<(), String> {
        loop {
            let mut session = self.nacos.connect().await?;
            self.listen(&mut session, sink).await?;
            drop(session);
            tokio::time::sleep(ELSEWHERE).await;
        }
    }

    /// Until the server wants its clients elsewhere.
    async fn listen(&self, session: &mut Session, sink: &Sink) -> Result<(), String> {
        sink.take(self.found(&session.subscribe(&self.service).await?)?);
        let mut asked = Instant::now();
        loop {
            match session.next().await? {
                Told::Service(message) => sink.take(self.found(&message)?),
                Told::Elsewhere => return Ok(()),
                // While it is asked, nothing that is told is read: what was told since comes after it.
                Told::Alive if asked.elapsed() >= WHOLE => {
                    sink.take(self.found(&session.subscribe(&self.service).await?)?);
                    asked = Instant::now();
                }
                Told::Alive => {}
            }
        }
    }
}

impl Provider for FromNacos {
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>> {
        async {
            let mut session = self.nacos.connect().await?;
            self.found(&session.query(&self.service).await?)
        }
        .boxed()
    }

    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String> {
        async move { self.follow(sink).await.map_or_else(|error| error, |()| String::new()) }.boxed()
    }
}
