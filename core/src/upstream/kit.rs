//! What the tests of this module begin with: a backend of scripted instances, and a call to it.

use super::{
    Backend, Config, Method, Outgoing,
    connect::Connector,
    scripted::{Script, Scripts},
};
use crate::{
    model::Deadline,
    observe::Audience,
    settings::{Document, Mistakes},
    telemetry::Metrics,
};
use bytes::Bytes;
use std::{path::Path, sync::Arc, time::Duration};

/// A backend whose instances at `h0:1`, `h1:1` … do as scripted; `settings` are lines of its table. Those that are not in the set of its
/// `endpoints` may come into it later.
pub(super) fn backend(settings: &str, scripts: &[Script]) -> Backend {
    let list: Vec<_> = (0..scripts.len()).map(|place| format!("h{place}:1")).collect();
    let text = if settings.contains("endpoints") {
        settings.to_owned()
    } else {
        format!("endpoints = \"static://{}\"\n{settings}", list.join(","))
    };
    let mistakes = Mistakes::new();
    let config = Config::read(&Document::parse(Path::new("test"), &text, &mistakes).table(&mistakes));
    assert!(mistakes.is_empty(), "{:?}", mistakes.into_sorted());
    let scripts = scripts.iter().enumerate().map(|(place, script)| (format!("h{place}:1"), script.clone()));
    let connector = Connector::Scripted(Scripts::new(scripts));
    Backend::with_connector("b", &config, connector, &Metrics::default()).unwrap()
}

pub(super) fn outgoing(safe: bool, budget: Duration) -> Outgoing {
    Outgoing {
        cut: Arc::default(),
        audience: Audience::default(),
        method: Arc::new(Method::new("b", "s.S/M", safe, None, &Metrics::default())),
        message: Bytes::new(),
        metadata: http::HeaderMap::new(),
        deadline: Deadline::after(budget),
        source: None,
    }
}
