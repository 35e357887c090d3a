//! `cache = { ttl, scope, vary, stale-while-revalidate }`: whole responses that are kept.

use crate::{model::Scope, settings::Table};
use http::HeaderName;
use std::time::Duration;

/// `cache = { ttl = "30s", scope = "public", vary = ["accept-language"], stale-while-revalidate = "5m" }`: whole responses are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseCache {
    pub ttl: Duration,
    /// For how long after `ttl` an old response still serves while a new one is made.
    pub stale: Duration,
    pub scope: Scope,
    /// Request headers by which responses differ.
    pub vary: Vec<HeaderName>,
}

impl ResponseCache {
    pub(super) fn read(endpoint: &str, table: &Table<'_>, shown: &[HeaderName]) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        if !endpoint.starts_with("GET ") {
            table.mistake("", "only responses to GET can be kept: remove `cache`");
        }
        let vary = header_names(table, "vary");
        for name in shown.iter().filter(|name| !vary.contains(name)) {
            let text = format!(
                "the plugin sees the header `{name}`, so responses may differ by it: add it here, or remove it from `headers`"
            );
            table.mistake("vary", text);
        }
        let ttl = table.within("ttl", Duration::from_secs(30), Duration::from_millis(1), Duration::from_hours(24));
        let stale = table.within("stale-while-revalidate", Duration::ZERO, Duration::ZERO, Duration::from_hours(24));
        Some(Self { ttl, stale, scope: table.or("scope", Scope::Principal), vary })
    }
}

pub(super) fn header_names(table: &Table<'_>, key: &str) -> Vec<HeaderName> {
    let list: Vec<String> = table.or(key, Vec::new());
    let parse = |name: &String| {
        let parsed = HeaderName::try_from(name.as_str());
        parsed.map_err(|_| table.mistake(key, format!("`{name}` is no header name"))).ok()
    };
    list.iter().filter_map(parse).collect()
}
