//! Questions to a DNS server. hickory is named here and, for its types, in `dns.rs` only.

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType, rdata::SRV},
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// One question to one server; there are two tries.
const TIME: Duration = Duration::from_secs(2);
/// How long it is believed that there is nothing, where nobody says.
const NOTHING_LIVES: Duration = Duration::from_secs(5);

/// What a name has. Nothing is an answer too.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) records: Vec<T>,
    pub(super) lives: Duration,
}

impl<T> Answer<T> {
    /// For how long both together hold. That there is nothing of one family is no reason to ask for the other sooner.
    pub(super) fn lives_with(&self, other: &Self) -> Duration {
        match (self.records.is_empty(), other.records.is_empty()) {
            (true, false) => other.lives,
            (false, true) => self.lives,
            _ => self.lives.min(other.lives),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Family {
    Four,
    Six,
}

pub(super) struct Asker(TokioResolver);

impl Asker {
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let wrong = |error: NetError| format!("the system's DNS configuration can't be used: {error}");
        let mut builder = match server {
            Some(server) => TokioResolver::builder_with_config(only(server), TokioRuntimeProvider::default()),
            None => TokioResolver::builder_tokio().map_err(wrong)?,
        };
        let options = builder.options_mut();
        // Answers are kept by who asks, for exactly as long as they live.
        options.cache_size = 0;
        options.timeout = TIME;
        options.attempts = 2;
        if server.is_some() {
            options.use_hosts_file = ResolveHosts::Never;
        }
        builder.build().map(Self).map_err(wrong)
    }

    pub(super) async fn addresses(&self, name: &Name, family: Family) -> Result<Answer<IpAddr>, String> {
        let kind = match family {
            Family::Four => RecordType::A,
            Family::Six => RecordType::AAAA,
        };
        let ip = |data: &RData| match data {
            RData::A(four) => Some(IpAddr::V4(four.0)),
            RData::AAAA(six) => Some(IpAddr::V6(six.0)),
            _ => None,
        };
        self.ask(name, kind, ip).await
    }

    pub(super) async fn services(&self, name: &Name) -> Result<Answer<SRV>, String> {
        let service = |data: &RData| match data {
            RData::SRV(service) => Some(service.clone()),
            _ => None,
        };
        self.ask(name, RecordType::SRV, service).await
    }

    async fn ask<T>(
        &self,
        name: &Name,
        kind: RecordType,
        wanted: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, String> {
        match self.0.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                let records = lookup.answers().iter().filter_map(|record| wanted(&record.data)).collect();
                Ok(Answer { records, lives: lives(&lookup) })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let lives = none.negative_ttl.map_or(NOTHING_LIVES, |ttl| Duration::from_secs(ttl.into()));
                Ok(Answer { records: Vec::new(), lives })
            }
            Err(error) => Err(format!("{kind} of {name}: {error}")),
        }
    }
}

fn lives(lookup: &Lookup) -> Duration {
    let shortest = lookup.answers().iter().map(|record| record.ttl).min();
    Duration::from_secs(shortest.unwrap_or_default().into())
}

fn only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    ResolverConfig::from_name_servers(vec![NameServerConfig::new(server.ip(), true, connections.to_vec())])
}
