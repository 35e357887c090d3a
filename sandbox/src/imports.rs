//! What the guest asks of the host, answered.

use super::{
    bindings::weft::bff::{backend, cache, config, emit, log, spans, types},
    cache::Key,
    instance::State,
};
use bytes::Bytes;
use std::time::Duration;
use wasmtime::{Result, bail, error::format_err};
use weft_core::{
    fanout::{Head, Instead, JsonOrProto, Outcome, Session},
    model::{Code, Scope, ShareKey},
    plugin::{Misuse, StreamHead},
};

/// What a guest gets when it calls although its request is over or never began (during start-up).
fn outside_a_request() -> wasmtime::Error {
    format_err!("the guest called a backend outside of a request")
}

/// Bits of `call-head.flags` above the depth.
const OR_STALE: u32 = 1 << 16;
const OR_DEFAULT: u32 = 1 << 17;
const KNOWN_FLAGS: u32 = 0xffff | OR_STALE | OR_DEFAULT;

/// Bounds of an entry of the plugin's cache; what is over them is not kept.
const LONGEST_KEY: usize = 1 << 10;
const MOST_TAGS: usize = 64;

fn is_fair_tag(tag: &str) -> bool {
    tag.len() <= LONGEST_KEY
}

impl types::Host for State {}

impl backend::Host for State {
    async fn call_batch(
        &mut self,
        calls: Vec<backend::Call>,
    ) -> Result<Vec<core::result::Result<backend::Reply, backend::Failure>>> {
        self.count_crossing()?;
        self.count_calls(calls.len(), calls.iter().map(|call| call.message.len()).sum())?;
        let mut left = self.shared.config.arena.as_usize();
        let session = self.session.as_mut().ok_or_else(outside_a_request)?;
        let calls = calls.into_iter().map(|call| {
            let message = Bytes::from(call.message);
            let message = match call.encoding {
                backend::Encoding::Json => JsonOrProto::Json(message),
                backend::Encoding::Protobuf => JsonOrProto::Proto(message),
            };
            (call.method, message, call.timeout_ms.map(|ms| Duration::from_millis(ms.into())))
        });
        let outcomes = session.call_batch(calls.collect()).await;
        Ok(outcomes.into_iter().map(|outcome| reply(outcome, &mut left)).collect())
    }

    async fn exchange(
        &mut self,
        calls: Vec<backend::CallHead>,
        messages: Vec<u8>,
        cancel: Vec<u32>,
        wait_ms: Option<u32>,
    ) -> Result<(Vec<backend::Completion>, Vec<u8>)> {
        self.count_crossing()?;
        self.count_calls(calls.len() + cancel.len(), messages.len())?;
        let session = self.session.as_mut().ok_or_else(outside_a_request)?;
        let heads = heads(&calls, Bytes::from(messages))?;
        let wait = wait_ms.map(|ms| Duration::from_millis(ms.into()));
        let arena = session.exchange(heads, &cancel, wait).await;
        let completions = arena.completions.into_iter().map(|c| backend::Completion {
            ticket: c.ticket,
            code: c.code,
            origin: c.origin,
            age_ms: c.age_ms,
            offset: c.offset,
            len: c.len,
        });
        Ok((completions.collect(), arena.bytes))
    }
}

fn heads(calls: &[backend::CallHead], messages: Bytes) -> Result<Vec<Head>> {
    let mut heads = Vec::with_capacity(calls.len());
    for call in calls {
        let (offset, end) = (call.offset as usize, call.offset as usize + call.len as usize);
        if end > messages.len() {
            bail!("exchange: a message from {offset} to {end} is outside of the {} bytes handed over", messages.len());
        }
        if call.flags & !KNOWN_FLAGS != 0 {
            bail!("exchange: unknown flags {:#x}; the plugin was built for a newer host", call.flags);
        }
        heads.push(Head {
            method: call.method,
            depth: call.flags as u16,
            timeout: (call.timeout_ms > 0).then(|| Duration::from_millis(call.timeout_ms.into())),
            instead: Instead { stale: call.flags & OR_STALE != 0, default: call.flags & OR_DEFAULT != 0 },
            message: messages.slice(offset..end),
        });
    }
    Ok(heads)
}

/// `left`: what may still be handed over, so that many replies at once don't add up to more than one exchange would take.
fn reply(outcome: Outcome, left: &mut usize) -> core::result::Result<backend::Reply, backend::Failure> {
    let age_ms = outcome.age_ms();
    match outcome.result {
        Ok(message) => match left.checked_sub(message.len()) {
            Some(rest) => {
                *left = rest;
                Ok(backend::Reply { message: message.to_vec(), origin: outcome.origin.number(), age_ms })
            }
            None => Err(backend::Failure {
                code: Code::ResourceExhausted as u32,
                message: "the replies of this batch are over the bound for one exchange".to_owned(),
                details: Vec::new(),
            }),
        },
        Err(failure) => Err(backend::Failure {
            code: failure.code as u32,
            message: failure.message.clone(),
            details: failure.details.to_vec(),
        }),
    }
}

impl From<cache::Scope> for Scope {
    fn from(scope: cache::Scope) -> Self {
        match scope {
            cache::Scope::Principal => Self::Principal,
            cache::Scope::Tenant => Self::Tenant,
            cache::Scope::Public => Self::Public,
        }
    }
}

impl State {
    fn cache_key(&self, scope: cache::Scope, key: String) -> Option<Key> {
        ShareKey::of(scope.into(), &self.party).map(|who| Key::new(self.kept_as, who, key))
    }
}

impl cache::Host for State {
    fn get(&mut self, key: String, scope: cache::Scope) -> Result<Option<Vec<u8>>> {
        let found = self.cache_key(scope, key).and_then(|key| self.shared.cache.get(&key));
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: u32, scope: cache::Scope, tags: Vec<String>) -> Result<()> {
        self.count_crossing()?;
        let is_fair = key.len() <= LONGEST_KEY && tags.len() <= MOST_TAGS && tags.iter().all(|tag| is_fair_tag(tag));
        if let Some(key) = self.cache_key(scope, key).filter(|_| is_fair) {
            self.shared.cache.set(key, value, Duration::from_millis(ttl_ms.into()), &tags, self.since);
        }
        Ok(())
    }

    fn delete(&mut self, key: String, scope: cache::Scope) -> Result<()> {
        if let Some(key) = self.cache_key(scope, key) {
            self.shared.cache.delete(&key);
        }
        Ok(())
    }

    fn invalidate_tag(&mut self, tag: String) -> Result<()> {
        self.count_crossing()?;
        // No entry has such a tag.
        if !is_fair_tag(&tag) {
            return Ok(());
        }
        self.shared.cache.invalidate_tag(self.kept_as, &tag);
        if let Some(session) = self.session.as_ref().filter(|_| self.may_invalidate(&tag)) {
            session.invalidate(&tag);
        }
        Ok(())
    }
}

impl log::Host for State {
    fn threshold(&mut self) -> Result<log::Level> {
        // The filter may have changed; what it lets through is asked of the target that plugins log under.
        Ok(if tracing::enabled!(target: "plugin", tracing::Level::TRACE) {
            log::Level::Trace
        } else if tracing::enabled!(target: "plugin", tracing::Level::DEBUG) {
            log::Level::Debug
        } else if tracing::enabled!(target: "plugin", tracing::Level::INFO) {
            log::Level::Info
        } else if tracing::enabled!(target: "plugin", tracing::Level::WARN) {
            log::Level::Warn
        } else {
            log::Level::Error
        })
    }

    fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        let level = match level {
            log::Level::Trace => tracing::Level::TRACE,
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        self.guest_log.say(level, &message, &fields);
        Ok(())
    }
}

impl spans::Host for State {
    fn recorded(&mut self) -> Result<bool> {
        Ok(self.session.as_ref().is_some_and(|session| session.recorder().is_some()))
    }

    fn begin(&mut self, name: String, parent: u32) -> Result<u32> {
        let recorder = self.session.as_ref().and_then(Session::recorder);
        Ok(recorder.map_or(0, |recorder| recorder.begin_span(&name, parent)))
    }

    fn end(&mut self, span: u32, attributes: Vec<(String, String)>) -> Result<()> {
        if let Some(recorder) = self.session.as_ref().and_then(Session::recorder) {
            recorder.end_span(span, attributes);
        }
        Ok(())
    }
}

impl emit::Host for State {
    fn begin(&mut self, status: u16, headers: Vec<(String, String)>) -> Result<()> {
        let emitter = self.emitter.as_mut().ok_or(Misuse::NoStream)?;
        Ok(emitter.begin(StreamHead { status, headers })?)
    }

    async fn write(&mut self, events: Vec<u8>) -> Result<bool> {
        let emitter = self.emitter.as_ref().ok_or(Misuse::NotBegun)?;
        Ok(emitter.write(events).await?)
    }
}

impl config::Host for State {
    fn get(&mut self, key: String) -> Result<Option<String>> {
        Ok(self.config.get(&key).cloned())
    }
}
