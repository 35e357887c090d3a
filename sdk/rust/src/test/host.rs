//! Log, configuration and cache of a test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cache::Scope;
use crate::executor::Host;
use crate::lock::lock;
use crate::log::Level;

/// A line that a handler has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its fields, in their order.
    pub fields: Vec<(String, String)>,
}

/// A span that a handler has put into the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it is called.
    pub name: String,
    /// The place of the span that it stands under, where that is one of the handler's own.
    pub within: Option<usize>,
    /// What was said of it; `None`: it has not ended.
    pub attributes: Option<Vec<(String, String)>>,
}

/// Scope, whose it is, and key.
type CacheKey = (String, String);

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    tags: Vec<String>,
}

/// What the requests of an app share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) config: Mutex<BTreeMap<String, String>>,
    pub(super) logs: Mutex<Vec<Line>>,
    pub(super) spans: Mutex<Vec<Span>>,
    cache: Mutex<BTreeMap<CacheKey, Entry>>,
}

/// The host of one request. Its cache keeps scopes apart, and never expires: a test is short.
#[derive(Debug)]
pub(super) struct TestHost {
    pub(super) shared: Arc<Shared>,
    pub(super) subject: String,
    pub(super) tenant: String,
    /// What a stream has sent.
    pub(super) sent: Mutex<Vec<u8>>,
}

impl TestHost {
    fn key(&self, scope: Scope, key: &str) -> CacheKey {
        let owner = match scope {
            Scope::Principal => format!("principal {}", self.subject),
            Scope::Tenant => format!("tenant {}", self.tenant),
            Scope::Public => "public".to_owned(),
        };
        (owner, key.to_owned())
    }
}

impl Host for TestHost {
    fn log_level(&self) -> Level {
        Level::Trace
    }

    fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        lock(&self.shared.logs).push(Line { level, message: message.to_owned(), fields: fields.to_vec() });
    }

    fn span_recorded(&self) -> bool {
        true
    }

    fn span_begin(&self, name: &str, within: u32) -> u32 {
        let mut spans = lock(&self.shared.spans);
        let within = (within as usize).checked_sub(1);
        spans.push(Span { name: name.to_owned(), within, attributes: None });
        u32::try_from(spans.len()).unwrap_or(0)
    }

    fn span_end(&self, span: u32, attributes: &[(String, String)]) {
        if let Some(span) = lock(&self.shared.spans).get_mut((span as usize).wrapping_sub(1)) {
            span.attributes = Some(attributes.to_vec());
        }
    }

    fn emit_write(&self, events: &[u8]) -> bool {
        lock(&self.sent).extend_from_slice(events);
        true
    }

    fn config(&self, key: &str) -> Option<String> {
        lock(&self.shared.config).get(key).cloned()
    }

    fn cache_get(&self, scope: Scope, key: &str) -> Option<Vec<u8>> {
        lock(&self.shared.cache).get(&self.key(scope, key)).map(|entry| entry.value.clone())
    }

    fn cache_set(&self, scope: Scope, key: &str, value: &[u8], _ttl: Duration, tags: &[String]) {
        let entry = Entry { value: value.to_vec(), tags: tags.to_vec() };
        lock(&self.shared.cache).insert(self.key(scope, key), entry);
    }

    fn cache_delete(&self, scope: Scope, key: &str) {
        lock(&self.shared.cache).remove(&self.key(scope, key));
    }

    fn cache_invalidate_tag(&self, tag: &str) {
        lock(&self.shared.cache).retain(|_, entry| !entry.tags.iter().any(|it| it == tag));
    }
}
