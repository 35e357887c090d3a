//! Which responses may be shared, with whom, and what is kept of them: the gateway's side of `responses`.

use super::{Body, Reply, weak_tag};
use crate::{
    artifact::{Digest, ResponseCache},
    fanout::Stats,
    model::{Fault, Party, Scope, ShareKey},
    release::Endpoint,
    responses::{Keep, Maker, Responses},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::time::{Duration, SystemTime};

/// A response, or the fault that came instead.
pub(super) type Outcome = Result<Reply, Fault>;
/// The response cache.
pub type Shared = Responses<Digest, Outcome>;
pub(super) type Duty = Maker<Digest, Outcome>;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Everything on which the response may depend, as one digest; `None` where nothing is shared: no rule, not a GET, or a caller without
/// what the scope asks for.
pub(super) fn key(
    endpoint: &Endpoint,
    method: &Method,
    params: &[(String, String)],
    query: &[(String, String)],
    headers: &HeaderMap,
    party: &Party,
) -> Option<Digest> {
    let rule = endpoint.policy.cache.as_ref()?;
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let mut parts = Parts::default();
    parts.add(endpoint.release.digest.bytes());
    parts.add(endpoint.release.client.as_bytes());
    parts.add(endpoint.name.as_bytes());
    parts.pairs(params);
    let mut query: Vec<_> = query.to_vec();
    // Stable: values of one name keep their order.
    query.sort_by(|a, b| a.0.cmp(&b.0));
    parts.pairs(&query);
    for name in &rule.vary {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        parts.count(values.len());
        values.into_iter().for_each(|value| parts.add(value.as_bytes()));
    }
    ShareKey::of(rule.scope, party)?.write(&mut parts.0);
    if let (Scope::Principal, Some(identity)) = (rule.scope, party.caller()) {
        // All claims: the plugin, or a backend that is told of them, may answer by any.
        parts.add(&serde_json::to_vec(&identity.claims).ok()?);
    }
    Some(Digest::of(&parts.0))
}

/// Parts behind their lengths, so that none runs into the next.
#[derive(Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_le_bytes());
    }

    fn add(&mut self, part: &[u8]) {
        self.count(part.len());
        self.0.extend_from_slice(part);
    }

    fn pairs(&mut self, pairs: &[(String, String)]) {
        self.count(pairs.len());
        for (name, value) in pairs {
            self.add(name.as_bytes());
            self.add(value.as_bytes());
        }
    }
}

/// The response has been made: it is kept if it is whole, good and anybody's, and given to those who wait.
pub(super) fn done(duty: Duty, outcome: &Outcome, rule: &ResponseCache, stats: &Stats, party: &Party) {
    let (is_shareable, is_whole) = match outcome {
        Ok(reply) => (!sets_cookies(reply), is_keepable(reply, rule.scope) && stats.degraded().is_empty()),
        Err(_) => (true, false),
    };
    let keep = outcome.as_ref().ok().filter(|_| is_shareable && is_whole).and_then(|reply| {
        // What was made with a token lives no longer than the token.
        let life = match party.caller().filter(|_| rule.scope == Scope::Principal) {
            Some(identity) => identity.expires_at.duration_since(SystemTime::now()).ok()?,
            None => Duration::MAX,
        };
        let ttl = rule.ttl.min(life);
        Some(Keep { ttl, stale: rule.stale.min(life.saturating_sub(ttl)), weight: reply.weight() + 300 })
    });
    let mut made = outcome.clone();
    if let (Some(_), Ok(Reply { headers, body: Body::Bytes(body), .. })) = (&keep, &mut made) {
        // Once, and not for each of those who get it.
        headers.entry(header::ETAG).or_insert_with(|| weak_tag(body));
    }
    duty.done(made, keep, is_shareable);
}

fn sets_cookies(reply: &Reply) -> bool {
    reply.headers.contains_key(header::SET_COOKIE)
}

/// What the plugin says of its own response goes before the manifest's rule.
fn is_keepable(reply: &Reply, scope: Scope) -> bool {
    let says = |word: &str| {
        let mut values = reply.headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    let varies = reply.headers.get_all(header::VARY).iter().any(|value| value == "*");
    let is_good = reply.status.is_success() && reply.status != StatusCode::PARTIAL_CONTENT;
    let is_private = scope == Scope::Public && says("private");
    is_good && matches!(reply.body, Body::Bytes(_)) && !varies && !says("no-store") && !is_private
}

/// Where the response came from, after RFC 9211.
pub(super) enum Origin {
    Hit { age: Duration, left: Duration },
    Stale { age: Duration },
    Made,
    Collapsed,
}

/// The outcome with `cache-status` and `age`.
pub(super) fn told(mut outcome: Outcome, origin: &Origin) -> Outcome {
    if let Ok(reply) = &mut outcome {
        let (text, age) = match origin {
            Origin::Hit { age, left } => (format!("weft; hit; ttl={}", left.as_secs()), Some(*age)),
            Origin::Stale { age } => ("weft; hit; ttl=-1; detail=stale-while-revalidate".to_owned(), Some(*age)),
            Origin::Made => ("weft; fwd=uri-miss".to_owned(), None),
            Origin::Collapsed => ("weft; fwd=uri-miss; collapsed".to_owned(), None),
        };
        if let Ok(text) = HeaderValue::try_from(text) {
            reply.headers.insert(CACHE_STATUS, text);
        }
        if let Some(age) = age {
            reply.headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
        }
    }
    outcome
}
