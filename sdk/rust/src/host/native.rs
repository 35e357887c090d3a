//! The services as a native driver brings them, one [`Host`] for each request.

use std::sync::Arc;
use std::time::Duration;

use crate::Status;
use crate::cache::Scope;
use crate::executor::current;
use crate::log::Level;

/// What a native driver gives to a request besides its calls. Every method has a default that does nothing.
///
/// The scopes of the cache are the host's to keep apart: it knows who the caller is.
pub trait Host: Send + Sync {
    /// The lowest level that is kept. Asked for at most once in a request.
    fn log_level(&self) -> Level {
        Level::Info
    }

    /// Takes a line that is at or above the level.
    fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let _ = (level, message, fields);
    }

    /// Whether the request is recorded, so that its spans are wanted. Asked for at most once in a request.
    fn span_recorded(&self) -> bool {
        false
    }

    /// A span of the plugin's own begins, under another one or (0) under the plugin's; with its number, or 0 where it is not wanted.
    fn span_begin(&self, name: &str, within: u32) -> u32 {
        let _ = (name, within);
        0
    }

    /// It ends.
    fn span_end(&self, span: u32, attributes: &[(String, String)]) {
        let _ = (span, attributes);
    }

    /// A stream begins: what the endpoint answers leaves in parts.
    fn emit_begin(&self, status: Status, headers: &[(String, String)]) {
        let _ = (status, headers);
    }

    /// Whole events of it; `false`: nobody takes any more.
    fn emit_write(&self, events: &[u8]) -> bool {
        let _ = events;
        false
    }

    /// A value of the plugin's `[config]`.
    fn config(&self, key: &str) -> Option<String> {
        let _ = key;
        None
    }

    /// An entry of the plugin's cache.
    fn cache_get(&self, scope: Scope, key: &str) -> Option<Vec<u8>> {
        let _ = (scope, key);
        None
    }

    /// Stores an entry, or doesn't: a cache may forget.
    fn cache_set(&self, scope: Scope, key: &str, value: &[u8], ttl: Duration, tags: &[String]) {
        let _ = (scope, key, value, ttl, tags);
    }

    /// Removes an entry.
    fn cache_delete(&self, scope: Scope, key: &str) {
        let _ = (scope, key);
    }

    /// Removes all entries with this tag, in every scope.
    fn cache_invalidate_tag(&self, tag: &str) {
        let _ = tag;
    }
}

/// A [`Host`] that keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host for NoHost {}

/// How a request reaches its host.
pub type Access = Arc<dyn Host>;

/// The host of the current request. It is called outside of the borrow, since it is foreign code.
fn host() -> Option<Access> {
    current::with(|core| Arc::clone(&core.host))
}

pub(crate) fn log_level() -> Level {
    host().map_or(Level::Error, |host| host.log_level())
}

pub(crate) fn log_write(level: Level, message: &str, fields: &[(String, String)]) {
    if let Some(host) = host() {
        host.log(level, message, fields);
    }
}

pub(crate) fn span_recorded() -> bool {
    host().is_some_and(|host| host.span_recorded())
}

pub(crate) fn span_begin(name: &str, within: u32) -> u32 {
    host().map_or(0, |host| host.span_begin(name, within))
}

pub(crate) fn span_end(span: u32, attributes: &[(String, String)]) {
    if let Some(host) = host() {
        host.span_end(span, attributes);
    }
}

pub(crate) fn emit_begin(status: Status, headers: &[(String, String)]) {
    if let Some(host) = host() {
        host.emit_begin(status, headers);
    }
}

pub(crate) fn emit_write(events: &[u8]) -> bool {
    host().is_some_and(|host| host.emit_write(events))
}

pub(crate) fn config(key: &str) -> Option<String> {
    host()?.config(key)
}

pub(crate) fn cache_get(scope: Scope, key: &str) -> Option<Vec<u8>> {
    host()?.cache_get(scope, key)
}

pub(crate) fn cache_set(scope: Scope, key: &str, value: &[u8], ttl: Duration, tags: &[String]) {
    if let Some(host) = host() {
        host.cache_set(scope, key, value, ttl, tags);
    }
}

pub(crate) fn cache_delete(scope: Scope, key: &str) {
    if let Some(host) = host() {
        host.cache_delete(scope, key);
    }
}

pub(crate) fn cache_invalidate_tag(tag: &str) {
    if let Some(host) = host() {
        host.cache_invalidate_tag(tag);
    }
}
