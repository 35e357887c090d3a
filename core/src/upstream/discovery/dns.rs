//! `dns://NAME:PORT` (A and AAAA) and `dns+srv://NAME`, asked again when the answer's time to live is over.

mod ask;

use super::{Found, InstanceSpec, Nonsense, Provider, Sink, address};
use crate::settings::Table;
use ask::{Answer, Asker, Family};
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{self, StreamExt},
};
use hickory_resolver::proto::rr::{Name, rdata::SRV};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// A time to live below that is taken for this: a server that says 0 is not asked without end.
const SOONEST: Duration = Duration::from_secs(1);
/// Nothing is believed for longer than that, nor that there is nothing for longer than the other.
const LATEST: Duration = Duration::from_hours(1);
const LATEST_WITHOUT: Duration = Duration::from_secs(30);
/// Longest time for one set, with all its questions.
const LONGEST: Duration = Duration::from_secs(20);
/// Targets of one service, and how many of them are asked for at a time.
const LARGEST: usize = 256;
const AT_A_TIME: usize = 8;
/// What a record of weight 0 gets beside others that have weights.
const LEAST: f64 = 0.1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    name: Name,
    kind: Kind,
    /// Who is asked; else those that the system asks.
    server: Option<SocketAddr>,
    scheme: &'static str,
    /// As it is written.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Addresses { port: u16 },
    Services,
}

impl Config {
    /// `dns://NAME:PORT?server=IP:PORT`, `dns+srv://NAME?server=IP:PORT`.
    pub(super) fn read(table: &Table<'_>, url: &str, scheme: &'static str) -> Option<Self> {
        let mistake = |text: String| table.mistake("endpoints", text);
        let (kind, rest) = url.split_once("://")?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut server = None;
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=').map(|(key, value)| (key, value.parse())) {
                Some(("server", Ok(address))) => server = Some(address),
                Some(("server", Err(_))) => mistake(format!("expected server=IP:PORT, found {option:?}")),
                _ => mistake(format!("expected ?server=IP:PORT and no other option, found {option:?}")),
            }
        }
        let (text, kind) = if kind == "dns+srv" {
            (place, Kind::Services)
        } else {
            let (name, port) = place.rsplit_once(':').unwrap_or((place, ""));
            let port = port.parse().ok().filter(|port: &u16| *port > 0);
            if port.is_none() {
                mistake(format!("expected dns://NAME:PORT with a port from 1 to 65535, found {url:?}"));
            }
            (name, Kind::Addresses { port: port? })
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_address = text.parse::<IpAddr>().is_ok();
        let name =
            Name::from_ascii(text).ok().filter(|_| !text.is_empty() && !is_address && text.chars().all(is_plain));
        if name.is_none() {
            mistake(format!("expected a name that DNS knows addresses of, found {text:?}"));
        }
        Some(Self { name: name?, kind, server, scheme, text: text.trim_end_matches('.').to_owned() })
    }

    pub(super) fn scheme(&self) -> &'static str {
        match self.kind {
            Kind::Addresses { .. } => "dns",
            Kind::Services => "dns+srv",
        }
    }

    /// The name that all instances share.
    pub(super) fn certified(&self) -> Option<&str> {
        matches!(self.kind, Kind::Addresses { .. }).then_some(&*self.text)
    }
}

#[derive(Debug)]
pub(super) struct Dns {
    config: Config,
    /// Whether the last set had addresses of the family: of one that never had any, a server may answer nonsense.
    had: [AtomicBool; 2],
}

impl Dns {
    pub(super) fn new(config: Config) -> Self {
        Self { config, had: [AtomicBool::new(false), AtomicBool::new(false)] }
    }

    /// The set, and how long it may be believed.
    async fn ask(&self, asker: &Asker) -> Result<(Found, Duration), String> {
        let asked = async {
            match self.config.kind {
                Kind::Addresses { port } => self.addresses(asker, port).await,
                Kind::Services => self.services(asker).await,
            }
        };
        let answer = tokio::time::timeout(LONGEST, asked).await;
        let (found, lives) = answer.unwrap_or_else(|_| Err(format!("no answer within {LONGEST:?}")))?;
        let latest = if found.specs.is_empty() { LATEST_WITHOUT } else { LATEST };
        Ok((found, lives.clamp(SOONEST, latest)))
    }

    async fn addresses(&self, asker: &Asker, port: u16) -> Result<(Found, Duration), String> {
        let Answer { records, lives } = self.both(asker, &self.config.name).await?;
        let mut found = Found::default();
        for ip in &records {
            self.add(&mut found, *ip, port, 1.0);
        }
        self.note_families(&found);
        Ok((found, lives))
    }

    /// The targets of the lowest priority of which one has an address.
    async fn services(&self, asker: &Asker) -> Result<(Found, Duration), String> {
        let Answer { mut records, mut lives } = asker.services(&self.config.name).await?;
        records.retain(|record| !record.target.is_root());
        records.sort_by_key(|record| record.priority);
        let mut found = Found::default();
        for record in records.iter().skip(LARGEST) {
            found.skip(Nonsense::TooMany, &format_args!("{}: there are {LARGEST} targets already", record.target));
        }
        records.truncate(LARGEST);
        for equal in records.chunk_by(|one, other| one.priority == other.priority) {
            let has_weights = equal.iter().any(|record| record.weight > 0);
            let weight = |record: &SRV| match record.weight {
                0 if has_weights => LEAST,
                0 => 1.0,
                weight => f64::from(weight),
            };
            let asked: Vec<_> = equal.iter().map(|record| self.both(asker, &record.target)).collect();
            let answers: Vec<_> = stream::iter(asked).buffered(AT_A_TIME).collect().await;
            for (record, answer) in equal.iter().zip(answers) {
                let answer = answer.map_err(|reason| format!("{}: {reason}", record.target))?;
                lives = lives.min(answer.lives);
                if answer.records.is_empty() {
                    found.skip(Nonsense::Unresolved, &format_args!("{}: it has no address", record.target));
                }
                for ip in &answer.records {
                    self.add(&mut found, *ip, record.port, weight(record));
                }
            }
            if !found.specs.is_empty() {
                break;
            }
        }
        self.note_families(&found);
        Ok((found, lives))
    }

    fn add(&self, found: &mut Found, ip: IpAddr, port: u16, weight: f64) {
        match address::of(self.config.scheme, ip, port) {
            Ok(uri) => found.add(InstanceSpec { uri, weight, metadata: BTreeMap::new() }),
            Err(reason) => found.skip(Nonsense::Address, &format_args!("{ip}, port {port}: {reason}")),
        }
    }

    /// A and AAAA. Where one of both can't be had and was never there, the other is all there is.
    async fn both(&self, asker: &Asker, name: &Name) -> Result<Answer<IpAddr>, String> {
        let (four, six) = tokio::join!(asker.addresses(name, Family::Four), asker.addresses(name, Family::Six));
        let [had_four, had_six] = [&self.had[0], &self.had[1]].map(|had| had.load(Relaxed));
        match (four, six) {
            (Ok(mut four), Ok(six)) => {
                four.lives = four.lives_with(&six);
                four.records.extend(six.records);
                Ok(four)
            }
            (Ok(answer), Err(_)) if !had_six && !answer.records.is_empty() => Ok(answer),
            (Err(_), Ok(answer)) if !had_four && !answer.records.is_empty() => Ok(answer),
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
        }
    }

    fn note_families(&self, found: &Found) {
        let is_six = |spec: &InstanceSpec| spec.uri.host().is_some_and(|host| host.starts_with('['));
        self.had[0].store(found.specs.iter().any(|spec| !is_six(spec)), Relaxed);
        self.had[1].store(found.specs.iter().any(is_six), Relaxed);
    }
}

impl Provider for Dns {
    fn resolve(&self) -> BoxFuture<'_, Result<Found, String>> {
        async { Ok(self.ask(&Asker::new(self.config.server)?).await?.0) }.boxed()
    }

    fn watch<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, String> {
        async move {
            // Anew after each failure, with what the system's configuration says then.
            let asker = match Asker::new(self.config.server) {
                Ok(asker) => asker,
                Err(reason) => return reason,
            };
            loop {
                match self.ask(&asker).await {
                    Ok((found, lives)) => {
                        sink.take(found);
                        // Hosts that were started together need not ask together.
                        tokio::time::sleep(lives.mul_f64(rand::random_range(1.0..1.1))).await;
                    }
                    Err(reason) => return reason,
                }
            }
        }
        .boxed()
    }
}
