//! Who calls: the bearer token verified once more, behind the gateway that verified it first.
//!
//! The rules are RFC 8725's, because a token library's defaults are not: algorithms come from the configuration and the key, never
//! from the token; `exp`, `iss`, `aud` and `sub` have to be there; `nbf` is checked; nothing in the token's header is followed.
//! jsonwebtoken is named here only.

mod config;
mod headers;
mod keys;
mod token;

pub use config::Config;
pub use headers::is_internal;
pub use keys::{KeyFile, KeySource};

use crate::{
    artifact::Digest,
    model::{Fault, Identity},
    store::Store,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Longest token that is looked at.
const LONGEST_TOKEN: usize = 8 << 10;
/// How long the outcome of a verified signature is remembered at most. A key that is taken out of service is honoured no longer.
const REMEMBERED: Duration = Duration::from_mins(1);
const REMEMBERED_BYTES: u64 = 32 << 20;

/// Verifies callers.
#[derive(Debug)]
pub struct Verifier {
    config: Config,
    keys: Arc<dyn KeySource>,
    known: Store<Digest, Arc<Identity>>,
}

/// Why a caller is not let in. The text is safe to show: it says nothing of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this endpoint needs a bearer token, and the request has none")]
    Missing,
    #[error("the authorization header is not of the form `Bearer TOKEN`")]
    Form,
    #[error("the token {0}")]
    Token(&'static str),
}

impl Verifier {
    pub fn new(config: Config, keys: Arc<dyn KeySource>) -> Self {
        Self { config, keys, known: Store::new(REMEMBERED_BYTES) }
    }

    /// The identity behind the request's token; `None` without one.
    pub async fn verify(&self, headers: &HeaderMap) -> Result<Option<(Arc<Identity>, HeaderValue)>, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refusal::Form);
        }
        let token = bearer(value).ok_or(Refusal::Form)?;
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::Token("is too long"));
        }
        let digest = Digest::of(token.as_bytes());
        if let Some(identity) = self.known.get(&digest).filter(|known| known.expires_at > SystemTime::now()) {
            return Ok(Some((identity, value.clone())));
        }
        let identity = Arc::new(token::verify(&self.config, self.keys.as_ref(), token).await?);
        let left = identity.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        self.known.insert(digest, identity.clone(), token.len() * 2 + 500, left.min(REMEMBERED));
        Ok(Some((identity, value.clone())))
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl From<Refusal> for Fault {
    /// 401 with the challenge of RFC 6750.
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        let challenge = match refusal {
            Refusal::Missing => "Bearer".to_owned(),
            Refusal::Form => format!("Bearer error=\"invalid_request\", error_description=\"{text}\""),
            Refusal::Token(_) => format!("Bearer error=\"invalid_token\", error_description=\"{text}\""),
        };
        let challenge =
            HeaderValue::try_from(challenge.replace('`', "'")).unwrap_or(HeaderValue::from_static("Bearer"));
        Self::client(StatusCode::UNAUTHORIZED, "unauthorized", text).header(header::WWW_AUTHENTICATE, challenge)
    }
}

#[cfg(test)]
mod tests;
