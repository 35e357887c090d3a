//! `etcd://HOST:PORT,HOST:PORT/SERVICE?layout=…`: all entries of a service at one revision, and then what happens to them.

mod layout;

pub use layout::{Entry, Layout, Naming};

use super::{Found, Nonsense, Provider, Reached, Sink, address};
use crate::{
    settings::Table,
    upstream::etcd::{Access, Change, Etcd, EtcdError, KeyValue, Listed, Member},
};
use futures_util::future::{BoxFuture, FutureExt};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

/// Entries of one service that are looked at.
const MOST: usize = 10_000;
/// Of a key, in bytes: what is longer is no entry of theirs, and stands there by its beginning.
const LONGEST_KEY: usize = 1 << 10;
/// Of what is wrong with an entry, in characters.
const SHOWN: usize = 200;
/// Before a service with too many entries is read again as a whole.
const AGAIN: Duration = Duration::from_secs(1);

/// A service of a cluster, to be read or to be registered with.
#[derive(Debug, Clone)]
pub struct EtcdSource {
    pub access: Access,
    pub naming: Naming,
}

impl EtcdSource {
    /// The URL stands at `key`, and in `more` who asks.
    pub fn read(table: &Table<'_>, key: &str, more: &Table<'_>, url: &str, reached: Reached) -> Option<Self> {
        let mistake = |text: String| table.mistake(key, text);
        let mut access = Access::read(more);
        let rest = url.strip_prefix("etcd://")?;
        if rest.contains('@') {
            mistake("credentials don't stand in a URL: there are `user` and `password = \"env:NAME\"`".to_owned());
            return None;
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (members, service) = place.split_once('/').unwrap_or((place, ""));
        let scheme = if access.tls.is_some() { "https" } else { "http" };
        for member in members.split(',').map(str::trim) {
            match address::uri(scheme, member) {
                Ok(uri) => access.members.push(uri),
                Err(reason) => {
                    mistake(format!("expected etcd://HOST:PORT,HOST:PORT/SERVICE, found {member:?}: {reason}"))
                }
            }
        }
        if service.is_empty() {
            mistake(format!("expected a service, as in etcd://{members}/SERVICE?layout=kratos"));
        }
        let (mut layout, mut prefix) = (None, None);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("layout", name)) => layout = Layout::of(name),
                Some(("prefix", text)) => prefix = Some(text.trim_end_matches('/').to_owned()),
                _ => mistake(format!("expected the options layout and prefix, found {option:?}")),
            }
        }
        if layout.is_none() {
            mistake("expected ?layout=kratos, go-zero, go-micro or grpc".to_owned());
        }
        let layout = layout?;
        let prefix = prefix.map_or_else(|| layout.prefix().to_owned(), |prefix| format!("{prefix}/"));
        let naming = Naming { layout, service: service.trim_end_matches('/').to_owned(), prefix, reached };
        Some(Self { access, naming })
    }
}

impl Layout {
    fn of(name: &str) -> Option<Self> {
        [Self::Kratos, Self::GoZero, Self::GoMicro, Self::Grpc].into_iter().find(|layout| layout.as_str() == name)
    }

    /// What stands before a service's name, unless the configuration says otherwise.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Kratos => "/microservices/",
            Self::GoMicro => "/micro/registry/",
            Self::GoZero | Self::Grpc => "",
        }
    }
}

#[derive(Debug)]
pub(super) struct FromEtcd {
    etcd: Etcd,
    naming: Naming,
    keys: String,
}

impl FromEtcd {
    pub(super) fn new(config: EtcdSource) -> Self {
        let EtcdSource { access, naming } = config;
        Self { etcd: Etcd::new(access), keys: naming.keys(), naming }
    }

    /// All members are tried; the message has what each says.
    async fn connected(&self) -> Result<Member, String> {
        let mut reasons = Vec::new();
        for _ in 0..self.etcd.members() {
            match self.etcd.connect().await {
                Ok(member) => return Ok(member),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    async fn listed(&self, member: &Member) -> Result<(Service<'_>, i64), EtcdError> {
        let mut service = Service { of: self, entries: BTreeMap::new(), more: false, has_room: false };
        let Listed { revision, more } = member.list(&self.keys, MOST, |entry| service.put(entry)).await?;
        service.more = more;
        Ok((service, revision))
    }

    /// Until the member can't go on.
    async fn follow(&self, member: &Member, sink: &Sink) -> Result<(), EtcdError> {
        // One turn for each time that its history was compacted before it could be read.
        loop {
            let (mut service, revision) = self.listed(member).await?;
            sink.take(service.found());
            let mut watch = match member.watch(&self.keys, revision + 1).await {
                Err(EtcdError::Compacted) => continue,
                watch => watch?,
            };
            loop {
                let mut changes = match watch.next().await {
                    Err(EtcdError::Compacted) => break,
                    changes => changes?,
                };
                // Whatever has come by now belongs to the same set.
                let mut lost = None;
                while let (None, true, Some(next)) = (&lost, changes.len() < MOST, watch.next().now_or_never()) {
                    match next {
                        Ok(next) => changes.extend(next),
                        Err(error) => lost = Some(error),
                    }
                }
                if !changes.is_empty() {
                    changes.into_iter().for_each(|change| service.apply(change));
                    sink.take(service.found());
                }
                match lost {
                    Some(EtcdError::Compacted) => break,
                    Some(error) => return Err(error),
                    // Not at once: who puts and deletes all the time is not read as a whole each time.
                    None if service.has_room => {
                        tokio::time::sleep(AGAIN).await;
                        break;
                    }
                    None => {}
                }
            }
        }
    }
}

impl Provider for FromEtcd {
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>> {
        async {
            let member = self.connected().await?;
            let (service, _) = self.listed(&member).await.map_err(|error| error.to_string())?;
            Ok(service.found())
        }
        .boxed()
    }

    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String> {
        async move {
            let member = match self.connected().await {
                Ok(member) => member,
                Err(reason) => return reason,
            };
            self.follow(&member, sink).await.map_or_else(|error| error.to_string(), |()| String::new())
        }
        .boxed()
    }
}

/// What is known of a service.
struct Service<'a> {
    of: &'a FromEtcd,
    /// By key.
    entries: BTreeMap<Vec<u8>, Entry>,
    /// There are some that were not looked at.
    more: bool,
    /// And one of those that were is gone.
    has_room: bool,
}

impl Service<'_> {
    fn put(&mut self, KeyValue { mut key, value }: KeyValue) {
        let rest = key.strip_prefix(self.of.keys.as_bytes()).unwrap_or(&key);
        let mut entry = self.of.naming.decode(rest, &value);
        if let Some((_, text)) = &mut entry.odd {
            *text = text.chars().take(SHOWN).collect();
        }
        key.truncate(LONGEST_KEY);
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            self.more = true;
            return;
        }
        self.entries.insert(key, entry);
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Put(entry) => self.put(entry),
            Change::Gone(mut key) => {
                key.truncate(LONGEST_KEY);
                // Somebody whom there was no room for may take its place.
                self.has_room |= self.entries.remove(&key).is_some() && self.more;
            }
        }
    }

    fn found(&self) -> Found {
        let mut found = Found::default();
        let mut known = HashSet::new();
        for (key, Entry { specs, odd }) in &self.entries {
            let key = String::from_utf8_lossy(key);
            if let Some((reason, text)) = odd {
                found.skip(*reason, &format_args!("{key}: {text}"));
            }
            for spec in specs {
                if known.insert(&spec.uri) {
                    found.add(spec.clone());
                } else {
                    found.skip(Nonsense::Doubled, &format_args!("{key}: {} stands there already", spec.uri));
                }
            }
        }
        if self.more {
            found.skip(Nonsense::TooMany, &format_args!("{}: there are more than {MOST} entries", self.of.keys));
        }
        found
    }
}
