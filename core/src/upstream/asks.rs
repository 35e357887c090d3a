//! How the instances of a backend are asked whether they want calls: its settings, for `checks`.

use crate::settings::Table;
use std::time::Duration;

/// `health = { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    pub(super) asks: Asks,
    pub(super) interval: Duration,
    /// Bounds each check.
    pub(super) timeout: Duration,
    /// Checks in a row without an answer that take an instance out; its own word does at once.
    pub(super) failures: u32,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asks {
    /// A service by name; empty: the server as a whole.
    Service(String),
    Path(String),
}

impl Checks {
    pub(super) fn of_grpc(table: &Table<'_>) -> Option<Self> {
        Self::read(table, "path", "a gRPC backend is asked by `service`", |table| {
            Asks::Service(table.or("service", String::new()))
        })
    }

    pub(super) fn of_rest(table: &Table<'_>) -> Option<Self> {
        Self::read(table, "service", "a REST backend is asked by `path`", |table| {
            let path: String = table.required("path").unwrap_or_default();
            let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            if !is_path && table.has("path") {
                table.mistake("path", format!("expected a path such as \"/healthz\", found {path:?}"));
            }
            Asks::Path(path)
        })
    }

    fn read(table: &Table<'_>, foreign: &str, why: &str, asks: impl FnOnce(&Table<'_>) -> Asks) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        if table.optional::<String>(foreign).is_some() {
            table.mistake(foreign, why);
        }
        let millis = Duration::from_millis;
        Some(Self {
            asks: asks(table),
            interval: table.within("interval", millis(5000), millis(100), Duration::from_hours(1)),
            timeout: table.within("timeout", millis(1000), millis(10), Duration::from_mins(1)),
            failures: table.within("failures", 2, 1, 100),
        })
    }
}
