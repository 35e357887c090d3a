//! `[register]`: where this host is told of, and as what.

use super::{Instance, Registry, consul, etcd, nacos};
use crate::{
    settings::{Secret, Table},
    upstream::{ConsulSource, EtcdSource, Layout, NacosSource, Reached, TlsFiles},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Where and as what.
#[derive(Debug, Clone)]
pub struct Config {
    /// As it is written; there are no secrets in it.
    pub url: String,
    pub target: Target,
    /// Where it is found by others: `HOST`, with the port that it listens on, or `HOST:PORT`.
    advertise: Option<String>,
    version: String,
    metadata: BTreeMap<String, String>,
    ttl: Duration,
}

/// A registry.
#[derive(Debug, Clone)]
pub enum Target {
    Etcd(Box<EtcdSource>),
    Nacos(Box<NacosSource>),
    Consul(Box<ConsulSource>),
}

impl Target {
    /// `None` only where a mistake is noted.
    fn read(table: &Table<'_>, url: &str) -> Option<Self> {
        let reached = Reached { tls: false, rest: true };
        match url.split("://").next() {
            Some("etcd") => {
                let read = EtcdSource::read(table, "at", table, url, reached);
                read.filter(|source| writes(table, source.naming.layout)).map(|source| Self::Etcd(Box::new(source)))
            }
            Some("nacos") => {
                let read = NacosSource::read(table, "at", table, url, reached);
                read.filter(|source| is_one_cluster(table, source)).map(|source| Self::Nacos(Box::new(source)))
            }
            Some("consul") => {
                let read = ConsulSource::read(table, "at", table, url, reached);
                read.filter(|source| is_one_agent(table, source)).map(|source| Self::Consul(Box::new(source)))
            }
            _ => {
                if !url.is_empty() {
                    let known = "etcd://HOST:PORT,HOST:PORT/SERVICE?layout=kratos or go-zero, nacos://HOST:PORT,HOST:PORT/SERVICE or \
                                 consul://HOST:PORT/SERVICE";
                    table.mistake("at", format!("expected {known}"));
                }
                None
            }
        }
    }

    fn tls(&mut self) -> Option<&mut TlsFiles> {
        match self {
            Self::Etcd(source) => source.access.tls.as_mut(),
            Self::Nacos(source) => source.access.tls.as_mut(),
            Self::Consul(source) => source.access.tls.as_mut(),
        }
    }
}

impl Config {
    /// `None` without the table, or where a mistake is noted. `listen`: what `[http]` says.
    pub fn read(table: &Table<'_>, listen: SocketAddr) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let url: String = table.required("at").unwrap_or_default();
        let target = Target::read(table, &url);
        let advertise = advertised(table, listen);
        let second = Duration::from_secs(1);
        Some(Self {
            url,
            advertise,
            version: table.or("version", String::new()),
            metadata: metadata(&table.table("metadata")),
            ttl: table.within("ttl", second * 15, second * 3, second * 3600),
            target: target?,
        })
    }

    /// Makes paths relative to `folder`, and notes those that can't be read.
    pub fn resolve(&mut self, folder: &Path, root: &Table<'_>) {
        if let Some(tls) = self.target.tls() {
            tls.resolve(folder, root);
        }
    }

    /// What is no mistake, and may not be meant.
    pub fn warning(&self) -> Option<String> {
        let Target::Etcd(source) = &self.target else { return None };
        (source.naming.layout == Layout::GoZero).then(|| {
            "[register]: go-zero's layout has no scheme and is read by its RPC clients only, which speak gRPC; this host answers HTTP".to_owned()
        })
    }

    pub(super) fn registry(&self, port: u16, tls: bool) -> Arc<dyn Registry> {
        let host = self.advertise.clone().unwrap_or_default();
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let address = if has_port { host } else { format!("{host}:{port}") };
        let (version, metadata) = (self.version.clone(), self.metadata.clone());
        let instance = Instance { address, tls, version, metadata };
        match &self.target {
            Target::Etcd(source) => Arc::new(etcd::InEtcd::new(source, instance, self.ttl)),
            Target::Nacos(source) => Arc::new(nacos::InNacos::new(source, &instance, self.ttl)),
            Target::Consul(source) => Arc::new(consul::InConsul::new(source, &instance, self.ttl)),
        }
    }
}

fn writes(table: &Table<'_>, layout: Layout) -> bool {
    let writes = matches!(layout, Layout::Kratos | Layout::GoZero);
    if !writes {
        table.mistake("at", format!("expected ?layout=kratos or go-zero, found {}", layout.as_str()));
    }
    writes
}

/// An instance is in one cluster.
fn is_one_cluster(table: &Table<'_>, source: &NacosSource) -> bool {
    let is_one = source.service.clusters.len() <= 1;
    if !is_one {
        table.mistake("at", "expected ?cluster= with one cluster: that of this host");
    }
    is_one
}

/// Two agents would each have an instance, and each its own health.
fn is_one_agent(table: &Table<'_>, source: &ConsulSource) -> bool {
    let (is_one, is_own) = (source.access.agents.len() <= 1, source.datacenter.is_none());
    if !is_one {
        table.mistake("at", "expected one agent: that of this machine");
    }
    if !is_own {
        table.mistake("at", "the datacenter is the agent's own: expected no option but tag");
    }
    is_one && is_own
}

fn metadata(table: &Table<'_>) -> BTreeMap<String, String> {
    let names = table.names().into_iter();
    names.filter_map(|name| Some((name.clone(), table.optional(&name)?))).collect()
}

/// `advertise = "HOST"`, `"HOST:PORT"` or `"env:NAME"`; else what the host listens on.
fn advertised(table: &Table<'_>, listen: SocketAddr) -> Option<String> {
    let lets_loopback = table.or("allow-loopback", false);
    let written: Option<String> = table.optional("advertise");
    let from_environment = written.as_deref().and_then(Secret::parse).map(|place| table.at_hand("advertise", place));
    let text = match (from_environment, written) {
        // Where it need not be known, as in a check on another machine.
        (Some(Secret::StandIn), _) => return None,
        (Some(place), _) => place.read().ok()?,
        (None, Some(text)) => text,
        (None, None) => bracketed(listen.ip()),
    };
    // An IPv6 address may stand there as the environment has it.
    let text = text.parse::<std::net::Ipv6Addr>().map_or(text, |ip| bracketed(ip.into()));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().ok().filter(|port| *port > 0)),
        _ => (&*text, Some(0)),
    };
    if host.is_empty() || port.is_none() || !host.chars().all(is_plain) {
        table.mistake("advertise", format!("expected HOST, HOST:PORT or env:NAME, found {text:?}"));
        return None;
    }
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let is_loopback = ip.is_some_and(|ip| ip.is_loopback()) || host == "localhost";
    let key = if table.has("advertise") { "advertise" } else { "" };
    if ip.is_some_and(|ip| ip.is_unspecified()) {
        table.mistake(
            key,
            format!("{host} is nobody's address: set `advertise` to where others find this host, or to \"env:NAME\""),
        );
    } else if is_loopback && !lets_loopback {
        table.mistake(key, format!("nobody else reaches {host}: set `advertise`, or allow-loopback = true"));
    }
    Some(text)
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
