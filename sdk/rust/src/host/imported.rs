//! The services as the component imports them.

use std::time::Duration;

use crate::Status;
use crate::cache::Scope;
use crate::export::bindings::weft::bff::{cache, config, emit, log, spans};
use crate::log::Level;

/// Nothing: the imports are always there.
pub type Access = ();

pub(crate) fn log_level() -> Level {
    match log::threshold() {
        log::Level::Trace => Level::Trace,
        log::Level::Debug => Level::Debug,
        log::Level::Info => Level::Info,
        log::Level::Warn => Level::Warn,
        log::Level::Error => Level::Error,
    }
}

pub(crate) fn log_write(level: Level, message: &str, fields: &[(String, String)]) {
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, message, fields);
}

pub(crate) fn span_recorded() -> bool {
    spans::recorded()
}

pub(crate) fn span_begin(name: &str, within: u32) -> u32 {
    spans::begin(name, within)
}

pub(crate) fn span_end(span: u32, attributes: &[(String, String)]) {
    spans::end(span, attributes);
}

pub(crate) fn emit_begin(status: Status, headers: &[(String, String)]) {
    emit::begin(status.number(), headers);
}

pub(crate) fn emit_write(events: &[u8]) -> bool {
    emit::write(events)
}

pub(crate) fn config(key: &str) -> Option<String> {
    config::get(key)
}

pub(crate) fn cache_get(scope: Scope, key: &str) -> Option<Vec<u8>> {
    cache::get(key, imported(scope))
}

pub(crate) fn cache_set(scope: Scope, key: &str, value: &[u8], ttl: Duration, tags: &[String]) {
    let ttl_ms = u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
    cache::set(key, value, ttl_ms, imported(scope), tags);
}

pub(crate) fn cache_delete(scope: Scope, key: &str) {
    cache::delete(key, imported(scope));
}

pub(crate) fn cache_invalidate_tag(tag: &str) {
    cache::invalidate_tag(tag);
}

fn imported(scope: Scope) -> cache::Scope {
    match scope {
        Scope::Principal => cache::Scope::Principal,
        Scope::Tenant => cache::Scope::Tenant,
        Scope::Public => cache::Scope::Public,
    }
}
