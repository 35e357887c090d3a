//! `Idempotency-Key`: a repeated write gets the first one's answer (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Once a request with a key has reached its plugin it runs to its end, whether its caller stays or not, and its answer is kept, whatever
//! it is: a write that was answered with an error may have been done all the same, and doing it twice is what the key is there to
//! prevent. So nothing gives way before its time: where there is no room a request is refused before it has begun, and an answer that
//! is too large or was lost leaves behind that there was one. Only what never ran leaves nothing.
//!
//! Each host has a table of its own ([`table`]), which also bounds what its callers leave behind elsewhere. Whoever is the first there asks
//! the hosts that share a cache with this one ([`elsewhere`]); so does whoever finds no room, but only looks.

mod elsewhere;
mod slot;
mod table;

pub(super) use slot::Slot;

use super::{Reply, rates::Payer};
use crate::{
    artifact::Idempotency,
    model::{Digest, Fault, Party, ProblemType, Scope, ShareKey},
    release::Endpoint,
    store,
    telemetry::Metrics,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::sync::{Arc, Mutex};
use table::{Claim, Table};
use tokio::{sync::watch, time::Instant};

const LONGEST_KEY: usize = 255;
/// What an entry weighs beside its answer.
const OVERHEAD: usize = 500;

/// Answers by key.
#[derive(Debug)]
pub struct Answers {
    table: Table<Entry>,
    metrics: Metrics,
    /// When the log was last told that others can't be asked.
    told: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Of everything that the first request was: the same key for another one is a mistake.
    fingerprint: Digest,
    answer: watch::Receiver<Progress>,
}

/// How far a request with a key has come.
#[derive(Debug, Clone)]
enum Progress {
    UnderWay,
    Answered(Arc<Result<Reply, Fault>>),
    /// It may have been done, and there is no answer to give.
    Lost(&'static str),
    /// It never ran.
    Released,
}

/// A request as it is told apart from others with its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// Path and query, as they came.
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
    /// Whose share of the table it takes; none where only a listed peer is known.
    pub(super) payer: Option<&'a Payer>,
    /// What the host shares with others.
    pub(super) shared: Option<&'a Arc<store::Shared>>,
    /// Response headers that the operator grants, which an answer from elsewhere may have as well.
    pub(super) granted: &'a [HeaderName],
}

/// What to do with a request.
#[derive(Debug)]
pub(super) enum Begun {
    /// It has no key, or its endpoint takes none.
    Plain,
    /// It is the first with its key: its answer has to be given to the slot.
    First(Slot),
    /// Another one was first: this is its answer.
    Repeated(Result<Reply, Fault>),
}

impl Answers {
    pub fn new(max_bytes: u64, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self { table: Table::new(max_bytes), metrics: metrics.clone(), told: Mutex::default() })
    }

    /// Looks for the key's first answer, and waits for it where it is under way.
    pub(super) async fn begin(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        party: &Party,
        asked: Asked<'_>,
    ) -> Result<Begun, Fault> {
        let Some(rule) = endpoint.policy.idempotency else { return Ok(Begun::Plain) };
        let mut values = asked.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(Begun::Plain) };
        if values.next().is_some() {
            return Err(bad("expected one idempotency-key, found several"));
        }
        let key = key(endpoint, rule, party, value)?;
        let fingerprint = asked.fingerprint();
        loop {
            let (sender, receiver) = watch::channel(Progress::UnderWay);
            let entry = Entry { fingerprint, answer: receiver };
            let (policy, claim) = (&endpoint.policy, self.table.claim(key, owner(asked.payer), entry, OVERHEAD as u64));
            let found = match claim {
                Claim::First => {
                    let slot = Slot::new(self.clone(), key, fingerprint, rule.ttl, sender);
                    return match asked.shared {
                        Some(shared) => self.ask_others(shared, policy, asked.granted, slot).await,
                        None => Ok(Begun::First(slot)),
                    };
                }
                Claim::Known(found) => found,
                Claim::ShareFull | Claim::Full => {
                    let known = self.look_elsewhere(policy, asked, (&key, &fingerprint)).await;
                    return known.unwrap_or_else(|| {
                        Err(full(match claim {
                            Claim::ShareFull => "this caller's share of the kept answers is used up",
                            _ => "the store of kept answers is full",
                        }))
                    });
                }
            };
            if found.fingerprint != fingerprint {
                return Err(reused());
            }
            let mut answer = found.answer;
            // The sender tells before it goes.
            let progress = answer.wait_for(|progress| !matches!(progress, Progress::UnderWay)).await;
            match progress.map_or(Progress::Released, |progress| progress.clone()) {
                Progress::Answered(answer) => return Ok(Begun::Repeated(replay(&answer))),
                Progress::Lost(why) => return Err(lost(why)),
                // One of those who waited is the first now.
                Progress::Released | Progress::UnderWay => {}
            }
        }
    }
}

impl Asked<'_> {
    fn fingerprint(&self) -> Digest {
        let content_type = self.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        parts(&[self.method.as_str().as_bytes(), self.target.as_bytes(), content_type, self.body])
    }
}

/// Of all of them, each behind its length, so that none runs into the next.
fn parts(parts: &[&[u8]]) -> Digest {
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    Digest::of(&all)
}

fn owner(payer: Option<&Payer>) -> Digest {
    match payer {
        Some(Payer::Caller(caller)) => {
            let mut bytes = Vec::new();
            caller.write(&mut bytes);
            parts(&[b"caller", &bytes])
        }
        Some(Payer::At(subnet)) => parts(&[b"at", format!("{subnet:?}").as_bytes()]),
        None => parts(&[b"unknown"]),
    }
}

fn bad(text: &str) -> Fault {
    Fault::new(ProblemType::BadIdempotencyKey, text).with("field", "header.idempotency-key")
}

fn reused() -> Fault {
    let text = "this idempotency-key was used for another request; take a new one for each request";
    Fault::new(ProblemType::IdempotencyKeyReused, text).with("field", "header.idempotency-key")
}

fn full(what: &str) -> Fault {
    let text = format!("{what}, so a repeat could not be told from a new request; nothing was done, try again later");
    Fault::new(ProblemType::IdempotencyFull, text).header(header::RETRY_AFTER, HeaderValue::from_static("60"))
}

fn lost(why: &str) -> Fault {
    let text = format!(
        "the first request with this idempotency-key may have been done, but {why}; it is not done again: look at what it would have \
         changed, and take a new key only if it was not done"
    );
    Fault::new(ProblemType::IdempotencyOutcomeUnknown, text)
}

fn key(endpoint: &Endpoint, rule: Idempotency, party: &Party, value: &HeaderValue) -> Result<Digest, Fault> {
    let text = value.as_bytes();
    if text.is_empty() || text.len() > LONGEST_KEY {
        return Err(bad("expected an idempotency-key of 1 to 255 bytes"));
    }
    let caller = ShareKey::of(rule.scope, party).ok_or_else(|| match rule.scope {
        Scope::Tenant if party.caller().is_some() => bad("an idempotency-key needs a caller with a tenant here"),
        _ => bad("an idempotency-key needs a signed-in caller here"),
    })?;
    let mut who = Vec::new();
    caller.write(&mut who);
    Ok(parts(&[endpoint.release.name.as_bytes(), endpoint.name.as_bytes(), &who, text]))
}

fn replay(answer: &Result<Reply, Fault>) -> Result<Reply, Fault> {
    let mut reply = answer.clone()?;
    reply.headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::time::Duration;

    fn asked<'a>(headers: &'a HeaderMap, target: &'a str, method: &'a Method, body: &'a Bytes) -> Asked<'a> {
        Asked { method, target, headers, body, payer: None, shared: None, granted: &[] }
    }

    #[test]
    fn everything_that_a_request_is_tells_it_from_another() {
        let (none, body, other) = (HeaderMap::new(), Bytes::from_static(b"{}"), Bytes::from_static(b"[]"));
        let json = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let all = [
            asked(&none, "/a", &Method::POST, &body),
            asked(&json, "/a", &Method::POST, &body),
            asked(&none, "/a?b", &Method::POST, &body),
            asked(&none, "/a", &Method::PUT, &body),
            asked(&none, "/a", &Method::POST, &other),
        ];
        let prints: std::collections::HashSet<_> = all.iter().map(Asked::fingerprint).collect();
        assert_eq!(prints.len(), all.len());
    }

    fn slot(answers: &Arc<Answers>) -> (Slot, watch::Receiver<Progress>) {
        let (key, fingerprint) = (Digest::of(b"key"), Digest::of(b"request"));
        let (sender, receiver) = watch::channel(Progress::UnderWay);
        let entry = Entry { fingerprint, answer: receiver.clone() };
        assert!(matches!(answers.table.claim(key, Digest::of(b"ann"), entry, OVERHEAD as u64), Claim::First));
        (Slot::new(answers.clone(), key, fingerprint, Duration::from_secs(60), sender), receiver)
    }

    #[tokio::test]
    async fn what_ended_without_an_answer_is_remembered_once_it_has_begun_and_not_before() {
        let answers = Answers::new(1 << 20, &Metrics::default());
        let (first, told) = slot(&answers);
        drop(first);
        assert!(matches!(*told.borrow(), Progress::Released));
        let (mut second, told) = slot(&answers);
        second.begins();
        second.release().await;
        assert!(matches!(*told.borrow(), Progress::Released));
        let (mut third, told) = slot(&answers);
        third.begins();
        drop(third);
        assert!(matches!(*told.borrow(), Progress::Lost(_)));
        let entry = Entry { fingerprint: Digest::of(b""), answer: told };
        let again = answers.table.claim(Digest::of(b"key"), Digest::of(b"ann"), entry, OVERHEAD as u64);
        assert!(matches!(again, Claim::Known(_)), "it is not done again");
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_leaves_behind_that_there_was_one() {
        let answers = Answers::new(8 * 1024, &Metrics::default());
        let (mut slot, told) = slot(&answers);
        slot.begins();
        let body = super::super::Body::Bytes(vec![0; 2048].into());
        slot.fill(Ok(Reply { status: StatusCode::OK, headers: HeaderMap::new(), body })).await;
        assert!(matches!(*told.borrow(), Progress::Lost(_)));
    }
}
