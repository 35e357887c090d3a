//! Which responses may be shared, with whom, and what is kept of them: the gateway's side of `responses`.

use super::{Body, Reply, cache_control, faults, weak_tag};
use crate::{
    artifact::ResponseCache,
    model::{Deadline, Digest, Fault, Scope},
    observe::Stats,
    responses::{Found, Keep, Maker, Responses, Waited},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A response, or the fault that came instead.
pub(super) type Outcome = Result<Reply, Fault>;
/// The response cache.
pub type Shared = Responses<Digest, Outcome>;
pub(super) type Duty = Maker<Digest, Outcome>;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How a request comes to its response.
pub(super) enum Way {
    /// By its own guest, for itself.
    Alone,
    /// It is there.
    Answered(Outcome),
    /// By its own guest, for all who wait.
    Make(Duty),
    /// An old one serves, and its own guest makes a new one.
    Renew(Outcome, Duty),
}

/// For how many makers that come to nothing a request waits, before it goes its own way.
const MAKERS: usize = 2;

/// An answer, or the duty to make one: the last thing that a request takes, after all that it can fail by for itself alone. Waits for one
/// that is being made.
pub(super) async fn way(responses: &Arc<Shared>, key: &Digest, deadline: Deadline) -> Result<Way, Fault> {
    for _ in 0..MAKERS {
        let waiter = match responses.find(key) {
            Found::Fresh { value, age, left } => return Ok(Way::Answered(told(value, &Origin::Hit { age, left }))),
            Found::Stale { value, age, over, maker } => {
                let old = told(value, &Origin::Stale { age, over });
                return Ok(match maker {
                    Some(maker) => Way::Renew(old, maker),
                    None => Way::Answered(old),
                });
            }
            Found::Make(maker) => return Ok(Way::Make(maker)),
            Found::Wait(waiter) => waiter,
        };
        let waited = tokio::time::timeout_at(deadline.instant(), waiter.wait()).await;
        match waited.map_err(|_| faults::deadline())? {
            Waited::Shared(made) => return Ok(Way::Answered(told(made, &Origin::Collapsed))),
            Waited::NotShared => return Ok(Way::Alone),
            Waited::Nothing => {}
        }
    }
    Ok(Way::Alone)
}

/// The response has been made: it is kept if it is whole, good and anybody's, and given to those who wait. `until`: when the credential
/// ends with which it was made. Gives back what is to be sent.
pub(super) fn done(
    duty: Duty,
    mut made: Outcome,
    rule: &ResponseCache,
    stats: &Stats,
    until: Option<SystemTime>,
) -> Outcome {
    let (is_shareable, is_whole) = match &made {
        Ok(reply) => (!sets_cookies(reply), is_keepable(reply, rule.scope) && stats.degraded().is_empty()),
        Err(_) => (true, false),
    };
    let keep = made.as_ref().ok().filter(|_| is_shareable && is_whole).and_then(|reply| {
        // What was made with a token lives no longer than the token.
        let life = match until {
            Some(until) => until.duration_since(SystemTime::now()).ok()?,
            None => Duration::MAX,
        };
        let (ttl, stale) = cache_control::life(&reply.headers, rule);
        let ttl = ttl.min(life);
        (!ttl.is_zero()).then_some(())?;
        Some(Keep { ttl, stale: stale.min(life.saturating_sub(ttl)), weight: reply.weight() + 300 })
    });
    if let (Some(_), Ok(Reply { headers, body: Body::Bytes(body), .. })) = (&keep, &mut made) {
        // Once, and not for each of those who get it.
        headers.entry(header::ETAG).or_insert_with(|| weak_tag(body));
        if rule.scope == Scope::Public {
            headers.entry(header::CACHE_CONTROL).or_insert_with(|| for_everybody(rule));
        }
    }
    duty.done(made.clone(), keep, is_shareable);
    made
}

/// What other caches may do with a response that is kept here for everybody (RFC 9111, RFC 5861). They count from when it was made, which
/// `age` says.
fn for_everybody(rule: &ResponseCache) -> HeaderValue {
    let (ttl, stale) = (rule.ttl.as_secs(), rule.stale.as_secs());
    let stale = if stale == 0 { String::new() } else { format!(", stale-while-revalidate={stale}") };
    HeaderValue::try_from(format!("public, max-age={ttl}{stale}")).unwrap_or(HeaderValue::from_static("no-cache"))
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
    Stale { age: Duration, over: Duration },
    Made,
    Collapsed,
}

/// The outcome with `cache-status` and `age`.
pub(super) fn told(mut outcome: Outcome, origin: &Origin) -> Outcome {
    if let Ok(reply) = &mut outcome {
        let (text, age) = match origin {
            Origin::Hit { age, left } => (format!("weft; hit; ttl={}", left.as_secs()), Some(*age)),
            Origin::Stale { age, over } => {
                // Below zero it says for how long the response has been old (RFC 9211, section 2.5).
                let over = over.as_secs_f64().ceil().max(1.0) as u64;
                (format!("weft; hit; ttl=-{over}; detail=stale-while-revalidate"), Some(*age))
            }
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

#[cfg(test)]
mod tests;
