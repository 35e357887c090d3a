//! `[register]`: where this host is told of, and as what.

use super::{Instance, Registry, etcd};
use crate::{
    settings::{Secret, Table},
    upstream::{EtcdSource, Layout, Reached},
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
}

impl Config {
    /// `None` without the table, or where a mistake is noted. `listen`: what `[http]` says.
    pub fn read(table: &Table<'_>, listen: SocketAddr) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let url: String = table.required("at").unwrap_or_default();
        let target = match url.split("://").next() {
            Some("etcd") => {
                let read = EtcdSource::read(table, "at", table, &url, Reached { tls: false, rest: true });
                read.filter(|source| writes(table, source.naming.layout)).map(|source| Target::Etcd(Box::new(source)))
            }
            _ => {
                if !url.is_empty() {
                    table.mistake("at", "expected etcd://HOST:PORT,HOST:PORT/SERVICE?layout=kratos or go-zero");
                }
                None
            }
        };
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
        let Target::Etcd(source) = &mut self.target;
        source.access.tls.iter_mut().for_each(|tls| tls.resolve(folder, root));
    }

    /// What is no mistake, and may not be meant.
    pub fn warning(&self) -> Option<String> {
        let Target::Etcd(source) = &self.target;
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
        let Target::Etcd(source) = &self.target;
        Arc::new(etcd::InEtcd::new(source, instance, self.ttl))
    }
}

fn writes(table: &Table<'_>, layout: Layout) -> bool {
    let writes = matches!(layout, Layout::Kratos | Layout::GoZero);
    if !writes {
        table.mistake("at", format!("expected ?layout=kratos or go-zero, found {}", layout.as_str()));
    }
    writes
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
