//! Endpoints that do as a test says.

use super::{Address, Backend, Config, Method, Outgoing, endpoint::Failed, endpoint::Line};
use crate::{
    model::{Code, Deadline, Failure},
    settings::{Document, Mistakes},
    telemetry::Metrics,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
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

/// A backend of scripted endpoints; `settings` are lines of its table.
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
    let lines = scripts.iter().cloned().map(Line::Scripted).collect();
    Backend::with_lines("b", &config, lines, &Metrics::default())
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

/// What an address is without its endpoint: for tests of the balancer.
pub(super) fn addresses(backend: &Backend) -> Vec<&Address> {
    backend.config.endpoints.iter().collect()
}
