//! `[identity]` of `weft.toml`.

use super::{
    algorithm::Algorithm,
    exchange, is_internal,
    keys::KeySet,
    places::{check_url, readable},
};
use crate::{
    fanout::{BackendConfig, Forward},
    net::Peers,
    settings::{Place, Rate, Table},
};
use http::HeaderName;
use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

/// Far more than people with an old token in several windows, and little work.
pub(super) const FAILURE_RATE: Rate =
    Rate { count: NonZeroU32::MIN.saturating_add(599), period: Duration::from_mins(1) };

crate::choice! {
    /// How far the network and the gateway are trusted.
    pub enum Trust {
        /// The gateway's word counts: claims without a signature, accepted from it alone.
        Full = "full",
        /// The token is verified here again.
        Half = "half",
        /// As half; backends are reached by mutual TLS, and with a token of their own.
        Zero = "zero",
    }
}

/// Whose callers are accepted, and how they are read.
#[derive(Debug, Clone)]
pub struct Config {
    pub trust: Trust,
    pub issuers: Vec<Issuer>,
    pub leeway: Duration,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that lists scopes: a string with spaces, or a list of strings.
    pub scope_claim: String,
    /// How long keys are used at most after they could be fetched for the last time.
    pub jwks_max_age: Duration,
    /// How often one address may come with a credential that is not good.
    pub failure_rate: Rate,
    /// With trust `full` only.
    pub payload: Option<Payload>,
    pub exchange: Option<exchange::Config>,
    /// Every token is taken, and believed: in front of mocks. No file can say so.
    pub anybody: bool,
}

/// Those who sign with one set of keys.
#[derive(Debug, Clone)]
pub struct Issuer {
    pub names: Vec<String>,
    pub audiences: Vec<String>,
    /// Whose tokens without `aud` count, by their `client_id`.
    pub clients: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    /// `None` where nothing is signed: with trust `full`.
    pub keys: Option<Source>,
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum Source {
    File { path: PathBuf, place: Place },
    Url { url: String, ca: Option<PathBuf>, place: Place },
}

/// The gateway's word: in which header, and from whom.
#[derive(Debug, Clone)]
pub struct Payload {
    pub header: HeaderName,
    pub peers: Peers,
    /// Also from whoever has shown the edge a client certificate that it verified.
    pub certificate: bool,
}

impl Config {
    /// `None` without an `[identity]`.
    pub fn read(table: &Table<'_>) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let trust = table.or("trust", Trust::Half);
        let exchange = exchange::Config::read(&table.table("exchange"));
        match trust {
            Trust::Zero if exchange.is_none() && !table.has("exchange") => {
                table.mistake("trust", "\"zero\" needs an [identity.exchange]: callers' own tokens go to no backend");
            }
            Trust::Full if table.has("exchange") => {
                table.mistake("exchange", "with trust = \"full\" there is no token that could be exchanged");
            }
            _ => {}
        }
        let hour = Duration::from_hours(1);
        Some(Self {
            trust,
            issuers: issuers(table, trust),
            leeway: table.within("leeway", Duration::from_secs(30), Duration::ZERO, Duration::from_mins(1)),
            tenant_claim: table.or("tenant-claim", "tenant".to_owned()),
            scope_claim: table.or("scope-claim", "scope".to_owned()),
            jwks_max_age: table.within("jwks-max-age", hour * 24, hour, hour * 24 * 7),
            failure_rate: table.or("failure-rate", FAILURE_RATE),
            payload: (trust == Trust::Full).then(|| Payload::read(table)),
            exchange,
            anybody: false,
        })
    }

    /// Takes every token and believes what it says: for a host that has nothing but mocks.
    pub fn anybody() -> Self {
        let day = Duration::from_hours(24);
        Self {
            trust: Trust::Half,
            issuers: Vec::new(),
            leeway: Duration::ZERO,
            tenant_claim: "tenant".to_owned(),
            scope_claim: "scope".to_owned(),
            jwks_max_age: day,
            failure_rate: FAILURE_RATE,
            payload: None,
            exchange: None,
            anybody: true,
        }
    }

    /// Makes paths relative to `folder`, and notes those that don't lead to what is needed.
    pub fn resolve(&mut self, folder: &Path, table: &Table<'_>) {
        for source in self.issuers.iter_mut().filter_map(|issuer| issuer.keys.as_mut()) {
            let found = match source {
                Source::File { path, .. } => {
                    *path = folder.join(&path);
                    KeySet::read(path).map(drop)
                }
                Source::Url { ca: Some(ca), .. } => {
                    *ca = folder.join(&ca);
                    readable(ca)
                }
                Source::Url { ca: None, .. } => Ok(()),
            };
            if let Err(reason) = found {
                table.note(source.place().mistake(reason));
            }
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.resolve(folder, table);
        }
    }

    /// Notes what does not go with the rest of the configuration.
    pub fn check(&self, forward: &Forward, backends: &[BackendConfig], table: &Table<'_>) {
        if forward.token && self.exchange.is_some() {
            table.mistake(
                "exchange",
                "the caller's token is exchanged, so it is not forwarded: remove `token` of [identity.forward]",
            );
        }
        if forward.token && self.trust == Trust::Full {
            table.mistake(
                "trust",
                "with \"full\" no token is verified, so none is forwarded: remove `token` of [identity.forward]",
            );
        }
        let has_certificate =
            |backend: &BackendConfig| backend.upstream.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        for backend in backends.iter().filter(|backend| self.trust == Trust::Zero && !has_certificate(backend)) {
            let text = "trust = \"zero\" needs mutual TLS to each backend: tls = { ca = …, certificate = …, key = … }";
            table.note(backend.place.mistake(text));
        }
        for name in self.exchange.iter().flat_map(|exchange| exchange.audiences.keys()) {
            if !backends.iter().any(|backend| backend.name == *name) {
                table.mistake("exchange", format!("`audience.{name}`: there is no [backend.{name}]"));
            }
        }
    }
}

/// One group in the flat form, or one for each `[[identity.issuer]]`.
fn issuers(table: &Table<'_>, trust: Trust) -> Vec<Issuer> {
    let algorithms = table.or("algorithms", vec![Algorithm::Rs256, Algorithm::Es256]);
    if !table.has("issuer") {
        let clients: Vec<String> = table.or("client-ids", Vec::new());
        let (names, audiences) = (at_least_one(table, "issuers"), audiences(table, &clients));
        return vec![Issuer { names, audiences, clients, algorithms, keys: Source::read(table, trust) }];
    }
    let shared: Vec<String> = table.or("audience", Vec::new());
    let mut seen = BTreeSet::new();
    let mut issuers = Vec::new();
    for section in table.tables("issuer") {
        let name: String = section.required("issuer").unwrap_or_default();
        if !seen.insert(name.clone()) {
            section.mistake("issuer", format!("{name:?} stands there twice"));
        }
        let clients: Vec<String> = section.or("client-ids", Vec::new());
        let audiences =
            if section.has("audience") || shared.is_empty() { audiences(&section, &clients) } else { shared.clone() };
        let algorithms = section.or("algorithms", algorithms.clone());
        issuers.push(Issuer { names: vec![name], audiences, clients, algorithms, keys: Source::read(&section, trust) });
    }
    issuers
}

/// An issuer that names its clients instead needs none.
fn audiences(table: &Table<'_>, clients: &[String]) -> Vec<String> {
    if clients.is_empty() { at_least_one(table, "audience") } else { table.or("audience", Vec::new()) }
}

fn at_least_one(table: &Table<'_>, key: &str) -> Vec<String> {
    let list: Vec<String> = table.required(key).unwrap_or_default();
    if list.is_empty() && table.has(key) {
        table.mistake(key, "expected at least one");
    }
    list
}

impl Source {
    fn read(table: &Table<'_>, trust: Trust) -> Option<Self> {
        let ca: Option<PathBuf> = table.optional("jwks-ca");
        if trust == Trust::Full {
            if table.has("jwks") {
                table.mistake("jwks", "with trust = \"full\" nothing is signed, so no key is needed");
            }
            return None;
        }
        let text: String = table.required("jwks")?;
        let place = table.place("jwks");
        if text.contains("://") {
            return match check_url(&text) {
                Ok(()) => Some(Self::Url { url: text, ca, place }),
                Err(reason) => {
                    table.mistake("jwks", reason);
                    None
                }
            };
        }
        if ca.is_some() {
            table.mistake("jwks-ca", "goes with a `jwks` that is a URL");
        }
        Some(Self::File { path: text.into(), place })
    }

    fn place(&self) -> &Place {
        match self {
            Self::File { place, .. } | Self::Url { place, .. } => place,
        }
    }
}

impl Payload {
    fn read(table: &Table<'_>) -> Self {
        let list: Vec<String> = table.or("trusted-peers", Vec::new());
        let certificate = table.or("gateway-certificate", false);
        if list.is_empty() && !certificate {
            table.mistake(
                "trust",
                "\"full\" needs `trusted-peers`, the gateway's addresses, or `gateway-certificate = true`",
            );
        }
        if list.iter().any(|network| network.ends_with("/0")) {
            table.mistake("trusted-peers", "with every address in it, anybody could say who they are");
        }
        let peers = Peers::parse(&list).unwrap_or_else(|reason| {
            table.mistake("trusted-peers", reason);
            Peers::default()
        });
        let name: String = table.or("payload-header", "x-jwt-payload".to_owned());
        let header = HeaderName::try_from(&name).ok().filter(is_internal);
        if header.is_none() {
            let text = "expected a header that is taken from clients: x-jwt-…, x-envoy-…, x-md-…, x-weft-…";
            table.mistake("payload-header", format!("{text}; found {name:?}"));
        }
        Self { header: header.unwrap_or(HeaderName::from_static("x-jwt-payload")), peers, certificate }
    }
}
