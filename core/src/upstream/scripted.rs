//! Endpoints that do as a test says.

use super::{Backend, Config, Method, Outgoing, connect::Connector, failed::Failed, instance::Connection};
use crate::{
    model::{Code, Deadline, Failure},
    settings::{Document, Mistakes},
    telemetry::Metrics,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Uri;
use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

type Reply = dyn Fn(usize) -> BoxFuture<'static, Result<Bytes, Failed>> + Send + Sync;

/// Answers the nth call as the closure says.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) calls: Arc<AtomicUsize>,
    reply: Arc<Reply>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    pub(super) fn new<F>(reply: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Bytes, Failed>> + Send + 'static,
    {
        Self { calls: Arc::default(), reply: Arc::new(move |call| Box::pin(reply(call))) }
    }

    /// Answers every call after `delay`.
    pub(super) fn after(delay: Duration) -> Self {
        Self::new(move |_| async move {
            tokio::time::sleep(delay).await;
            Ok(Bytes::from_static(b"ok"))
        })
    }

    /// Fails every call at once.
    pub(super) fn failing(code: Code) -> Self {
        Self::new(move |_| std::future::ready(Err(failed(code))))
    }

    pub(super) fn count(&self) -> usize {
        self.calls.load(SeqCst)
    }

    pub(super) async fn unary(&self, _: Outgoing) -> Result<Bytes, Failed> {
        (self.reply)(self.calls.fetch_add(1, SeqCst)).await
    }
}

pub(super) fn failed(code: Code) -> Failed {
    Failed::new(Failure::new(code, "scripted"))
}

/// What is scripted at each address; elsewhere nothing can be connected to.
#[derive(Debug)]
pub(super) struct Scripts(HashMap<String, Script>);

impl Scripts {
    pub(super) fn connect(&self, uri: &Uri) -> Result<Connection, String> {
        let script = self.0.get(uri.authority().unwrap().as_str());
        script.cloned().map(Connection::Scripted).ok_or_else(|| "nothing is scripted there".to_owned())
    }
}

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
    let scripts = Scripts(scripts.collect());
    Backend::with_connector("b", &config, Connector::Scripted(scripts), &Metrics::default()).unwrap()
}

pub(super) fn outgoing(safe: bool, budget: Duration) -> Outgoing {
    Outgoing {
        cut: Arc::default(),
        method: Arc::new(Method::new("b", "s.S/M", safe, None, &Metrics::default())),
        message: Bytes::new(),
        metadata: http::HeaderMap::new(),
        deadline: Deadline::after(budget),
        source: None,
    }
}
