//! `Idempotency-Key`: a repeated write gets the first one's answer (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Once a request with a key has reached its plugin it runs to its end, whether its caller stays or not, and its answer is kept, whatever
//! it is: a write that was answered with an error may have been done all the same, and doing it twice is what the key is there to
//! prevent.

use super::Reply;
use crate::{
    artifact::{Digest, Idempotency},
    model::{Fault, Party, Scope, ShareKey},
    release::Endpoint,
    store::Store,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

const LONGEST_KEY: usize = 255;
/// What an entry weighs beside its answer.
const OVERHEAD: usize = 500;

/// Answers by key.
#[derive(Debug)]
pub struct Answers(Store<Key, Entry>);

/// One key of one caller at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    plugin: String,
    endpoint: String,
    caller: ShareKey,
    key: Bytes,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Of path, query and body: the same key for another request is a mistake.
    fingerprint: Digest,
    answer: watch::Receiver<Option<Arc<Result<Reply, Fault>>>>,
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

/// Where the first answer goes. One that is dropped without an answer leaves nothing behind.
#[derive(Debug)]
pub(super) struct Slot {
    answers: Arc<Answers>,
    key: Key,
    fingerprint: Digest,
    ttl: Duration,
    sender: watch::Sender<Option<Arc<Result<Reply, Fault>>>>,
    filled: bool,
}

impl Answers {
    pub fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self(Store::new(max_bytes)))
    }

    /// Looks for the key's first answer, and waits for it where it is under way.
    pub(super) async fn begin(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        party: &Party,
        headers: &HeaderMap,
        (path, body): (&str, &Bytes),
    ) -> Result<Begun, Fault> {
        let (Some(rule), Some(value)) = (endpoint.policy.idempotency, headers.get("idempotency-key")) else {
            return Ok(Begun::Plain);
        };
        let key = key(endpoint, rule, party, value)?;
        let fingerprint = Digest::of(&[path.as_bytes(), b"\0", body].concat());
        let (sender, receiver) = watch::channel(None);
        let entry = Entry { fingerprint, answer: receiver };
        let size = key.key.len() + OVERHEAD;
        let (found, is_first) = self.0.get_or_insert(key.clone(), entry, size, rule.ttl);
        if is_first {
            let ttl = rule.ttl;
            return Ok(Begun::First(Slot { answers: self.clone(), key, fingerprint, ttl, sender, filled: false }));
        }
        if found.fingerprint != fingerprint {
            let text = "this idempotency-key was used for another request; take a new one for each request";
            return Err(Fault::client(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", text)
                .with("field", "header.idempotency-key"));
        }
        let mut answer = found.answer;
        match answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone()) {
            Some(answer) => Ok(Begun::Repeated(replay(&answer))),
            None => {
                let text = "the first request with this idempotency-key ended without an answer; try again";
                Err(Fault::client(StatusCode::CONFLICT, "idempotency-key-abandoned", text))
            }
        }
    }
}

fn key(endpoint: &Endpoint, rule: Idempotency, party: &Party, value: &HeaderValue) -> Result<Key, Fault> {
    let bad = |text: &str| {
        Fault::client(StatusCode::BAD_REQUEST, "bad-idempotency-key", text).with("field", "header.idempotency-key")
    };
    let text = value.as_bytes();
    if text.is_empty() || text.len() > LONGEST_KEY {
        return Err(bad("expected an idempotency-key of 1 to 255 bytes"));
    }
    let caller = ShareKey::of(rule.scope, party).ok_or_else(|| match rule.scope {
        Scope::Tenant if party.caller().is_some() => bad("an idempotency-key needs a caller with a tenant here"),
        _ => bad("an idempotency-key needs a signed-in caller here"),
    })?;
    let (plugin, endpoint) = (endpoint.release.name.clone(), endpoint.name.clone());
    Ok(Key { plugin, endpoint, caller, key: Bytes::copy_from_slice(text) })
}

fn replay(answer: &Result<Reply, Fault>) -> Result<Reply, Fault> {
    let mut reply = answer.clone()?;
    reply.headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(reply)
}

impl Slot {
    /// Keeps the answer and gives it to those who wait for it.
    pub(super) fn fill(mut self, answer: Result<Reply, Fault>) {
        self.filled = true;
        let size = OVERHEAD + self.key.key.len() + answer.as_ref().map_or(0, Reply::weight);
        let entry = Entry { fingerprint: self.fingerprint, answer: self.sender.subscribe() };
        // Weighed anew, now that the answer is known.
        self.answers.0.insert(self.key.clone(), entry, size, self.ttl);
        self.sender.send_replace(Some(Arc::new(answer)));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.filled {
            self.answers.0.remove(&self.key);
        }
    }
}
