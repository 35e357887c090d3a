//! The part of `[backend.NAME]` that says where the backend is and how it is reached.

use super::{
    asks::Checks,
    discovery::{Reached, Source},
    health::Outlier,
    limit::Concurrency,
    stand_in::StandIn,
    tls::TlsFiles,
};
use crate::{
    model::Code,
    settings::{ByteSize, Percent, Secret, Table},
};
use http::{HeaderName, HeaderValue};
use std::{sync::Arc, time::Duration};

crate::choice! {
    /// How an endpoint is picked for a call.
    pub enum Balance {
        /// The better of two random ones, by the peak-sensitive average of their answer times and their calls under way.
        P2cEwma = "p2c-ewma",
        RoundRobin = "round-robin",
        WeightedRoundRobin = "weighted-round-robin",
        LeastRequests = "least-requests",
        WeightedLeastRequests = "weighted-least-requests",
        Random = "random",
        WeightedRandom = "weighted-random",
        /// By the client's address: one client stays with one endpoint.
        SourceHash = "source-hash",
        /// By the client's address and port: one connection stays with one endpoint.
        SourcePortHash = "source-port-hash",
    }
}

/// `retry = { … }`: safe methods only.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Attempts of one call, the first included.
    pub attempts: u32,
    /// Retries and hedges for each call, over all calls of the backend.
    pub budget: f64,
    /// The codes after which it is tried again.
    pub on: Vec<Code>,
}

/// `hedge = { after = … }`: when a second endpoint is asked too. Safe methods only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hedge {
    /// When an answer takes longer than this share of answers did.
    Quantile(f64),
    After(Duration),
}

/// `canary = { key = "version", value = "2", share = "5%" }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    pub key: String,
    pub value: String,
    /// The share of calls that goes to the endpoints with this metadata; they get no others.
    pub share: f64,
}

crate::choice! {
    /// What a backend speaks.
    pub enum Protocol { Grpc = "grpc", Rest = "rest" }
}

/// `credential = { header = "authorization", secret = "env:KEY", prefix = "Bearer " }`: the host's own, for calls that carry no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    header: HeaderName,
    prefix: String,
    secret: Secret,
}

impl Credential {
    fn read_table(table: &Table<'_>) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let name: String = table.or("header", "authorization".to_owned());
        let header = HeaderName::try_from(name).map_err(|_| table.mistake("header", "expected a header name")).ok();
        let prefix = table.or("prefix", String::new());
        let secret = table.at_hand("secret", table.required("secret")?);
        let credential = Self { header: header?, prefix, secret };
        if let Err(reason) = credential.read() {
            table.mistake("secret", reason);
        }
        Some(credential)
    }

    /// The header and its value.
    pub(super) fn read(&self) -> Result<(HeaderName, HeaderValue), String> {
        let text = format!("{}{}", self.prefix, self.secret.read()?);
        let mut value = HeaderValue::try_from(text).map_err(|_| "holds what can't stand in a header".to_owned())?;
        value.set_sensitive(true);
        Ok((self.header.clone(), value))
    }
}

/// How to reach one backend.
#[derive(Debug, Clone)]
pub struct Config {
    pub endpoints: Source,
    pub balance: Balance,
    /// Below this share of endpoints that are not ejected, ejections are disregarded.
    pub panic: f64,
    pub retry: Retry,
    pub hedge: Option<Hedge>,
    /// The throttle's K; 0 switches it off.
    pub breaker: f64,
    pub concurrency: Concurrency,
    pub outlier: Outlier,
    /// How instances are asked whether they should get calls.
    pub health: Option<Checks>,
    pub canary: Option<Canary>,
    pub connect_timeout: Duration,
    /// A connection on which nothing has come for so long is asked whether it is still there (gRPC).
    pub keep_alive: Duration,
    /// The largest reply that is read.
    pub max_reply: ByteSize,
    pub tls: Option<TlsFiles>,
    pub protocol: Protocol,
    pub credential: Option<Credential>,
    /// What the backend is offered for its replies, as `grpc-accept-encoding`.
    pub compression: Option<HeaderValue>,
    /// Who answers instead of the instances, which are then connected to by nobody. Set by programs; no key of the file says it.
    pub stand_in: Option<Arc<dyn StandIn>>,
}

impl Config {
    /// Without endpoints only where a mistake is noted.
    pub fn read(table: &Table<'_>) -> Self {
        let mut tls = TlsFiles::read(&table.table("tls"));
        let protocol = table.or("protocol", Protocol::Grpc);
        let endpoints = Source::read(table, Reached { tls: tls.is_some(), rest: protocol == Protocol::Rest });
        if let Some(tls) = &mut tls {
            // Certificates are for the name, and instances are called by address.
            tls.server_name = tls.server_name.take().or_else(|| endpoints.name().map(str::to_owned));
        }
        let health = table.table("health");
        Self {
            endpoints,
            balance: table.or("balance", Balance::P2cEwma),
            panic: table.or("panic", Percent(0.5)).0,
            retry: Retry::read(&table.table("retry")),
            hedge: Hedge::read(&table.table("hedge")),
            breaker: table.table("breaker").within("k", 2.0, 0.0, 100.0),
            concurrency: Concurrency::read(&table.table("concurrency")),
            outlier: Outlier::read(&table.table("outlier")),
            health: match protocol {
                Protocol::Grpc => Checks::of_grpc(&health),
                Protocol::Rest => Checks::of_rest(&health),
            },
            canary: Canary::read(&table.table("canary")),
            connect_timeout: table.within(
                "connect-timeout",
                Duration::from_secs(1),
                Duration::from_millis(1),
                Duration::from_mins(1),
            ),
            keep_alive: table.within(
                "keep-alive",
                // What servers allow by default (gRPC A8).
                Duration::from_mins(5),
                Duration::from_millis(100),
                Duration::from_hours(1),
            ),
            max_reply: table.within("max-reply", ByteSize(4 << 20), ByteSize(1 << 10), ByteSize(256 << 20)),
            tls,
            protocol,
            credential: Credential::read_table(&table.table("credential")),
            compression: codings(table),
            stand_in: None,
        }
    }
}

/// `compression = ["zstd", "gzip"]`, the most wanted first.
fn codings(table: &Table<'_>) -> Option<HeaderValue> {
    let names: Vec<String> = table.or("compression", Vec::new());
    if let Some(name) = names.iter().find(|name| !matches!(name.as_str(), "gzip" | "zstd")) {
        table.mistake("compression", format!("expected \"gzip\" and \"zstd\", found {name:?}"));
    }
    // Without `identity` a backend may take a plain reply for forbidden.
    (!names.is_empty()).then(|| HeaderValue::try_from(format!("{},identity", names.join(","))).ok()).flatten()
}

impl Retry {
    fn read(table: &Table<'_>) -> Self {
        let names: Vec<String> = table.or("on", vec!["UNAVAILABLE".to_owned()]);
        let code = |name: &String| {
            let code = Code::from_name(name).filter(|code| *code != Code::Ok);
            if code.is_none() {
                table.mistake("on", format!("`{name}` is no gRPC status code such as \"UNAVAILABLE\""));
            }
            code
        };
        Self {
            attempts: table.within("attempts", 3, 1, 5),
            budget: table.or("budget", Percent(0.2)).0,
            on: names.iter().filter_map(code).collect(),
        }
    }
}

impl Hedge {
    fn read(table: &Table<'_>) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let text: String = table.required("after")?;
        let percentile = text.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
        match percentile {
            Some(percentile) if (50.0..100.0).contains(&percentile) => Some(Self::Quantile(percentile / 100.0)),
            Some(_) => {
                table.mistake("after", "expected a percentile from \"p50\" to below \"p100\"");
                None
            }
            None => table.optional_within("after", Duration::from_millis(1), Duration::from_mins(5)).map(Self::After),
        }
    }
}

impl Concurrency {
    fn read(table: &Table<'_>) -> Self {
        let default = Self::default();
        Self {
            initial: table.within("initial", default.initial, 1, 10_000),
            max: table.within("max", default.max, 1, 100_000),
        }
    }
}

impl Outlier {
    fn read(table: &Table<'_>) -> Self {
        let default = Self::default();
        let second = Duration::from_secs(1);
        Self {
            consecutive: table.within("consecutive", default.consecutive, 0, 10_000),
            interval: table.within("interval", default.interval, second, second * 3600),
            base: table.within("base", default.base, Duration::from_millis(1), second * 3600),
            max: table.within("max", default.max, Duration::from_millis(1), second * 86_400),
            max_ejected: table.or("max-ejected", Percent(default.max_ejected)).0,
            slow_start: table.within("slow-start", default.slow_start, Duration::ZERO, second * 3600),
        }
    }
}

impl Canary {
    fn read(table: &Table<'_>) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let (key, value, share) = (table.required("key"), table.required("value"), table.required::<Percent>("share"));
        Some(Self { key: key?, value: value?, share: share?.0 })
    }
}
