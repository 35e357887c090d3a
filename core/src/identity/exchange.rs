//! The caller's token, exchanged for one that is meant for one backend (RFC 8693).
//!
//! Exchanged tokens are kept until shortly before they end, by caller's token and audience; equal exchanges under way are one. One
//! that fails fails the calls that need it: the caller's own token never stands in.

mod config;

pub(super) use config::Config;

use crate::{
    fanout::TokenExchange,
    model::{Code, Digest, Failure},
    net::{HttpClient, Response, Tls},
    store::{SingleFlight, Store},
    telemetry::{ExchangeLabels, Metrics},
};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Largest answer that is read.
const LARGEST: usize = 64 << 10;
/// What all kept tokens may weigh together.
const KEPT_BYTES: u64 = 32 << 20;
/// For how long a token is kept that doesn't say when it ends.
const UNKNOWN_LIFETIME: Duration = Duration::from_mins(1);
const LONGEST_LIFETIME: Duration = Duration::from_hours(1);
/// A token is not used in the last part of its life: it has to arrive, too.
const LONGEST_MARGIN: Duration = Duration::from_secs(30);
/// For how long a failure is the answer to further calls.
const FAILED_FOR: Duration = Duration::from_secs(1);

const TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// All but the unreserved characters of RFC 3986.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Outcome = Result<HeaderValue, Failure>;
/// The caller's token, and for whom the other one is.
type Key = (Digest, Arc<str>);

/// Asks for tokens, and keeps them.
#[derive(Debug, Clone)]
pub struct Exchanger(Arc<Inner>);

struct Inner {
    client: HttpClient,
    url: String,
    timeout: Duration,
    /// The host's own name and secret.
    credential: HeaderValue,
    /// By backend; a backend that is not there is its own audience.
    audiences: BTreeMap<String, Arc<str>>,
    scope: Option<String>,
    kept: Store<Key, Outcome>,
    under_way: SingleFlight<Key, Outcome>,
    metrics: Metrics,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchanger").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<f64>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Exchanger {
    /// Fails where the secret or the certificates can't be read.
    pub fn new(config: &Config, metrics: &Metrics) -> Result<Self, String> {
        let tls = config.ca.as_deref().map(|ca| Tls { ca, identity: None });
        Ok(Self(Arc::new(Inner {
            client: HttpClient::new(config.timeout, tls)?,
            url: config.url.clone(),
            timeout: config.timeout,
            credential: config.credential()?,
            audiences: config
                .audiences
                .iter()
                .map(|(name, audience)| (name.clone(), audience.as_str().into()))
                .collect(),
            scope: config.scope.clone(),
            kept: Store::new(KEPT_BYTES),
            under_way: SingleFlight::default(),
            metrics: metrics.clone(),
        })))
    }

    /// The outcome of the exchange of this key that is under way, or of a new one. It goes on although nobody waits for it any more.
    async fn ask(&self, key: &Key, subject_token: &str) -> Outcome {
        let under_way = self.0.under_way.run(key, || {
            let (this, key, token) = (self.0.clone(), key.clone(), subject_token.to_owned());
            async move {
                let (outcome, lifetime) = this.ask(&token, &key.1).await;
                let weight = 500 + outcome.as_ref().map_or(0, HeaderValue::len);
                this.kept.insert(key, outcome.clone(), weight, lifetime);
                outcome
            }
        });
        under_way.wait().await.unwrap_or_else(|| Err(unavailable("it ended without an answer")))
    }
}

impl TokenExchange for Exchanger {
    fn exchange<'a>(&'a self, token: &'a HeaderValue, backend: &'a str) -> BoxFuture<'a, Outcome> {
        async move {
            let audience = self.0.audiences.get(backend).cloned().unwrap_or_else(|| backend.into());
            let text = super::bearer(token).ok_or_else(|| unauthenticated("the caller has no bearer token"))?;
            let key: Key = (Digest::of(text.as_bytes()), audience);
            let (outcome, result) = match self.0.kept.get(&key) {
                Some(outcome) => (outcome, "kept"),
                None => (self.ask(&key, text).await, "asked"),
            };
            let result = if outcome.is_ok() { result } else { "failed" };
            let labels = ExchangeLabels { backend: backend.to_owned(), result: result.to_owned() };
            self.0.metrics.token_exchanges.get_or_create(&labels).inc();
            outcome
        }
        .boxed()
    }
}

impl Inner {
    /// One exchange, and for how long its outcome holds.
    async fn ask(&self, subject_token: &str, audience: &str) -> (Outcome, Duration) {
        let form = self.form(subject_token, audience);
        let headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
            (header::AUTHORIZATION, self.credential.clone()),
        ]);
        let sent = self.client.send(Method::POST, self.url.clone(), headers, Some(form.into()), LARGEST);
        let outcome = match tokio::time::timeout(self.timeout, sent).await {
            Err(_) => Err(unavailable("the token endpoint did not answer in time")),
            Ok(Err(error)) => Err(unavailable(&error.to_string())),
            Ok(Ok(response)) => read(&response),
        };
        match outcome {
            Ok((token, lifetime)) => (Ok(token), lifetime),
            Err(failure) => {
                tracing::warn!(url = self.url, audience, code = failure.code.as_str(), "{}", failure.message);
                (Err(failure), FAILED_FOR)
            }
        }
    }

    fn form(&self, subject_token: &str, audience: &str) -> String {
        let mut pairs = vec![
            ("grant_type", GRANT_TYPE),
            ("subject_token", subject_token),
            ("subject_token_type", TOKEN_TYPE),
            ("requested_token_type", TOKEN_TYPE),
            ("audience", audience),
        ];
        pairs.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={}", form_encoded(value))).collect();
        pairs.join("&")
    }
}

fn form_encoded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

fn read(response: &Response) -> Result<(HeaderValue, Duration), Failure> {
    let status = response.status.as_u16();
    if response.status != StatusCode::OK {
        let error = serde_json::from_slice::<Refused>(&response.body).map(|refused| refused.error);
        // A word of RFC 6749, not whatever somebody may have put there.
        let error =
            error.ok().filter(|word| word.len() < 40 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        return Err(match error.as_deref() {
            // About the caller's token; everything else is about this host, or the endpoint.
            Some(
                error @ ("invalid_request" | "invalid_grant" | "invalid_target" | "invalid_scope" | "access_denied"),
            ) => unauthenticated(&format!("the token endpoint refuses it: {error}")),
            error => unavailable(&format!("the token endpoint answers HTTP {status} {}", error.unwrap_or_default())),
        });
    }
    let answer: Answer =
        serde_json::from_slice(&response.body).map_err(|_| unavailable("the token endpoint's answer has no token"))?;
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err(unavailable("the token endpoint's token is no bearer token"));
    }
    let value = HeaderValue::try_from(format!("Bearer {}", answer.access_token));
    let mut value = value.map_err(|_| unavailable("the token endpoint's token can't stand in a header"))?;
    value.set_sensitive(true);
    let lifetime = answer.expires_in.map_or(Ok(UNKNOWN_LIFETIME), Duration::try_from_secs_f64).unwrap_or_default();
    let lifetime = lifetime.min(LONGEST_LIFETIME);
    Ok((value, lifetime.saturating_sub((lifetime / 5).min(LONGEST_MARGIN))))
}

fn unavailable(reason: &str) -> Failure {
    Failure::new(Code::Unavailable, format!("the caller's token can't be exchanged: {}", reason.trim_end()))
}

fn unauthenticated(reason: &str) -> Failure {
    Failure::new(Code::Unauthenticated, format!("the caller's token can't be exchanged: {reason}"))
}
