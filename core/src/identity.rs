//! Who calls: the bearer token verified once more, behind the gateway that verified it first; or, where the gateway is trusted in
//! full, its word.
//!
//! The rules are RFC 8725's, because a token library's defaults are not: algorithms come from the configuration and the key, never
//! from the token; `exp`, `iss`, `aud` and `sub` have to be there; `nbf` is checked; nothing in the token's header is followed; an
//! issuer's keys verify that issuer's tokens only. [`token`] tells the way of a token, [`claims`] what is asked of its claims,
//! [`remote`] how keys are kept. jsonwebtoken is named here only.

mod algorithm;
mod anybody;
mod base64url;
mod claims;
mod config;
mod exchange;
mod fetch;
mod file;
mod headers;
mod keys;
mod payload;
mod places;
mod remote;
mod token;

pub use claims::Audience;
pub use config::Config;
pub use exchange::Exchanger;
pub use headers::is_internal;
pub use keys::KeyState;
pub use payload::Peer;

use crate::{
    model::{Digest, Fault, Identity, ProblemType},
    settings::Rate,
    store::Store,
    telemetry::Metrics,
};
use config::{Issuer, Source};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, header};
use keys::KeySource;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::task::JoinSet;

/// Longest token that is looked at.
const LONGEST_TOKEN: usize = 8 << 10;
/// How long the outcome of a verified signature is remembered at most. A key that is taken out of service is honoured no longer.
const REMEMBERED: Duration = Duration::from_mins(1);
const REMEMBERED_BYTES: u64 = 32 << 20;
/// What a caller is told to wait while keys can't be had.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Verifies callers. Dropped, it fetches no more keys.
#[derive(Debug)]
pub struct Verifier {
    config: Config,
    /// Those of the configuration's issuers, in their order.
    sources: Vec<Arc<dyn KeySource>>,
    known: Store<Digest, Arc<Identity>>,
    /// Keep the keys.
    _keepers: JoinSet<()>,
}

/// Who calls, and with which token; none where the gateway's word counts.
pub type Verified = (Arc<Identity>, Option<HeaderValue>);

/// What is known of a request's caller at once.
#[derive(Debug)]
pub enum Recalled<'a> {
    /// It names nobody.
    Nobody,
    Known(Verified),
    /// Its signature has not been looked at yet.
    Unproven(Claimed<'a>),
}

/// A token that may be good.
#[derive(Debug)]
pub struct Claimed<'a> {
    digest: Digest,
    header: HeaderValue,
    audience: Audience<'a>,
}

/// Why a caller is not let in. The text is safe to show: it says nothing of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this endpoint needs a bearer token, and the request has none")]
    Missing,
    #[error("this endpoint needs a caller, and the gateway names none")]
    Unnamed,
    #[error("the authorization header is not of the form `Bearer TOKEN`")]
    Form,
    #[error("the token {0}")]
    Token(&'static str),
    #[error("who calls is taken from the gateway only, and this is not the gateway")]
    NotTheGateway,
    #[error("the request says twice who calls")]
    Twice,
    #[error("whether the token is good can't be said at the moment: its issuer's keys can't be had")]
    Unsure,
}

impl Verifier {
    /// Begins to fetch keys, with those that `before` has of the same URLs. Fails where a file of keys or certificates can't be used.
    pub fn start(config: Config, metrics: &Metrics, before: Option<&Self>) -> Result<Arc<Self>, String> {
        let sources = config.issuers.iter().filter_map(|issuer| source(&config, issuer, metrics).transpose());
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        for source in &sources {
            let known =
                before.and_then(|before| before.sources.iter().find_map(|known| known.fetched(&source.state().source)));
            known.into_iter().for_each(|known| source.adopt(known));
        }
        Ok(Self::with_sources(config, sources))
    }

    /// Issuers whose keys `before` has and this one has not, each with the reason.
    pub fn keyless_beside(&self, before: &Self) -> Vec<String> {
        let had: Vec<&String> =
            before.with_keys().filter(|(_, state)| state.usable).flat_map(|(i, _)| &i.names).collect();
        let lost = self
            .with_keys()
            .filter(|(issuer, state)| !state.usable && issuer.names.iter().any(|name| had.contains(&name)));
        lost.map(|(issuer, state)| {
            let reason = state.failure.unwrap_or_else(|| match state.seconds_old {
                Some(age) => format!("the last ones are {age} seconds old, and `jwks-max-age` is less"),
                None => "they have not come yet".to_owned(),
            });
            format!("{}: {}: {reason}", issuer.names.join(", "), state.source)
        })
        .collect()
    }

    /// Sources without keys that count: callers of their issuers get 503.
    pub fn without_keys(&self) -> Vec<KeyState> {
        self.state().into_iter().filter(|state| !state.usable).collect()
    }

    /// Issuers that sign, with where their keys come from.
    fn with_keys(&self) -> impl Iterator<Item = (&Issuer, KeyState)> {
        let signing = self.config.issuers.iter().filter(|issuer| issuer.keys.is_some());
        signing.zip(&self.sources).map(|(issuer, source)| (issuer, source.state()))
    }

    fn with_sources(config: Config, sources: Vec<Arc<dyn KeySource>>) -> Arc<Self> {
        let mut keepers = JoinSet::new();
        for source in &sources {
            keepers.spawn(source.clone().keep());
        }
        Arc::new(Self { config, sources, known: Store::new(REMEMBERED_BYTES), _keepers: keepers })
    }

    /// Until all keys are there, but not for longer than `bound`.
    pub async fn settle(&self, bound: Duration) {
        let all = join_all(self.sources.iter().map(|source| source.ready()));
        if tokio::time::timeout(bound, all).await.is_err() {
            tracing::warn!("serving without the keys of some issuers: their callers get 503 until there are keys");
        }
    }

    /// Where keys come from, and how it stands with them.
    pub fn state(&self) -> Vec<KeyState> {
        self.sources.iter().map(|source| source.state()).collect()
    }

    /// What to say where a caller is needed and there is none.
    pub fn missing(&self) -> Refusal {
        if self.config.payload.is_some() { Refusal::Unnamed } else { Refusal::Missing }
    }

    /// Who gives out tokens, of those that can be asked for one.
    pub fn issuers(&self) -> Vec<&str> {
        let names = self.config.issuers.iter().flat_map(|issuer| &issuer.names);
        names.map(String::as_str).filter(|name| name.starts_with("https://") || name.starts_with("http://")).collect()
    }

    /// How often one address may come with a credential that is not good.
    pub fn failure_rate(&self) -> Rate {
        self.config.failure_rate
    }

    /// The identity that the request comes with; `None` without one.
    pub async fn verify(&self, headers: &HeaderMap, peer: Peer) -> Result<Option<Verified>, Refusal> {
        match self.recall(headers, peer, Audience::Host)? {
            Recalled::Nobody => Ok(None),
            Recalled::Known(verified) => Ok(Some(verified)),
            Recalled::Unproven(claimed) => self.prove(claimed).await.map(Some),
        }
    }

    /// As far as it goes without looking at a signature.
    pub fn recall<'a>(&self, headers: &HeaderMap, peer: Peer, audience: Audience<'a>) -> Result<Recalled<'a>, Refusal> {
        if let Some(payload) = &self.config.payload {
            let identity = payload::verify(&self.config, (payload, audience), headers, peer)?;
            return Ok(identity.map_or(Recalled::Nobody, |identity| Recalled::Known((Arc::new(identity), None))));
        }
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(Recalled::Nobody) };
        if values.next().is_some() {
            return Err(Refusal::Form);
        }
        let token = bearer(value).ok_or(Refusal::Form)?;
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::Token("is too long"));
        }
        let digest = remembered_as(token, audience);
        let mut kept = value.clone();
        // Never in a log, never in a table of headers that connections keep.
        kept.set_sensitive(true);
        Ok(match self.known.get(&digest).filter(|known| known.expires_at > SystemTime::now()) {
            Some(identity) => Recalled::Known((identity, Some(kept))),
            None => Recalled::Unproven(Claimed { digest, header: kept, audience }),
        })
    }

    /// Looks at the signature, and remembers a good one.
    pub async fn prove(&self, claimed: Claimed<'_>) -> Result<Verified, Refusal> {
        let Claimed { digest, header, audience } = claimed;
        let token = bearer(&header).ok_or(Refusal::Form)?;
        let identity = match self.config.anybody {
            true => anybody::identity(&self.config, token),
            false => token::verify(&self.config, &self.sources, token, audience).await,
        };
        let identity = Arc::new(identity?);
        let left = identity.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        self.known.insert(digest, identity.clone(), token.len() * 2 + 500, left.min(REMEMBERED));
        Ok((identity, Some(header)))
    }
}

/// `None` where nothing is signed.
fn source(config: &Config, issuer: &Issuer, metrics: &Metrics) -> Result<Option<Arc<dyn KeySource>>, String> {
    Ok(match &issuer.keys {
        None => None,
        Some(Source::File { path, .. }) => Some(Arc::new(file::KeyFile::read(path.clone())?)),
        Some(Source::Url { url, ca, .. }) => {
            let origin = Box::new(fetch::HttpFetch::new(url.clone(), ca.as_deref())?);
            Some(Arc::new(remote::Remote::new(url.clone(), origin, config.jwks_max_age, metrics)))
        }
    })
}

/// A token that is good for one audience says nothing of another one.
fn remembered_as(token: &str, audience: Audience<'_>) -> Digest {
    match audience {
        Audience::Host => Digest::of(token.as_bytes()),
        // No header has a line's end in it.
        Audience::Resource(uri) => Digest::of(format!("{token}\n{uri}").as_bytes()),
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl From<Refusal> for Fault {
    /// 401 with the challenge of RFC 6750; 503 where it is not the caller's fault.
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        let challenge = match refusal {
            Refusal::Unsure => {
                let fault = Self::new(ProblemType::KeysUnavailable, text);
                return fault.header(header::RETRY_AFTER, RETRY_AFTER);
            }
            Refusal::Missing | Refusal::Unnamed => "Bearer".to_owned(),
            Refusal::Form | Refusal::NotTheGateway | Refusal::Twice => {
                format!("Bearer error=\"invalid_request\", error_description=\"{text}\"")
            }
            Refusal::Token(_) => format!("Bearer error=\"invalid_token\", error_description=\"{text}\""),
        };
        let challenge =
            HeaderValue::try_from(challenge.replace('`', "'")).unwrap_or(HeaderValue::from_static("Bearer"));
        Self::new(ProblemType::Unauthorized, text).header(header::WWW_AUTHENTICATE, challenge)
    }
}

#[cfg(test)]
mod tests;
